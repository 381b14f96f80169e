# Two commands matter: `make demo` runs the main job, `make test` passes the tests. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PATIENTS ?= 10000
SERVE ?= 1
PORT ?= 8000
# Each of the many processes that tests and the demonstration start would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo clean-demo test check fix bench bench-turnaround fuzz audit lock

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The lists hold every package that any of them needs, so pip has nothing to work out (--no-deps): left to itself, pip
# 23 looks at the newest release of a package asked for with an extra, and stops since that one has no hash here.
$(VENV)/installed: deploy/requirements.txt pyproject.toml plugins/pyproject.toml $(wildcard indicator_packs/*/pyproject.toml)
	@echo "Installing Python packages into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r deploy/requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e plugins -e . $(patsubst %/pyproject.toml,-e %,$(wildcard indicator_packs/*/pyproject.toml))
	@touch $@

$(VENV)/installed-dev: deploy/requirements-dev.txt $(VENV)/installed
	@echo "Installing what tests and checks need"
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r deploy/requirements-dev.txt
	@touch $@

web/cohortium_web/static/vendor/installed: package.json package-lock.json deploy/install-assets.sh $(VENV)/installed
	@bash deploy/install-assets.sh
	@touch $@

demo: $(VENV)/installed web/cohortium_web/static/vendor/installed ## start everything with two synthetic tenants (PATIENTS=10000 SERVE=1 PORT=8000)
	@$(BIN)/cohortium demo --patients $(PATIENTS) --port $(PORT) $(if $(filter 0,$(SERVE)),--no-serve,--serve)

clean-demo: ## stop the demo and remove all it made
	@if test -x $(BIN)/cohortium; then $(BIN)/cohortium clean-demo; fi
	@rm -rf .demo

test: $(VENV)/installed-dev web/cohortium_web/static/vendor/installed ## install what tests need and run them all
	@bash deploy/install-chromium.sh
	@bash deploy/install-java.sh
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(VENV)/installed-dev ## lint, types, layers and guards; changes nothing
	@test -z "$$(ls -- */__init__.py platform/*.py 2>/dev/null)" || { echo "A top-level folder is a path root: no __init__.py in it"; exit 1; }
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/lint

fix: $(VENV)/installed-dev ## mend what a machine can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

$(VENV)/installed-bench: deploy/requirements-bench.txt $(VENV)/installed-dev
	@echo "Installing what benchmarks compare with"
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r deploy/requirements-bench.txt
	@touch $@

bench: $(VENV)/installed-bench ## measure; prints numbers with the machine, never fails on time
	@$(BIN)/python -m pytest -q -s tests/benchmarks -p no:cacheprovider -o python_files='bench_*.py'

bench-turnaround: $(VENV)/installed-dev ## from a saved definition to new tiles, stage by stage (PEOPLE=100000)
	@BENCH_PEOPLE=$${PEOPLE:-100000} $(BIN)/python -m pytest -q -s tests/benchmarks/bench_turnaround.py -p no:cacheprovider -o python_files='bench_*.py'

fuzz: $(VENV)/installed-dev ## compare the engines on generated definitions for long (FUZZ_EXAMPLES=20000)
	@bash deploy/install-java.sh
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-20000} $(BIN)/python -m pytest -q tests/platform/test_engine_agreement.py

$(VENV)/audit/installed: deploy/requirements-audit.txt
	@echo "Installing what asks for known weaknesses, apart from what runs Cohortium"
	@$(PYTHON) -m venv $(VENV)/audit
	@$(VENV)/audit/bin/python -m pip install --quiet --no-deps --require-hashes -r deploy/requirements-audit.txt
	@touch $@

audit: $(VENV)/audit/installed ## ask for known weaknesses of every pinned package; no part of check, since nobody may answer
	@$(VENV)/audit/bin/python deploy/audit.py

lock: ## pin every package anew, with hashes and no addresses (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --no-emit-package cohortium-plugins --extra demo -o deploy/requirements.txt pyproject.toml deploy/requirements.in
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --no-emit-package cohortium-plugins --extra demo --extra spark --group dev -c deploy/requirements.txt -o deploy/requirements-dev.txt pyproject.toml deploy/requirements.in
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group bench -c deploy/requirements-dev.txt -o deploy/requirements-bench.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group audit -c deploy/requirements-bench.txt -o deploy/requirements-audit.txt
