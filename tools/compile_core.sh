#!/bin/sh
# Compiles the core, and the template of a user's engine, as others would, warnings being errors: with
# CC (gcc), for aarch64, for a CPU of 32 bits, and against musl. Names the compilers that are not
# installed, and so were left out.
set -eu
cd "$(dirname "$0")/.."
flags="$("${PYTHON:-python3}" csrc/ffi_build.py cflags) -Werror -DCORE_TEST_METHODS -Icsrc"
left_out=

compile() { # compile COMPILER [OPTION...]
	for file in csrc/*.c csrc/engines/*.c csrc/test/*.c bench/engines/template.c; do
		# shellcheck disable=SC2086 # the flags are words
		"$@" $flags '-DCORE_HASH=""' '-DCORE_FLAGS=""' -c -o /dev/null "$file"
	done
}

is_there() {
	command -v "$1" >/dev/null || {
		left_out="$left_out $1"
		return 1
	}
}

# shellcheck disable=SC2086 # CC may have options
compile ${CC:-gcc}
for compiler in aarch64-linux-gnu-gcc i686-linux-gnu-gcc; do
	if is_there $compiler; then compile $compiler; fi
done
if is_there musl-gcc; then
	# It has only musl's headers. The kernel's are the same for each C library.
	headers=$(mktemp -d)
	trap 'rm -rf "$headers"' EXIT
	for name in linux asm asm-generic; do
		for folder in /usr/include "/usr/include/$(musl-gcc -print-multiarch)"; do
			if [ -d "$folder/$name" ]; then ln -s "$folder/$name" "$headers/"; break; fi
		done
	done
	compile musl-gcc -isystem "$headers"
fi
[ -z "$left_out" ] || echo "the core was not compiled with$left_out: not installed" >&2
