#!/bin/sh
# Compiles the core as others would, warnings being errors: with CC (gcc), for aarch64, for a CPU of
# 32 bits, and against musl. Says which of them it left out, as no compiler is installed for it.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
flags="$("$python" csrc/ffi_build.py cflags) -Werror -DCORE_TEST_METHODS"

# musl-gcc has musl's headers only. The kernel's are the same for each C library.
headers=$(mktemp -d)
trap 'rm -rf "$headers"' EXIT
for name in linux asm asm-generic; do
	for folder in /usr/include "/usr/include/$(gcc -print-multiarch)"; do
		if [ -d "$folder/$name" ]; then ln -s "$folder/$name" "$headers/"; break; fi
	done
done

left_out=
for compiler in "${CC:-gcc}" aarch64-linux-gnu-gcc i686-linux-gnu-gcc "musl-gcc -isystem $headers"; do
	if ! command -v "${compiler%% *}" >/dev/null; then
		left_out="$left_out ${compiler%% *}"
		continue
	fi
	for file in csrc/*.c csrc/test/*.c; do
		# Flags and a compiler's options are words: no quotes.
		$compiler $flags '-DCORE_HASH=""' '-DCORE_FLAGS=""' -c -o /dev/null "$file"
	done
done
[ -z "$left_out" ] || echo "core not compiled by$left_out: not installed" >&2
