# Two commands on a fresh machine: `make bench` and `make test`. Each sets up .venv first.
# `make fuzz` feeds matrices and run files to what reads them, SECONDS=60 each.
# `make mutants` puts COUNT faults into the pure code, SEED says which; tests should notice each.
# `make sanitize` runs every method with a core built with ASan, UBSan and TSan.
# `make test-kernels` runs what depends on the kernel on Debian's: KERNELS="6.1 6.12 newest".
# `make lint-nightly` checks docs/nightly/ with systemd, check-jsonschema and actionlint.
# `make pictures` draws those of README.md and docs/pictures.md.
# `make lock` renews requirements.lock; `make test-newest` tests without it, in .venv-newest.
# `make test-fresh` runs the two commands on minimal Debians: FRESH="bookworm trixie unstable".

VENV := .venv
BIN := $(VENV)/bin/python
FRESH := bookworm trixie unstable
MATRIX := matrices/mmap_vs_sendto.yaml

SECONDS := 60
COUNT := 200
SEED := 1
FILES :=

.PHONY: bench test test-newest test-fresh sanitize test-kernels kernels fuzz fuzz-matrix fuzz-run mutants lock
.PHONY: lint lint-core lint-python lint-nightly pictures clean

bench: $(VENV)/ready
	$(BIN) -m bench run $(MATRIX)

test: lint
	$(BIN) -m pytest -n 2

sanitize: $(VENV)/ready
	$(BIN) -m pytest tests/native/test_sanitizers.py tests/native/sanitize.py

test-fresh:
	python3 -m tools.fresh $(FRESH)

test-newest:
	tools/setup.sh --newest
	$(MAKE) test VENV=.venv-newest

test-kernels: kernels
	$(BIN) -m pytest -p no:hypothesispytest tests/kernels.py

# The download is a step of its own: without root, tests have no network.
kernels: $(VENV)/ready
	$(BIN) tools/kernels.py --fetch

fuzz: fuzz-matrix fuzz-run
fuzz-matrix fuzz-run: fuzz-%: $(VENV)/ready
	$(BIN) -m tests.fuzz $* $(SECONDS)

mutants: $(VENV)/ready .mutants/packages
	PYTHONPATH=.mutants/packages $(BIN) -m tools.mutants --count $(COUNT) --seed $(SEED) $(FILES)

# Beside .venv: it needs a score of packages that nothing else does.
.mutants/packages:
	$(BIN) -m pip install --quiet --disable-pip-version-check --target $@ \
		cosmic-ray==8.7.0 coverage==7.17.5

lint: $(VENV)/ready
	$(MAKE) --jobs=2 --output-sync --no-print-directory lint-core lint-python

lint-core: $(VENV)/ready
	PYTHON=$(BIN) tools/compile_core.sh

lint-python: $(VENV)/ready
	$(BIN) -m ruff check .
	$(BIN) -m ruff format --check .
	$(BIN) -m mypy
	$(BIN) -m mypy benchmarks/*.py

lint-nightly: $(VENV)/ready
	PYTHON=$(BIN) tools/lint_nightly.sh

pictures: $(VENV)/ready
	$(BIN) -m tools.pictures

lock:
	tools/lock.py

.venv/ready: pyproject.toml setup.py requirements.lock tools/setup.sh
	tools/setup.sh

clean:
	rm -rf .venv .venv-newest .fuzz .lint .mutants build *.egg-info bench/_core*.so
	rm -rf .pytest_cache .mypy_cache .ruff_cache
