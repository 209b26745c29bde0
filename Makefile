# Start with `make demo` and `make test`; the rest is for people who work on ipcascade.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Each test on one core. One test more than two cores, since those on Slurm mostly wait; what stays together is in
# tests/conftest.py.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 3 --no-loadscope-reorder

# Packages that only benchmarks need.
BENCHMARKS := $(shell sed -n 's/==.*//p' envs/benchmark.txt envs/mutants.txt envs/scale.txt)

.PHONY: demo test test-slurm fuzz bench-engine bench-predict bench-scale mutants check format install schema pins report

demo: $(INSTALLED)  ## the whole chain on a synthetic delivery: a few minutes on two cores
	$(BIN)/snakemake --profile profiles/demo
	@$(BIN)/ipcascade summary

test: $(INSTALLED)  ## all tests but those on Slurm; TESTS="..." are more arguments of pytest
	$(PYTEST) $(TESTS)

test-slurm: $(INSTALLED)  ## the workflow on a real Slurm, set up for it on this machine (root, Debian or Ubuntu)
	bash tests/slurm/install
	$(PYTEST) -m slurm

fuzz: $(INSTALLED)  ## damaged deliveries and tables of new texts against a strict reading; FUZZ=10000 is how many
	FUZZ=$(or $(FUZZ),10000) $(PYTEST) tests/fuzz

bench-engine: $(INSTALLED)  ## training and scoring against other ways to do it: docs/engine.md
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement envs/benchmark.txt
	$(BIN)/python tests/benchmarks/engine.py --device $(or $(DEVICE),cpu) --threads $(or $(THREADS),2) \
		$(if $(SOURCE),--source '$(SOURCE)') $(if $(ENCODER),--encoder '$(ENCODER)') $(if $(DOCUMENTS),--documents $(DOCUMENTS))

bench-predict: $(INSTALLED)  ## memory and time of labelling 100,000 and 1,000,000 texts; MODEL=results/release
	$(BIN)/python tests/benchmarks/prediction.py --model $(or $(MODEL),results/release) --threads $(or $(THREADS),2) \
		$(if $(ROWS),--rows $(ROWS))

bench-scale: $(INSTALLED)  ## the data path beside DuckDB and pandas; DOCUMENTS=5000000 SYSTEMS="ipcascade duckdb"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement envs/scale.txt
	$(BIN)/python tests/benchmarks/scale.py --threads $(or $(THREADS),2) --repeats $(or $(REPEATS),1) \
		$(if $(DOCUMENTS),--documents $(DOCUMENTS)) $(if $(SYSTEMS),--systems $(SYSTEMS))

mutants: $(INSTALLED)  ## small changes of the code that no test notices, hours; NAMES="'ipcascade.splits.*'" takes some
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement envs/mutants.txt
	$(BIN)/python tests/benchmarks/mutants.py --processes $(or $(PROCESSES),2) $(NAMES)

check: $(INSTALLED)  ## lint, format, types, imports; of the workflow too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --quiet

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

schema: $(INSTALLED)  ## rewrite the JSON schema and config/config.yaml from the options.py of the stages
	$(BIN)/ipcascade schema --schema workflow/schemas/config.schema.json --defaults config/config.yaml

pins: $(INSTALLED)  ## rewrite envs/ from what is installed in .venv
	$(BIN)/python -m pip freeze --exclude-editable $(BENCHMARKS:%=--exclude %) | sed 's/^torch==\([0-9.]*\).*/torch==\1/' > envs/requirements.txt
	sed -i '/^      - /d' envs/ipcascade.yaml
	sed 's/^/      - /' envs/requirements.txt >> envs/ipcascade.yaml

report: $(INSTALLED)  ## results/report.zip: Snakemake's own report, of how the results were made
	$(BIN)/snakemake --report results/report.zip

install: $(INSTALLED)

$(INSTALLED): envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ipcascade needs Python 3.11 or newer: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement envs/requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch $@
