/*
 * What differs between CPUs. Between C libraries nothing may: what only one of them has is not used
 * (strerrordesc_np, pthread_attr_setaffinity_np).
 */
#ifndef ARCH_H
#define ARCH_H

/* In a loop that waits for another CPU: gives way to the core's other thread, and reads again. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

#endif
