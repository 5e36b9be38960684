#!/bin/sh
# Sets up .venv in this checkout: the virtual environment, bench and its C core, the test tools.
# Needs python3 (3.11 or later), gcc and make; what Debian splits off (venv, headers) is installed
# by apt-get when root may, and named otherwise.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

say() { printf 'setup: %s\n' "$*" >&2; }

install() { # install PACKAGE... : what a fresh Debian lacks
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		say "missing: $*; install it as root (apt-get install $*)"
		exit 2
	fi
	say "installing $*"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	say "$python is $("$python" -V 2>&1): bench needs Python 3.11 or later (set PYTHON)"
	exit 2
}

missing=
command -v "${CC:-gcc}" >/dev/null || missing=gcc
printf '#include <linux/if_packet.h>\n#include <stdio.h>\n' | "${CC:-gcc}" -E - >/dev/null 2>&1 ||
	missing="$missing libc6-dev"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
"$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
	missing="$missing python3-dev"
# shellcheck disable=SC2086 # one word for each package
[ -z "$missing" ] || install $missing

[ -x .venv/bin/python ] || "$python" -m venv .venv
say "installing bench and its tools into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
cp pyproject.toml .venv/ready
