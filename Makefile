# What a developer does here. `make` lists it. Each verb makes the environment that it needs.
PYTHON ?= python3
SUITES = $(PYTHON) -u .ci/suites.py

.DEFAULT_GOAL := help
.PHONY: help demo check test test-long bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run the examples with the embedded default (SQLite under build/demo-home)
	@$(SUITES) demo

check: ## lint, types, import rules, unit tests
	@$(SUITES) check

test: ## check, and the tests against real services, a real Dagster and the other Pythons found here
	@$(SUITES) test

test-long: ## test, with the full counts
	@$(SUITES) test-long

bench: ## the benchmarks beside Dagster
	@$(SUITES) bench

clean: ## remove environments, builds and caches; stop services that a killed test left
	@$(SUITES) clean
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
