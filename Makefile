# Everything runs in one virtual environment, $(VENV): `make serve` puts into it what serving needs,
# the other targets add the rest. Each step leaves a stamp and is done again when what it read changes.

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
JOBS ?= 2
UV ?= uv

bin := $(VENV)/bin
pip := -m pip --quiet --disable-pip-version-check --no-input install
quick := not slow and not gpu and not network
lock := pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" --quiet

.PHONY: help serve install test test-full lint format bench wheel-test lock clean
.DELETE_ON_ERROR:

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(VENV)/.stamp-project ## Answer on http://HOST:PORT, installing what that needs
	$(bin)/hplaw serve --host $(HOST) --port $(PORT)

install: $(VENV)/.stamp-all ## Install everything that the other targets need

test: $(VENV)/.stamp-all ## Run the tests, without slow ones and those that need a GPU or the internet
	$(bin)/python -m pytest -n $(JOBS) -m "$(quick)" $(ARGS)

test-full: $(VENV)/.stamp-all ## Run all tests that this machine can
	$(bin)/python -m pytest -n $(JOBS) --hypothesis-profile=thorough $(ARGS)

lint: $(VENV)/.stamp-all ## Check style, types, and who imports whom
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/lint-imports
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(bin)/pyright --pythonpath $(bin)/python

format: $(VENV)/.stamp-all ## Fix what a program can fix
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

bench: $(VENV)/.stamp-bench ## Measure speed and quality
	$(bin)/python -m benchmarks $(ARGS)

# The wheel is tried where the tree is out of sight: what works here works for who installs it.
wheel-test: $(VENV)/.stamp-project ## Build the wheel and try it in a fresh environment
	@set -e; there=$$(mktemp -d); trap 'rm -rf "$$there"' EXIT INT TERM; \
	$(bin)/hatchling build -t wheel -d "$$there"; \
	$(PYTHON) -m venv "$$there/venv"; \
	"$$there/venv/bin/python" $(pip) --require-hashes -r requirements/serve.lock; \
	"$$there/venv/bin/python" $(pip) --no-deps "$$there"/hplaw-*.whl; \
	cp tests/wheel_check.py "$$there"; \
	cd "$$there"; env -u PYTHONPATH -u HPLAW_LAWS "$$there/venv/bin/python" -I wheel_check.py

lock: ## Choose newer versions of all dependencies (needs uv)
	$(UV) $(lock) --upgrade --extra api --group build -o requirements/serve.lock
	$(UV) $(lock) --upgrade --extra all --group dev -c requirements/serve.lock -o requirements/all.lock

clean: ## Remove what was made here, the environment too
	rm -rf $(VENV) dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("hplaw needs Python 3.11 or newer, this is %d.%d: try make PYTHON=python3.11" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-serve: requirements/serve.lock $(VENV)/.stamp-venv
	$(bin)/python $(pip) --require-hashes -r requirements/serve.lock
	@touch $@

# pip refuses -e under --require-hashes, so the project goes in alone, after its dependencies; and as pip compiles
# no tree, that is done here, where it would else be part of every start with PYTHONDONTWRITEBYTECODE set.
$(VENV)/.stamp-project: pyproject.toml $(VENV)/.stamp-serve
	$(bin)/python $(pip) --no-deps --no-build-isolation -e .
	$(bin)/python -m compileall -q hplaw api experiments fitted_laws
	@touch $@

$(VENV)/.stamp-all: requirements/all.lock $(VENV)/.stamp-project
	$(bin)/python $(pip) --require-hashes -r requirements/all.lock
	@touch $@

# PyTorch is compared with where it can be had: without it that comparison is left out.
$(VENV)/.stamp-bench: requirements/bench.txt $(VENV)/.stamp-all
	@if $(bin)/python $(pip) -r requirements/bench.txt; then touch $@; else echo "PyTorch cannot be had: it is not compared with"; fi
