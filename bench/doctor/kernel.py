"""The kernel: its build and boot options, and its switches."""

from __future__ import annotations

from collections.abc import Iterator

from bench.doctor.finding import Check, Context, Found, Level
from bench.system.procfs import CPU, ProcFs

# Debugging

HEAVY = {
    "KASAN": "KASAN",
    "KMSAN": "KMSAN",
    "KCSAN": "KCSAN",
    "KCOV": "KCOV",
    "PROVE_LOCKING": "lockdep",
    "LOCK_STAT": "lock statistics",
    "SLUB_DEBUG_ON": "slub_debug",
    "DEBUG_PAGEALLOC_ENABLE_DEFAULT": "debug_pagealloc",
    "DEBUG_OBJECTS": "debug objects",
    "DEBUG_KMEMLEAK": "kmemleak",
}
"""Build options that make every frame several times dearer (lib/Kconfig.debug)."""
LIGHT = {
    "DEBUG_PREEMPT": "DEBUG_PREEMPT",
    "DEBUG_ATOMIC_SLEEP": "DEBUG_ATOMIC_SLEEP",
    "DEBUG_SPINLOCK": "DEBUG_SPINLOCK",
    "DEBUG_MUTEXES": "DEBUG_MUTEXES",
    "DEBUG_NET": "DEBUG_NET",
    "INIT_ON_ALLOC_DEFAULT_ON": "init_on_alloc",
    "INIT_ON_FREE_DEFAULT_ON": "init_on_free",
}
"""Build options that cost some percent; distributions ship some of them."""
_SWITCHES = {
    "slub_debug": "SLUB_DEBUG_ON",
    "slab_debug": "SLUB_DEBUG_ON",
    "debug_pagealloc": "DEBUG_PAGEALLOC_ENABLE_DEFAULT",
    "init_on_alloc": "INIT_ON_ALLOC_DEFAULT_ON",
    "init_on_free": "INIT_ON_FREE_DEFAULT_ON",
    "kasan": "KASAN",
    "kmemleak": "DEBUG_KMEMLEAK",
}
"""Boot options that do what a build option does, or switch it off."""
_ONLY_IF_BUILT = {"kasan", "kmemleak"}
_OFF = {"off", "0", "-", "n"}


def _debug(machine: ProcFs, _context: Context) -> Found:
    built = machine.config()
    active = _active(set(built or ()), machine.cmdline())
    if machine.glob("proc/lockdep"):
        active.add("PROVE_LOCKING")
    heavy = [word for option, word in HEAVY.items() if option in active]
    light = [word for option, word in LIGHT.items() if option in active]
    mend = "boot a kernel without it; what was switched on at boot is off without its option"
    if heavy:
        return Found(Level.BAD, f"the kernel debugs itself: {', '.join(heavy + light)}", mend)
    if "debug" in machine.release():
        return Found(Level.WARN, f"by its name a debug kernel: {machine.release()}", mend)
    if light:
        return Found(Level.NOTE, f"the kernel checks itself: {', '.join(light)}", mend)
    if built is None:
        return Found(Level.UNKNOWN, "the kernel's build options cannot be read")
    return Found(Level.OK, "no debugging that costs")


def _active(built: set[str], cmdline: list[str]) -> set[str]:
    """The build options in effect, after the switches on the kernel's command line."""
    if "KASAN_HW_TAGS" in built:  # checked by hardware, also in production
        built = built - {"KASAN"}
    active = built - ({"DEBUG_KMEMLEAK"} if "DEBUG_KMEMLEAK_DEFAULT_OFF" in built else set())
    for name, _, value in (word.partition("=") for word in cmdline):
        option = _SWITCHES.get(name)
        if option is None:
            continue
        if value in _OFF:
            active.discard(option)
        elif option in built or name not in _ONLY_IF_BUILT:
            active.add(option)
    return active


def _tracing(machine: ProcFs, _context: Context) -> Iterator[Found]:
    for folder in ("sys/kernel/tracing", "sys/kernel/debug/tracing"):
        tracer, events = (machine.text(f"{folder}/{n}") for n in ("current_tracer", "set_event"))
        if tracer is None or events is None:
            continue
        if tracer != "nop":
            mend = f"echo nop | sudo tee /{folder}/current_tracer"
            yield Found(Level.BAD, f"the {tracer} tracer is on", mend)
        elif events:
            what = f"{len(events.split())} trace events are on, {events.split()[0]} first"
            yield Found(Level.WARN, what, f"echo | sudo tee /{folder}/set_event")
        else:
            yield Found(Level.OK, "no tracer and no trace event is on")
        return
    yield Found(Level.UNKNOWN, "tracefs is not mounted, or not for this user")


# Clocks


GOOD_CLOCKS = {
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "xen",
    "arch_sys_counter",
    "timebase",
    "riscv_clocksource",
    "tod",
}
"""Clock sources read without leaving the CPU."""


def _clock(machine: ProcFs, _context: Context) -> Found:
    folder = "sys/devices/system/clocksource/clocksource0"
    source = machine.text(f"{folder}/current_clocksource")
    available = (machine.text(f"{folder}/available_clocksource") or "").split()
    if source is None:
        return Found(Level.UNKNOWN, "the clock source cannot be read")
    if source in GOOD_CLOCKS:
        return Found(Level.OK, f"clock source is {source}")
    better = [name for name in available if name in GOOD_CLOCKS]
    mend = (
        f"echo {better[0]} | sudo tee /{folder}/current_clocksource"
        if better
        else "see dmesg | grep -i clocksource for why the tsc was given up"
    )
    return Found(Level.BAD, f"clock source is {source}", mend)


def _irq_time(machine: ProcFs, _context: Context) -> Found:
    built = machine.config()
    if built is None:
        return Found(Level.UNKNOWN, "the kernel's build options cannot be read")
    if "IRQ_TIME_ACCOUNTING" not in built:
        return Found(Level.OK, "softirq time counts as the sender's")
    options = [w.partition("=")[2].split(",") for w in machine.cmdline() if w.startswith("tsc=")]
    if any("noirqtime" in values for values in options):
        return Found(Level.OK, "softirq time counts as the sender's (tsc=noirqtime)")
    return Found(Level.NOTE, "ns/frame leaves out softirq time", "boot with tsc=noirqtime (x86)")


# Mitigations and memory


def _mitigations(machine: ProcFs, _context: Context) -> Found:
    folder = f"{CPU}/vulnerabilities"
    states = {path.rpartition("/")[2]: machine.text(path) for path in machine.glob(f"{folder}/*")}
    if not states:
        return Found(Level.UNKNOWN, "the kernel does not show its mitigations")
    active = [name for name, state in states.items() if state and state.startswith("Mitigation")]
    booted = [word for word in machine.cmdline() if word.startswith("mitigations=")]
    if not active:
        return Found(Level.OK, " ".join(["no mitigation is active", *booted]))
    noun = "mitigation is" if len(active) == 1 else "mitigations are"
    what = f"{len(active)} {noun} active ({', '.join(active)})"
    return Found(Level.NOTE, " ".join([what, *booted]))


def _huge_pages(machine: ProcFs, _context: Context) -> Found:
    path = "sys/kernel/mm/transparent_hugepage/enabled"
    text = machine.text(path)
    if text is None:
        return Found(Level.OK, "transparent huge pages are not built in")
    chosen = text.partition("[")[2].partition("]")[0]
    if chosen == "always":
        mend = f"echo madvise | sudo tee /{path}"
        return Found(Level.NOTE, "transparent huge pages are on for all memory", mend)
    return Found(Level.OK, f"transparent huge pages: {chosen}")


CHECKS = (
    Check(
        "debug kernel",
        "Checks on every lock, allocation and access make each frame several times dearer, and "
        "not each method by the same factor.",
        _debug,
    ),
    Check(
        "tracing",
        "A live trace event costs 100 to 250 ns each time a frame passes it, a function tracer as "
        "much for every function.",
        _tracing,
    ),
    Check(
        "clock source",
        "A clock in a device's register takes about a microsecond to read and, without vDSO, a "
        "system call: timestamps and the edges of slices cost as much as frames.",
        _clock,
    ),
    Check(
        "softirq time",
        "With CONFIG_IRQ_TIME_ACCOUNTING a thread's CPU clock stands still in softirqs, where "
        "lo and veth run the receive side: ns/frame does not compare with other kernels'.",
        _irq_time,
    ),
    Check(
        "mitigations",
        "They cost most at system calls and indirect calls: burst methods gain more from them "
        "than on a machine without.",
        _mitigations,
    ),
    Check(
        "huge pages",
        "Whether a frame buffer lies in a huge page is luck when khugepaged decides it, and "
        "copying from it costs fewer TLB misses then.",
        _huge_pages,
    ),
)
