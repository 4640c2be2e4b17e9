# `make help` lists what there is. Only Python 3.11+ and make are needed; everything else goes into .venv.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
UV_INSTALL = $(VENV)/bin/uv pip install --quiet --python $(PY)
DIBOP_HOME ?= .dibop
WORKERS ?= 2
FUZZ_TARGET ?= template text
FUZZ_SECONDS ?= 60
# Tests on servers mostly wait: twice as many processes as cores keep the cores busy.
JOBS ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN))
# What Python compiled is kept: without, each process that is started takes twice as long to begin.
export PYTHONDONTWRITEBYTECODE =
PYTEST := $(PY) -m pytest
PYTEST_SIDE_BY_SIDE = $(PYTEST) --numprocesses $(JOBS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install install-dev up down status test test-fast test-unit test-fuzz test-integration test-e2e test-ui screenshots browser vendor lint format types imports bench soak fuzz docs lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

# ---- environment -------------------------------------------------------------------------------
$(VENV)/bin/uv: requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	@echo "making $(VENV)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/.installed: $(VENV)/bin/uv requirements.lock pyproject.toml
	@echo "installing requirements.lock"
	@$(UV_INSTALL) --require-hashes -r requirements.lock
	@$(UV_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "installing requirements-dev.lock"
	@$(UV_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.installed ## make .venv with the product and its local servers

install-dev: $(VENV)/.installed-dev

# ---- the product -------------------------------------------------------------------------------
up: install ## start everything here, run the demo, serve until Ctrl-C
	@exec $(VENV)/bin/dibop up --demo --home $(DIBOP_HOME) --workers $(WORKERS)

down: install ## stop what `make up` or `dibop up --detach` started
	@$(VENV)/bin/dibop down --home $(DIBOP_HOME)

status: install ## what runs, and where
	@$(VENV)/bin/dibop status --home $(DIBOP_HOME)

# ---- checks ------------------------------------------------------------------------------------
test: lint test-unit test-fuzz test-integration test-e2e test-ui ## everything: lint, types, import rules, all tests

test-fast: lint test-unit ## lint, types, import rules and the tests that need no server

test-unit: install-dev
	$(PYTEST) tests/unit

test-fuzz: install-dev
	$(PYTEST) tests/fuzz

test-integration: install-dev
	$(PYTEST_SIDE_BY_SIDE) tests/integration

test-e2e: install-dev
	$(PYTEST_SIDE_BY_SIDE) --timeout 300 tests/e2e

# A process of its own: synchronous Playwright and tests that run an event loop do not go together.
test-ui: install-dev browser ## the console in a real Chromium
	$(PYTEST) tests/browser

screenshots: install-dev browser ## pictures of the console, into docs/screenshots
	$(PY) -m tests.browser.screenshots

browser: ## Chromium for the tests of the console, from the system's packages
	@for path in "$$DIBOP_BROWSER" /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome; do \
	  test -n "$$path" -a -x "$$path" && exit 0; done; \
	test "$$(id -u)" = 0 || { echo "no Chromium: install it, or name one in DIBOP_BROWSER" >&2; exit 0; }; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null

lint: install-dev types imports
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m tests.support.repo_rules
	$(PY) -m docs.generate --check

types: install-dev
	$(VENV)/bin/mypy

imports: install-dev
	$(VENV)/bin/lint-imports

format: install-dev ## let ruff format and mend what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: install-dev ## side-by-side benchmarks; results go to benchmarks/results/
	$(PY) -m benchmarks

soak: install-dev ## long runs that CI does not make
	$(PYTEST) tests/soak -p no:cacheprovider
	DIBOP_KILLS=200 $(PYTEST) tests/integration/publisher/test_random_kills.py -p no:cacheprovider

fuzz: install-dev ## hunt with atheris, where it is installed: FUZZ_TARGET="template text" FUZZ_SECONDS=60
	$(PY) -m tests.fuzz.hunt "$(FUZZ_TARGET)" $(FUZZ_SECONDS)

docs: install ## regenerate the reference pages that come from the code
	$(PY) -m docs.generate

# ---- maintenance -------------------------------------------------------------------------------
lock: $(VENV)/bin/uv ## recompute the locks from pyproject.toml
	@set -e; compile="$(VENV)/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11"; \
	  echo uv | $$compile - -o requirements-uv.lock; \
	  $$compile --extra local --group build pyproject.toml -o requirements.lock; \
	  $$compile --extra local --group build --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

vendor: ## rebuild what the console ships of others (needs node and npm)
	rm -rf build/vendor && mkdir -p build/vendor && cp tools/vendor/* build/vendor
	cd build/vendor && npm install --silent --no-audit --no-fund --no-package-lock && \
	  node build.mjs ../../services/console/static/vendor ../../tests/browser/vendor

clean: ## remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
