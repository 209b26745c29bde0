# The two commands of a newcomer are `make demo` and `make test`; the rest is for people who work on ipcascade.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slurm bench-engine check format install schema pins report

demo: $(INSTALLED)  ## the whole chain on a synthetic delivery: a few minutes on two cores
	$(BIN)/snakemake --profile profiles/demo
	@$(BIN)/ipcascade summary

test: $(INSTALLED)  ## all tests
	$(BIN)/python -m pytest

test-slurm: $(INSTALLED)  ## the workflow on a real Slurm, set up for it on this machine (root, Debian or Ubuntu)
	bash tests/slurm/install
	$(BIN)/python -m pytest -m slurm

bench-engine: $(INSTALLED)  ## training and scoring against other ways to do it: docs/engine.md
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement envs/benchmark.txt
	$(BIN)/python tests/benchmarks/engine.py --device $(or $(DEVICE),cpu) --threads $(or $(THREADS),2) \
		$(if $(SOURCE),--source '$(SOURCE)') $(if $(ENCODER),--encoder '$(ENCODER)') $(if $(DOCUMENTS),--documents $(DOCUMENTS))

check: $(INSTALLED)  ## lint, format, types; of the workflow too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --quiet

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

schema: $(INSTALLED)  ## rewrite workflow/schemas/config.schema.json from the pydantic models
	$(BIN)/python -m ipcascade schema --schema workflow/schemas/config.schema.json

pins: $(INSTALLED)  ## rewrite envs/ from what is installed in .venv
	$(BIN)/python -m pip freeze --exclude-editable --exclude accelerate | sed 's/^torch==\([0-9.]*\).*/torch==\1/' > envs/requirements.txt
	sed -i '/^      - /d' envs/ipcascade.yaml
	sed 's/^/      - /' envs/requirements.txt >> envs/ipcascade.yaml

report: $(INSTALLED)  ## results/report.zip: figures, tables and run times as a page to pass on
	$(BIN)/snakemake --report results/report.zip

install: $(INSTALLED)

$(INSTALLED): envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ipcascade needs Python 3.11 or newer: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement envs/requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch $@
