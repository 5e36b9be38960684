/*
 * Methods of the user's own C files, which bench/engines/own.py compiles. Each is a library that is
 * linked with this core and has one tx_method, bench_method.
 *
 * A cell is opened in a worker, whose death is that cell's. But bench itself loads methods, and asks them
 * for what they refuse and need, and whether the kernel offers them. It loads a method of the user's own in
 * a child first, and asks it in one, so that a crash or an endless loop there ends no run.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core.h"

#define PATIENCE_NS (5 * NSEC_PER_SEC)

static const struct tx_method *methods[CORE_MAX_OWN];
static unsigned int method_nr;

const struct tx_method *own_method(unsigned int index)
{
	return index < method_nr ? methods[index] : NULL;
}

bool own_has(const struct tx_method *method)
{
	unsigned int i;

	for (i = 0; i < method_nr && methods[i] != method; i++)
		;
	return i < method_nr;
}

/* What is said without the text of an errno. */
static int __attribute__((format(printf, 2, 3)))
refuse(struct core_error *error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	error->code = -EINVAL;
	return error->code;
}

/* Asking in a child */

/* What a child is asked; it answers in memory that both have. */
struct question {
	const char *path;
	const struct tx_method *method;
	const struct tx_config *config;
	unsigned int page_size;
	struct core_problems problems;
	struct tx_memory memory;
	struct tx_numbering numbering;
	struct core_error error;
	bool answered;
};

static struct question *question_make(const struct tx_method *method)
{
	struct question *question = mmap(NULL, sizeof(*question), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (question == MAP_FAILED)
		return NULL;
	question->method = method;
	return question;
}

/* How a child ended that did not answer; "" if it did. */
static const char *child_end(pid_t child, const struct question *question)
{
	const struct timespec nap = { .tv_nsec = 100000 };
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	int status;
	pid_t ended;

	while (!(ended = waitpid(child, &status, WNOHANG))) {
		if (clock_ns(CLOCK_MONOTONIC) >= deadline_ns) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return "did not return within 5 s";
		}
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	if (ended < 0)
		return "ended, and nobody knows how";
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	return question->answered ? "" : "ended the process";
}

static const char *ask(struct question *question, void (*hook)(struct question *question))
{
	const pid_t parent = getpid();
	const pid_t child = fork();

	if (child < 0)
		return "was not asked: fork failed";
	if (child)
		return child_end(child, question);
	prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0, 0, 0);
	if (getppid() == parent) {
		hook(question);
		question->answered = true;
	}
	_exit(0);
}

static void ask_probe(struct question *question)
{
	question->method->probe(&question->error);
}

int own_probe(const struct tx_method *method, struct core_error *error)
{
	struct question *question = question_make(method);
	const char *end;

	if (!question)
		return error_set(error, errno, "memory for a probe");
	end = ask(question, ask_probe);
	*error = question->error;
	munmap(question, sizeof(*question));
	return *end ? refuse(error, "its probe: %s", end) : error->code;
}

static void ask_config(struct question *question)
{
	const struct tx_method *method = question->method;
	struct tx_config shaped = *question->config;

	frame_shape(method, &shaped);
	if (method->check)
		method->check(&shaped, question->page_size, &question->problems);
	if (method->memory)
		question->memory = method->memory(&shaped);
	if (method->numbering)
		question->numbering = method->numbering(&shaped);
	question->numbering.headers = shaped.headers;
	question->numbering.segments = shaped.segments;
}

/* All that a method says of a config; nothing but a problem where it gave no answer. */
static struct question config_asked(const struct tx_method *method, const struct tx_config *config,
				    unsigned int page_size)
{
	struct question *question = question_make(method), answer = { 0 };
	const char *end = "no memory to ask in";

	if (question) {
		question->config = config;
		question->page_size = page_size;
		end = ask(question, ask_config);
		if (!*end)
			answer = *question;
		munmap(question, sizeof(*question));
	}
	if (*end)
		problem_add(&answer.problems, "method",
			    "%s: its shape, check, memory or numbering: %s", method->info.name, end);
	return answer;
}

bool own_check(const struct tx_method *method, const struct tx_config *config,
	       unsigned int page_size, struct core_problems *problems)
{
	const struct question answer = config_asked(method, config, page_size);

	*problems = answer.problems;
	return answer.answered;
}

struct tx_memory own_memory(const struct tx_method *method, const struct tx_config *config)
{
	return config_asked(method, config, (unsigned int)sysconf(_SC_PAGESIZE)).memory;
}

struct tx_numbering own_numbering(const struct tx_method *method, const struct tx_config *config)
{
	return config_asked(method, config, (unsigned int)sysconf(_SC_PAGESIZE)).numbering;
}

/* Loading */

static void ask_load(struct question *question)
{
	dlopen(question->path, RTLD_NOW | RTLD_LOCAL);
}

/* Its constructors run where it is loaded: one that ends the process, or never returns. */
static int constructors_check(const char *path, struct core_error *error)
{
	struct question *question = question_make(NULL);
	const char *end;

	if (!question)
		return error_set(error, errno, "memory for a question");
	question->path = path;
	end = ask(question, ask_load);
	munmap(question, sizeof(*question));
	return *end ? refuse(error, "its constructors: %s", end) : 0;
}

/* Once it has answered here it is asked directly. */
static void ask_longest(struct question *question)
{
	question->method->longest((unsigned int)sysconf(_SC_PAGESIZE));
}

static int longest_check(const struct tx_method *method, struct core_error *error)
{
	struct question *question;
	const char *end;

	if (!method->longest)
		return 0;
	question = question_make(method);
	if (!question)
		return error_set(error, errno, "memory for a question");
	end = ask(question, ask_longest);
	munmap(question, sizeof(*question));
	return *end ? refuse(error, "its longest: %s", end) : 0;
}

static int method_check(const struct tx_method *method, struct core_error *error)
{
	const struct method_info *info = &method->info;

	if (!info->name || !info->help || !info->path)
		return refuse(error, "its bench_method lacks %s in .info",
			      !info->name ? "a name" : !info->help ? "help" : "a path");
	if (method_find(info->name))
		return refuse(error, "there is a method %s already; give it another name",
			      info->name);
	if (method_lacks(method))
		return refuse(error, "method %s lacks %s", info->name, method_lacks(method));
	if (method_nr == CORE_MAX_OWN)
		return refuse(error, "method %s is one too many; at most %d", info->name,
			      CORE_MAX_OWN);
	return longest_check(method, error);
}

/* A library that is linked with another core would have that core's helpers. */
static int library_check(void *library, struct core_error *error)
{
	if (!dlsym(library, "bench_method"))
		return refuse(error,
			      "it defines no method: `const struct tx_method bench_method = {...};`");
	if (dlsym(library, "core_hash") != (void *)core_hash)
		return refuse(error, "it is linked with another core");
	return method_check(dlsym(library, "bench_method"), error);
}

int core_own_load(const char *path, struct core_error *error)
{
	void *library;
	int err;

	error->code = 0;
	err = constructors_check(path, error);
	if (err)
		return err;
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return refuse(error, "%s", dlerror());
	err = library_check(library, error);
	if (err) {
		dlclose(library);
		return err;
	}
	methods[method_nr++] = dlsym(library, "bench_method");
	return core_method_count() - 1;
}
