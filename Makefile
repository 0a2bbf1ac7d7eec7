# What can be done here. On a machine with only Python 3.11, git, make and apt, each target brings what it needs.
SHELL := /bin/bash
# The distribution's Python where it can make a virtual environment: it is built with profile and link-time optimisation,
# and a waiting room on one that is not takes a third more CPU. Never that of an environment which happens to be active.
PYTHONS := /usr/bin/python3.11 python3.11 python3
PYTHON ?= $(shell for needs in sys,ensurepip,venv sys; do for each in $(PYTHONS); do \
	$$each -c "import $$needs; print(sys._base_executable)" 2>/dev/null && exit; done; done)
VENV ?= .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
ARGS ?=
# Most tests wait for something most of the time, so a few files run beside each other; those that measure, or take
# all that there is, run alone.
JOBS ?= 3
ALONE := tests/streams tests/bench tests/server/test_amplification.py tests/dashboard tests/simulation
export PYTHON
export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo test check bench real comeback machine screenshots docs plots fmt clean lint types floors

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@bash .ci/system venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## a sample exam server, the waiting room, a crowd: make demo ARGS="--students 200"
	$(BIN)/waitroom demo $(ARGS)

test: $(STAMP) ## all tests: make test ARGS="tests/store -x"
	@bash .ci/system chromium nginx haproxy caddy varnishtest slowhttptest curl openssl prometheus systemd-analyze strace zsh fish
ifeq ($(ARGS),)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest $(ALONE)
else
	$(BIN)/python -m pytest $(ARGS)
endif

check: $(STAMP) lint types floors test ## what CI runs: lint, types, import floors, tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

floors: $(STAMP)
	$(BIN)/lint-imports

bench: $(STAMP) ## what it costs beside nginx and others: make bench ARGS="--only tls --beside nginx"
	@bash .ci/system nginx haproxy caddy wrk
	$(BIN)/python -m tests.bench $(ARGS)

real: $(STAMP) ## a real learning platform behind it, in a real browser
	@bash .ci/system chromium
	$(BIN)/python -m tests.real.kolibri $(ARGS)

comeback: $(STAMP) ## a server that died, and its crowd, straight back and through the waiting room: make comeback ARGS=--killed
	$(BIN)/python -m tests.real.comeback $(ARGS)

machine: $(STAMP) ## the systemd units on a Debian of their own, in QEMU: minutes, as root; not a part of test or check
	$(BIN)/python -m tests.machine $(ARGS)

screenshots: $(STAMP) ## every state of the page as a picture, in out/screenshots
	@bash .ci/system chromium
	$(BIN)/python -m tests.web.screenshots $(ARGS)

docs: $(STAMP) ## docs/configuration.md, the reference of every key, from the model of settings
	$(BIN)/python -m tests.docs.reference

plots: $(STAMP) ## pictures of simulated mornings, in out/plots
	$(BIN)/python -m tests.simulation.plots $(ARGS)

fmt: $(STAMP) ## format and repair what can be repaired
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## everything that can be made again
	rm -rf .venv out build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
