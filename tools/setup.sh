#!/bin/sh
# Sets up .venv in this checkout: the virtual environment, bench and its C core, the test tools, in
# the versions of requirements.lock. --newest: .venv-newest, in the newest ones that pyproject.toml
# allows.
# Needs python3 (3.11 or later), gcc and make. Debian's split-off packages (venv, headers) and the
# programs that tests call are installed by apt-get if root may, and named otherwise.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=.venv${1:+-${1#--}}

say() { printf 'setup: %s\n' "$*" >&2; }

install() { # install PACKAGE...
	say "installing $*"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

pip() { "$venv/bin/python" -m pip "$@" --quiet --disable-pip-version-check; }

case ${1-} in '' | --newest) ;; *)
	say "unknown argument $1; --newest is the only one"
	exit 2
	;;
esac
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
tests= # programs that some tests call, and bench does not
command -v ip >/dev/null || tests=iproute2
command -v git >/dev/null || tests="$tests git"
command -v ethtool >/dev/null || [ -x /usr/sbin/ethtool ] || tests="$tests ethtool"

# shellcheck disable=SC2086 # one word per package
set -- $missing $tests
if [ $# -gt 0 ]; then
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
		install "$@"
	elif [ -n "$missing" ]; then
		say "missing: $*; install it as root (apt-get install $*)"
		exit 2
	else
		say "missing: $*; tests that need it are skipped (apt-get install $*)"
	fi
fi

say "installing bench and its tools into $venv"
if [ "$venv" = .venv ]; then
	# An environment of another lock would keep packages that this one no longer has.
	[ -x $venv/bin/python ] && cmp -s requirements.lock $venv/ready || "$python" -m venv --clear $venv
	pip install --require-hashes --only-binary :all: -r requirements.lock
	# The lock has the build's packages, too: an isolated build would fetch the newest.
	pip install --no-deps --no-build-isolation -e .
	pip check >&2 || {
		say "requirements.lock does not fit pyproject.toml; make lock renews it"
		exit 1
	}
else
	"$python" -m venv --clear $venv
	pip install -e '.[dev,fuzz,report]'
fi
cp requirements.lock $venv/ready
