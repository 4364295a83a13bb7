# Fairlead. `make up` runs it, `make test` tests it; everything they need is installed into this checkout.
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.9
UV ?= .uv/bin/uv
UV_FILE := $(filter .uv/bin/uv,$(UV))
RUN := .venv/bin
SYNCED := .venv/.synced
READY := .venv/.ready
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help up test check lint types tests format bench drills drills-max outage clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(READY) ## run Fairlead here: NATS, Postgres, every service, simulated providers (ARGS="--demo --port 9000")
	@exec $(RUN)/fairlead up $(ARGS)

test: check tests ## everything that must hold before a change lands

check: lint types ## linter, formatter, types

lint: $(SYNCED)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: $(SYNCED)
	$(RUN)/mypy

tests: $(SYNCED)
	$(RUN)/pytest -q -n $(WORKERS) --dist loadfile $(PYTEST)

format: $(SYNCED) ## format and mend what can be mended by machine
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

bench: $(SYNCED) ## measure the edge: throughput and added latency, beside direct calls
	$(RUN)/python -m tests.load.bench $(ARGS)

outage: $(SYNCED) ## take Postgres away from health for a minute, in an incident: no alert is lost or doubled
	OUTAGE_S=$${OUTAGE_S:-60} $(RUN)/pytest -q --timeout 300 services/health/tests/test_resilience.py -k outage

drills: $(SYNCED) ## hurt a stack in every way under load; the report goes to docs/drills.md and docs/drills.html
	$(RUN)/fairlead drill run all --markdown docs/drills.md --html docs/drills.html $(ARGS)

drills-max: $(SYNCED) ## the same at the highest rate that the stack sustains here; docs/drills-max.md and .html
	$(RUN)/fairlead drill run all --rate max --markdown docs/drills-max.md --html docs/drills-max.html $(ARGS)

MEMBERS := uv.lock pyproject.toml $(wildcard */*/pyproject.toml)

# What runs, and what tests need beside it.
$(READY): $(MEMBERS) | $(UV_FILE)
	$(UV) sync --quiet --frozen --no-default-groups --inexact --python $(PYTHON)
	@touch $@

$(SYNCED): $(MEMBERS) | $(UV_FILE)
	$(UV) sync --quiet --frozen --python $(PYTHON)
	@touch $@ $(READY)

# uv itself comes from PyPI into the checkout, unless `make UV=uv ...` names one that is installed.
.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Fairlead needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv .uv || \
	  { echo "Python's venv module is missing (Debian: apt-get install python3-venv), or install uv and run: make UV=uv ..." >&2; exit 2; }
	.uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

clean: ## remove the environment and caches; data of runs (.fairlead) stays
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis
