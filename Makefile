# Two commands on a fresh machine: `make bench` and `make test`. Each sets up .venv first.
# `make fuzz` feeds matrices and run files to what reads them, SECONDS=60 each.
# `make sanitize` runs every method with a core built with ASan, UBSan and TSan.
# `make test-kernels` runs what depends on the kernel on Debian's: KERNELS="6.1 6.12 newest".

BIN := .venv/bin/python
MATRIX := matrices/mmap_vs_sendto.yaml

SECONDS := 60

.PHONY: bench test sanitize test-kernels fuzz lint clean

bench: .venv/ready
	$(BIN) -m bench run $(MATRIX)

test: lint
	$(BIN) -m pytest -n 2 --dist loadgroup

sanitize: .venv/ready
	$(BIN) -m pytest tests/native/test_sanitizers.py tests/native/sanitize.py

# The download is a step of its own: without root, tests have no network.
test-kernels: .venv/ready
	$(BIN) tools/kernels.py --fetch
	$(BIN) -m pytest -p no:hypothesispytest tests/kernels.py

fuzz: .venv/fuzz
	$(BIN) -m tests.fuzz matrix $(SECONDS)
	$(BIN) -m tests.fuzz run $(SECONDS)

lint: .venv/ready
	PYTHON=$(BIN) tools/compile_core.sh
	$(BIN) -m ruff check .
	$(BIN) -m ruff format --check .
	$(BIN) -m mypy

.venv/fuzz: .venv/ready
	$(BIN) -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[fuzz]'
	touch $@

.venv/ready: pyproject.toml setup.py tools/setup.sh
	tools/setup.sh

clean:
	rm -rf .venv .fuzz build *.egg-info bench/_core*.so .pytest_cache .mypy_cache .ruff_cache
