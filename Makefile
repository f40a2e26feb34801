# Everything runs in a virtual environment that make builds and refreshes by itself; `make` alone lists the targets.
#
#   TORCH   cpu (the default) or cuda: which build of torch goes into the environment
#   PYTHON  the interpreter, by default the first python3, python3.13, python3.12, python3.11 that is 3.11 to 3.13
#   VENV    the environment's folder, by default .venv
#
# An environment remembers its TORCH and PYTHON: give them once, to `make install`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install lock lint format test repro ui bench clean FORCE

VENV ?= .venv
BIN := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))/bin

# $(VENV)/.made says what the environment was made for: build of torch, interpreter, place. An environment cannot be
# moved (its scripts and the editable install hold its path), so a copied checkout makes its own.
MADE := $(file <$(VENV)/.made)
TORCH ?= $(or $(word 1,$(MADE)),cpu)
PYTHON ?= $(or $(word 2,$(MADE)),auto)
WANT := $(TORCH) $(PYTHON) $(CURDIR)

TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)
UV_VERSION := 0.13.9

# Recipes put the environment first on PATH, because DVC's stages call plain `python`.
RUN := PATH="$(BIN):$$PATH"
PIP := "$(BIN)/python" -m pip --disable-pip-version-check --no-input

# No tool reports home. (DVC's own switch is in .dvc/config too, for those who call it without make.)
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := true
export ITERATIVE_DO_NOT_TRACK := true

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.installed ## make the environment and install the locked packages (TORCH=cpu or TORCH=cuda)

test: lint ## lint, then run the tests (ARGS="-k price")
	$(RUN) OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" $(ARGS)

lint: $(VENV)/.installed ## check style, format and types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

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

# --- the environment ---

# Plain sh, so that a missing interpreter or venv module is named. An environment that make did not make is left alone.
define make_venv
case "$(TORCH)" in cpu|cuda) ;; *) echo "TORCH is cpu or cuda, not $(TORCH)" >&2; exit 2;; esac; \
test -n "$(TORCH_VERSION)" || { echo "constraints.txt names no torch version" >&2; exit 2; }; \
if test "$(MADE)" = "$(WANT)" && $(PIP) --version >/dev/null 2>&1; then exit 0; fi; \
if test -e "$(VENV)" && ! test -e "$(VENV)/.made"; then \
	echo "$(VENV) was not made by this Makefile: remove it, or name another folder with VENV=..." >&2; exit 2; fi; \
for python in $(if $(filter auto,$(PYTHON)),python3 python3.13 python3.12 python3.11,$(PYTHON)); do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && break; \
	python=; \
done; \
if test -z "$$python"; then \
	echo "no Python 3.11, 3.12 or 3.13 found (PYTHON=$(PYTHON)); on Debian: apt-get install python3 python3-venv" >&2; exit 2; fi; \
if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	echo "$$python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 2; fi; \
echo "making $(VENV) with $$($$python --version) and the $(TORCH) build of torch $(TORCH_VERSION)"; \
rm -rf "$(VENV)" && mkdir -p "$(VENV)" && echo "$(WANT)" >"$(VENV)/.made" && "$$python" -m venv "$(VENV)"
endef

# CPU: the user's own index or wheel folder may have the build; else PyTorch's own index. torch's dependencies are in
# the lock. CUDA: PyPI's build, which brings several GB of NVIDIA's packages.
define install_torch_cpu
err=$$($(PIP) install -q --no-deps "torch==$(TORCH_VERSION)+cpu" 2>&1) || case "$$err" in \
	*"No matching distribution"*|*ResolutionImpossible*) $(PIP) install -q --no-deps "torch==$(TORCH_VERSION)+cpu" \
		--index-url https://download.pytorch.org/whl/cpu;; \
	*) echo "$$err" >&2; exit 1;; esac
endef
define install_torch_cuda
$(PIP) install -q "torch==$(TORCH_VERSION),!=$(TORCH_VERSION)+cpu"
endef

# The stamp is removed before the first change and written last: an interrupted install is not taken for a whole one.
$(VENV)/.installed: requirements.lock constraints.txt pyproject.toml $(if $(filter-out =$(WANT),=$(MADE)),FORCE)
	@$(make_venv)
	@rm -f "$@"
	@echo "installing the locked packages"
	@$(PIP) install -q --no-deps --require-hashes -r requirements.lock
	@echo "installing torch $(TORCH_VERSION), $(TORCH) build"
	@$(install_torch_$(TORCH))
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@$(PIP) check
	@touch "$@"

# Versions already in the lock stay where they still fit; ARGS=--upgrade takes the newest of all, and
# ARGS="--upgrade-package mlflow" of one. torch and its CUDA packages take part in the resolution and are then left out.
lock: ## write requirements.lock anew after a change of dependencies (ARGS=--upgrade: newest versions)
	test -e .venv-lock/bin/python || $(or $(filter-out auto,$(PYTHON)),python3) -m venv .venv-lock
	.venv-lock/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	cp requirements.lock .requirements.part 2>/dev/null || :
	.venv-lock/bin/uv pip compile pyproject.toml --all-extras -c constraints.txt -o .requirements.part -q \
		--universal --python-version 3.11 --fork-strategy fewest --generate-hashes --annotation-style line \
		--custom-compile-command "make lock" $(ARGS)
	awk '/^[a-z0-9]/ { drop = /^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==/ } !drop' \
		.requirements.part >.requirements.checked.part
	! grep -nE '://|^ *-[a-z-]*(index|find-links)|^[a-z0-9][^=]* @ ' .requirements.checked.part
	mv .requirements.checked.part requirements.lock
	rm -f .requirements.part
