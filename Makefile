# Everything a person or a machine does with this repository. `make help` lists it.
# Needs Python >= 3.11 and make; nothing else, and no root.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ROWS ?= 2000
PIP_OPTIONS := -qq --disable-pip-version-check --no-input
EXTRAS := worker,postgres,local,flower,zstd,parquet,duckdb,schema

.DEFAULT_GOAL := help
.PHONY: help install dev aiplatform peers demo up down flower test coverage lint format bench faults constraints clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.installed  ## make .venv with all that runs

dev: .venv/.dev  ## and what is needed to work on vertexq

aiplatform: .venv-aiplatform/.installed  ## an environment for google-cloud-aiplatform, whose pins clash with ours

peers: .venv-peers/.installed .venv-peers-curator/.installed  ## environments for what `make bench` compares with

demo: install  ## run everything on this machine, with a simulated Google (KEEP=1 leaves it running, ROWS=2000)
	@$(BIN)/python -m worker.local demo --rows $(ROWS) $(if $(KEEP),--keep)

up: install  ## run everything on this machine until Ctrl-C, and keep its data
	@$(BIN)/python -m worker.local up

down: install  ## stop what `make demo KEEP=1` or `make up` left running
	@$(BIN)/python -m worker.local down

flower: install  ## watch the kept demo's tasks and workers on http://127.0.0.1:5555
	@test -f .vertexq/env || { echo 'Nothing is running: make demo KEEP=1 first.'; exit 2; }
	@. ./.vertexq/env && exec $(BIN)/python -m celery -A worker -q flower --address=127.0.0.1 --port=5555 --read_only=True --logging=error \
		--tasks_columns=name,uuid,args,state,received,runtime,worker

test: dev aiplatform  ## format, lint, types, import contracts, tests: what CI runs
	@scripts/check

coverage: dev aiplatform  ## the same, and that 90 % of all branches are taken in some test
	@scripts/check coverage

lint: dev  ## the part of it that runs no test
	@scripts/check lint

format: dev  ## put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

faults: dev  ## the long fault runs, in full size; one JSON object a line
	@$(BIN)/python -m tests.acceptance.million

bench: dev  ## measure; one JSON object a line (make peers first, to compare with others)
	@$(BIN)/python -m benchmarks

constraints: pyproject.toml  ## write the versions of today into constraints*.txt
	@scripts/freeze

clean: ## remove everything that was made here, data of demos included
	@test ! -x $(BIN)/python || $(BIN)/python -m worker.local down
	rm -rf .venv .venv-aiplatform .venv-peers .venv-peers-curator .vertexq build dist htmlcov .coverage* .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo 'vertexq needs Python 3.11 or newer; none was found on PATH (set PYTHON=...)'; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_OPTIONS) --upgrade pip

.venv/.installed: .venv/pyvenv.cfg pyproject.toml constraints.txt
	$(BIN)/python -m pip install $(PIP_OPTIONS) -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install $(PIP_OPTIONS) -c constraints.txt -e '.[dev]'
	@touch $@

.venv-aiplatform/.installed: constraints-aiplatform.txt
	@test -n "$(PYTHON)" || { echo 'vertexq needs Python 3.11 or newer; none was found on PATH (set PYTHON=...)'; exit 2; }
	test -x .venv-aiplatform/bin/python || $(PYTHON) -m venv .venv-aiplatform
	.venv-aiplatform/bin/python -m pip install $(PIP_OPTIONS) --upgrade pip
	.venv-aiplatform/bin/python -m pip install $(PIP_OPTIONS) -c constraints-aiplatform.txt google-cloud-aiplatform
	@touch $@

.venv-peers/.installed: constraints-peers.txt
	$(call peer,peers,litellm)

.venv-peers-curator/.installed: constraints-peers-curator.txt
	$(call peer,peers-curator,bespokelabs-curator)

define peer
@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer was not found on PATH (set PYTHON=...)'; exit 2; }
test -x .venv-$(1)/bin/python || $(PYTHON) -m venv .venv-$(1)
.venv-$(1)/bin/python -m pip install $(PIP_OPTIONS) --upgrade pip
.venv-$(1)/bin/python -m pip install $(PIP_OPTIONS) -c constraints-$(1).txt $(2)
@touch $@
endef
