# Needs: python3 (3.11, 3.12 or 3.13) with venv, make, git. Everything else comes from uv.lock.

PYTHON ?= python3
UV_VERSION := 0.13.9
WORKERS ?= 2

SEED := 7
CUSTOMERS := 2000
AS_OF := 2026-07-01T00:00:00Z

VENV := .venv
BIN := $(VENV)/bin
UV_HOME := $(VENV)/uv
READY := $(VENV)/.ready
SYNC := $(UV_HOME)/bin/uv sync --frozen --quiet
JOURNEY := $(BIN)/journey
LANDING = $(or $(JOURNEY_LANDING),$(or $(JOURNEY_HOME),.journey)/landing)

CHROMIUM := $(if $(shell command -v chromium),,chromium-is-missing)

export UV_COMPILE_BYTECODE := 1
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)

.DEFAULT_GOAL := help
.PHONY: help setup demo docs test test-fast test-long test-browser screenshots lint format

help:  ## show these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(READY)  ## make the environment (.venv) from the lock

$(READY): uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
	    echo "$$($(PYTHON) --version 2>&1) will not do: Python 3.11, 3.12 or 3.13 is needed." \
	        "Name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV)
	@test -x $(UV_HOME)/bin/uv || { $(PYTHON) -m venv $(UV_HOME) && $(UV_HOME)/bin/python -m pip \
	    install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@$(SYNC) --no-install-project || { \
	    echo "Trying again with the certificates of this system." >&2; \
	    $(SYNC) --no-install-project --system-certs; }
	@$(SYNC)
	@touch $@

demo: setup  ## sample data through the whole warehouse, ending with one customer's story
	$(JOURNEY) up --database-only
	@if [ -z "$$(ls -A "$(LANDING)" 2>/dev/null)" ]; then \
	    set -x; $(JOURNEY) sample "$(LANDING)" --customers $(CUSTOMERS) --seed $(SEED); fi
	$(JOURNEY) build --as-of $(AS_OF)
	$(JOURNEY) deliver
	$(JOURNEY) story mara.lindqvist@example.com --tenant aurora
	$(JOURNEY) overview

docs: setup  ## write the data dictionary from the declarations of the models
	$(BIN)/python -m orchestration.dictionary

test: setup  ## every test but those in a browser
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/browser tests

test-fast: setup  ## the tests that need no database
	$(BIN)/pytest -q tests/unit

test-long: setup  ## the long proofs at their full counts
	JOURNEY_LONG=1 $(BIN)/pytest -m long tests

test-browser: setup $(CHROMIUM)  ## the pages of the dashboard in Chromium
	$(BIN)/pytest -q tests/browser

screenshots: setup $(CHROMIUM)  ## the pictures of the docs, of a sample as large as the demo's
	JOURNEY_PICTURES=$(CUSTOMERS) $(BIN)/pytest -q tests/browser/test_pictures.py

.PHONY: chromium-is-missing
chromium-is-missing:
	@echo "Chromium is missing. Install it, on Debian with: apt-get install chromium" >&2; exit 1

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --processes $(WORKERS) --disable-progress-bar dbt_project/models tests/dbt
	$(BIN)/sqlfluff lint --disable-progress-bar --config orchestration/dashboard/pages/sqlfluff.cfg \
	    orchestration/dashboard/pages
	$(BIN)/mypy

format: setup  ## let the formatters do it
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
