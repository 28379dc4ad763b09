# The house's commands. Needs Python 3.11 or later and make; everything else is installed into .venv, from requirements.lock.

VENV ?= .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
TESTFLAGS ?=

# The first that really runs: version managers leave `python3.12` commands behind that only print an error.
PYTHON ?= $(shell for each in python3 python3.12 python3.13 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$each; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help install format lint typecheck test house cov wire bench pyz demo docs lock all clean
MAKEFLAGS += --no-print-directory

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(INSTALLED) ## .venv with everything in requirements.lock, and the package itself, editable
	@:

$(INSTALLED): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later was found: install one, or say make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) could not make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV) …"
	@$(PY) -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements.lock
	@$(PY) -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## the whole path once: a server, a token, a streamed reply, its bill
	@$(PY) scripts/demo.py

test: install ## every test
	@$(PY) -m pytest -q $(TESTFLAGS)

house: install ## only the rules of the house: import directions, sizes, names
	@$(PY) -m pytest -q tests/test_house.py

format: install ## rewrites the code in the house's form
	@$(PY) -m ruff check --quiet --fix-only .
	@$(PY) -m ruff format .

lint: install ## ruff: rules and form
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

typecheck: install ## mypy, strict
	@$(PY) -m mypy

cov: install ## the tests, and the lines that they did not reach
	@$(PY) -m coverage erase
	@$(PY) -m coverage run -m pytest -q $(TESTFLAGS)
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report

wire: install ## recorded vendor traffic at every door, where ../shared/wire stands beside the checkout; WIRE=--quick: fewer cuts
	@$(PY) -m scripts.wire $(WIRE)

pyz: install ## dist/oneapi.pyz: the whole program in one file, for this Python and machine
	@$(PY) scripts/build_pyz.py

bench: install ## us beside a bare aiohttp proxy, under load, in under 4 minutes; BENCH=quick: under 1
	@$(PY) -m scripts.bench $(BENCH)
	@test "$(BENCH)" = quick || { $(PY) scripts/bench_relay.py; $(PY) scripts/bench_translate.py; $(PY) scripts/bench_ledger.py; }

docs: install ## writes the command reference: README's list and docs/commands.md
	@$(PY) scripts/docs.py

all: lint typecheck pyz test wire ## what CI runs

lock: install ## asks the registry for the newest versions that fit and writes requirements.lock
	@$(PY) -m pip --disable-pip-version-check install --quiet uv
	@$(PY) -m uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade --generate-hashes --quiet \
		--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" -o requirements.lock

clean: ## removes .venv and what the tools left behind
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
