# make runbook and make test do all the set-up; the rest is for working with it.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PARAMS ?= params/sandbox.yaml
BENCH_MINUTES ?= 30
LARGE_ROWS ?= 2000000
PYTEST := $(BIN)/python -m pytest -p no:nbval --numprocesses=3 --dist=loadfile --no-loadscope-reorder
export HF_HUB_OFFLINE := 1
# Each command starts from compiled modules, also where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPATH := $(CURDIR)

.PHONY: runbook test transformers end-to-end notebooks browser chaos chaos-short bench bench-large attack cranfield rescue rescue-short first-hour frameworks scale scale-short vendor lab docs curl down lint lock install-check image-check clean pictures

runbook: .venv/installed      ## the whole migration on the sandbox, with a report in runs/
	$(BIN)/python -m ragkit run --params $(PARAMS)

test: .venv/installed         ## unit, integration, function; what takes longer has targets of its own
	$(PYTEST) --ignore=tests/cranfield --ignore=tests/chaos --ignore=tests/first_hour \
	  --ignore=tests/bench --ignore=tests/notebooks --ignore=tests/rescue \
	  --ignore=tests/end_to_end --ignore=tests/browser --ignore=tests/cloud_run_job --ignore=tests/scale

transformers: .venv/installed ## the provider sentence-transformers; fetches torch, gigabytes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --target .venv/transformers "sentence-transformers>=6"
	PYTHONPATH=$(CURDIR):$(CURDIR)/.venv/transformers \
	  $(BIN)/python -m pytest tests/embedding/providers/test_sentence_transformers.py

end-to-end: .venv/installed   ## whole commands and migrations, from the first step to the last; four minutes
	$(PYTEST) tests/end_to_end

notebooks: .venv/installed    ## by nbval, in a kernel, and as whole runs; three minutes
	$(PYTEST) tests/notebooks

browser: .venv/installed      ## the judging screen in a real Chromium and JupyterLab; a minute
	$(BIN)/python -m pytest tests/browser

chaos: .venv/installed        ## a migration under traffic with a fault in every phase; some minutes
	$(BIN)/python -m tests.chaos

chaos-short: .venv/installed  ## the same with fewer rows and faults; a minute and a half
	$(BIN)/python -m pytest tests/chaos

bench: .venv/installed        ## ratios of speed and their goals, in runs/; a quarter of an hour
	$(BIN)/python -m pytest tests/bench && $(BIN)/python -m tests.bench

bench-large: .venv/installed  ## growth to 2,000,000 rows within BENCH_MINUTES; LARGE_ROWS under a probe
	$(BIN)/python -m tests.bench --large --only growth --minutes $(BENCH_MINUTES)
	$(BIN)/python -m tests.scale.large --rows $(LARGE_ROWS)

attack: .venv/installed       ## bad requests and Schemathesis against the function, and a silent database
	ATTACK_EXAMPLES=500 $(BIN)/python -m pytest tests/attack

cranfield: .venv/installed    ## the comparison on a judged collection, where ../shared/data has it
	$(BIN)/python -m pytest tests/cranfield

rescue: .venv/installed       ## what a rescued service is worth, in runs/; a quarter of an hour
	$(BIN)/python -m tests.rescue

rescue-short: .venv/installed ## the same of a few rows, its steps, its quota; three minutes
	$(BIN)/python -m pytest tests/rescue

first-hour: .venv/installed   ## a strange database, from ragkit init to the report; two minutes
	$(BIN)/python -m pytest tests/first_hour

frameworks: .venv/installed   ## tables of real frameworks, migrated under their own requests; ten minutes
	$(BIN)/python -m tests.frameworks

scale: .venv/installed        ## three workers of Dask, a quota, and kills, on 200,000 rows; a quarter of an hour
	$(BIN)/python -m tests.scale

scale-short: .venv/installed  ## the same with fewer rows; two minutes
	$(BIN)/python -m pytest tests/scale

vendor: .venv/installed       ## makes function/ complete for gcloud
	$(BIN)/python -m ragkit vendor

lab: .venv/installed          ## JupyterLab on the notebooks, with PARAMS
	$(BIN)/python -m ragkit lab --params $(PARAMS)

docs: .venv/installed         ## writes the reference of parameters into docs/reference.md
	$(BIN)/python -m ragkit params --into docs/reference.md

curl: .venv/installed         ## asks the app
	$(BIN)/python -m ragkit ask --params $(PARAMS)

down: .venv/installed         ## stops the sandbox, keeps its data
	$(BIN)/python -m ragkit sandbox down --params $(PARAMS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb

lock: .venv/installed         ## requirements.txt from pyproject.toml; UPGRADE=--upgrade for newer versions
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --annotation-style line --custom-compile-command "make lock" --quiet \
	  --output-file requirements.txt $(UPGRADE)

install-check:                ## pip install . in an empty environment, then the command's help
	scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && unset PYTHONPATH && \
	$(PYTHON) -m venv "$$scratch/venv" && export PATH="$$scratch/venv/bin:$$PATH" && \
	python -m pip install --quiet --disable-pip-version-check . && python -m pip check && \
	cd "$$scratch" && ragkit > none && ragkit -h > short && ragkit --help > long && \
	cmp none long && cmp short long && cat long

image-check: .venv/installed  ## what the image of Cloud Run jobs installs, and a backfill by it; two minutes
	$(BIN)/python -m pytest tests/cloud_run_job

pictures:                     ## the README's pictures, from the newest run
	mkdir -p .github/images && newest=$$(ls -d runs/*-sandbox | tail -n 1) && cp "$$newest/gates.png" "$$newest/timeline.png" .github/images/

clean:                        ## removes everything that was made here, runs/ excepted
	if [ -e .venv/installed ]; then $(BIN)/python -m ragkit sandbox remove --params params/sandbox.yaml; fi
	rm -rf .venv function/ragkit dist .pytest_cache .ruff_cache .mypy_cache .hypothesis

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@
