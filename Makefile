# `make` lists the targets. Everything lives in .venv and ~/.cache/tidegate; nothing else is touched (apt-get, as root,
# installs Java 17 and Chromium where they are missing; for tests it unpacks Prometheus, Alertmanager and Postgres into the cache,
# and links /usr/share/prometheus to it).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UP ?=
TEST ?=

.PHONY: help setup browser tools up test check snapshots bench board ci clean
.DEFAULT_GOAL := help

help: ## List the targets.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 12

.venv/.ready: .requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Tidegate needs Python 3.11; say which by PYTHON=/path/to/python3.11")'
	@echo "making .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9 || true
	@echo "installing the packages of .requirements.lock"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r .requirements.lock \
	  || $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r .requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: .venv/.ready ## Prepare .venv/bin/tidegate, Java and the jars.
	@$(BIN)/python -P -m controlplane.setup

browser: .venv/.ready
	@$(BIN)/python -P -m controlplane.setup --browser

tools: .venv/.ready
	@$(BIN)/python -P -m controlplane.setup --browser --postgres --prometheus

up: setup ## Run the platform with the demo streams (options: UP="--rate 2000").
	@exec $(BIN)/tidegate up $(UP)

# What wants both cores runs by itself: `alone` and `faults`, a platform each, and `integration`, whose tests share one.
test: tools ## Run all tests (options: TEST="tests/unit").
ifeq ($(TEST),)
	$(BIN)/python -m pytest -n 2 tests/unit tests/architecture
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/browser tests/spark tests/platforms
	$(BIN)/python -m pytest tests/alone tests/faults
	$(BIN)/python -m pytest tests/integration
else
	$(BIN)/python -m pytest $(TEST)
endif

check: .venv/.ready ## ruff, format, mypy strict, import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

snapshots: browser ## Draw every page of the console anew, for review (tests/browser/snapshots).
	$(BIN)/python -m pytest -q tests/browser/test_snapshots.py --keep-snapshots

bench: browser ## Measure throughput and latency on this machine.
	$(BIN)/tidegate bench throughput
	$(BIN)/tidegate bench latency

board: .venv/.ready ## Build the wall board (needs Node 20 or newer; what is built is committed, so nothing else does).
	@cd dash_app/board && npm ci --no-audit --no-fund && npm run build
	@$(BIN)/python -P -m dash_app.board_sources

ci: ## Exactly what CI runs.
	.ci/run

clean: ## Remove .venv and the data folder.
	rm -rf .venv .tidegate
