/*
 * Errors: a code and one sentence of fixed size that names the call. Problems: one that names the
 * option.
 */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>

#include "core.h"

/* Untranslated, whatever the locale, and safe in threads. The locale "C" is static: nothing to free. */
static const char *errno_text(int code)
{
	return strerror_l(code, newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

int error_set(struct core_error *error, int code, const char *format, ...)
{
	va_list arguments;
	int length;

	error->code = -code;
	va_start(arguments, format);
	length = vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	if (length >= 0 && (size_t)length < sizeof(error->text))
		snprintf(error->text + length, sizeof(error->text) - (size_t)length, ": %s",
			 errno_text(code));
	return -code;
}

int thread_fail(struct tx_thread *thread, int code, const char *call)
{
	if (!thread->error.code)
		error_set(&thread->error, code, "%s (thread %u)", call, thread->index);
	return -code;
}

void problem_add(struct core_problems *problems, const char *option, const char *format, ...)
{
	struct core_problem *problem;
	va_list arguments;

	if (problems->number == CORE_MAX_PROBLEMS)
		return;
	problem = &problems->list[problems->number++];
	problem->option = option;
	va_start(arguments, format);
	vsnprintf(problem->text, sizeof(problem->text), format, arguments);
	va_end(arguments);
}
