# Two commands on a fresh machine: `make bench` and `make test`. Each sets up .venv first.

PYTHON := .venv/bin/python
MATRIX := matrices/mmap_vs_sendto.yaml
CORE_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -fsyntax-only \
	-DCORE_HASH='""' -DCORE_FLAGS='""' -DCORE_TEST_METHODS

.PHONY: bench test lint clean

bench: .venv/ready
	$(PYTHON) -m bench run $(MATRIX)

test: lint
	$(PYTHON) -m pytest

lint: .venv/ready
	$(CC) $(CORE_CFLAGS) csrc/*.c csrc/test/*.c
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

.venv/ready: pyproject.toml setup.py tools/setup.sh
	tools/setup.sh

clean:
	rm -rf .venv build *.egg-info bench/_core*.so .pytest_cache .mypy_cache .ruff_cache
