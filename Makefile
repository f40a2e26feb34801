# Everything runs in a virtual environment that make builds and refreshes by itself; `make` alone lists the targets.
#
#   TORCH   cpu (the default) or cuda: which build of torch goes into the environment
#   EXTRAS  extras that are left out by default because they are large, with commas between them (environment.sh)
#   PYTHON  the interpreter, by default the first python3, python3.13, python3.12, python3.11 that is 3.11 to 3.13
#   VENV    the environment's folder, by default .venv
#
# An environment remembers its TORCH, EXTRAS and PYTHON: give them once, to `make install`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install lock lint format test repro ui bench clean FORCE

VENV ?= .venv
BIN := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))/bin

# $(VENV)/.made says what the environment was made for: build of torch with + and EXTRAS, interpreter, place
# (environment.sh says why).
MADE := $(file <$(VENV)/.made)
BUILD := $(subst +, ,$(word 1,$(MADE)))
TORCH ?= $(or $(word 1,$(BUILD)),cpu)
EXTRAS ?= $(word 2,$(BUILD))
PYTHON ?= $(or $(word 2,$(MADE)),auto)
WANT := $(TORCH)$(addprefix +,$(EXTRAS)) $(PYTHON) $(CURDIR)

# Recipes put the environment first on PATH, because DVC's stages call plain `python`.
RUN := PATH="$(BIN):$$PATH"

# No tool reports home. (DVC's own switch is in .dvc/config too, for those who call it without make.)
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := true
export ITERATIVE_DO_NOT_TRACK := true

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.installed ## make the environment and install the locked packages (TORCH=cpu or TORCH=cuda; EXTRAS=ray)
	@echo "$(VENV) is ready. Next: make repro (the pipeline, 4 to 6 minutes), then make ui; or make test"

$(VENV)/.installed: requirements.lock $(wildcard requirements-*.lock) constraints.txt pyproject.toml $(if $(filter-out =$(WANT),=$(MADE)),FORCE)
	@sh environment.sh install "$(VENV)" "$(TORCH)" "$(PYTHON)" "$(EXTRAS)"

lock: ## write the locks again after a change of dependencies (ARGS=--upgrade: newest versions)
	@sh environment.sh lock "$(PYTHON)" $(ARGS)

test: lint ## lint, then run the tests (ARGS="-k price")
	$(RUN) OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not server" $(ARGS)

lint: $(VENV)/.installed ## check style, format, types, imports and shell scripts
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) shellcheck environment.sh .ci/run

format: $(VENV)/.installed ## format the code, and fix what ruff can fix
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

repro: $(VENV)/.installed ## run the pipeline, then print the leaderboard
	@$(RUN) python -m rnnlab.config.lockfiles
	$(RUN) dvc repro $(ARGS)
	@$(RUN) python pipelines/report.py report.write=false tracking=sync

ui: $(VENV)/.installed ## open the MLflow UI on 127.0.0.1
	@$(RUN) python pipelines/ui.py $(ARGS)

bench: $(VENV)/.installed ## run the benchmarks (ARGS="...")
	$(RUN) python -m benchmarks.run $(ARGS)

clean: ## delete caches; results, data, the MLflow store and the environment stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find $(wildcard src tests pipelines benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +
