# Every verb sets up what it needs, once. Only python3 (3.11 or newer) with venv, and make, have to be there.

PYTHON ?= python3
BIN := .venv/bin
STRETTO := $(BIN)/stretto

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench faults docs dev models

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## Set up .venv with all that a user needs
	@$(PYTHON) scripts/install.py local

demo: install  ## Pull the default models once, then hold a short conversation
	@$(STRETTO) demo

test: dev models  ## Run all tests
	@STRETTO_MODELS_REQUIRED=1 $(BIN)/python -m pytest -q

check: dev  ## Check style, layers and types
	@echo "ruff check" && $(BIN)/ruff check .
	@echo "ruff format --check" && $(BIN)/ruff format --check .
	@echo "lint-imports" && $(BIN)/lint-imports --no-logo
	@echo "pyright" && $(BIN)/pyright

bench: dev  ## Run all benchmarks and print a table
	@$(BIN)/python scripts/bench.py

faults: dev  ## Kill an agent at every fault point under 20 seeds, and at 200 random times
	@STRETTO_SEEDS=20 STRETTO_FAULT_TIMES=200 $(BIN)/python -m pytest -q --timeout 7200 tests/faults

docs: dev  ## Not there yet: the documentation as pages
	@echo "make docs: not there yet, see ROADMAP.md; until then: README.md and docs/" && exit 1

dev:
	@$(PYTHON) scripts/install.py dev local

models: dev
	@$(STRETTO) models pull smollm2-135m minilm
