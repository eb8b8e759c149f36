# meterlake: everything a user or a developer does, in one word each. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARE := $(VENV)/share/meterlake

# make pipeline SOURCE=smart_meter INPUT=path [HOME_DIR=folder] [CONF=file.toml]; without SOURCE, generated sample files.
SOURCE ?=
INPUT ?=
HOME_DIR ?= $(or $(METERLAKE_HOME),.meterlake)
CONF ?=
OPTIONS := --home $(HOME_DIR) $(if $(CONF),--conf $(CONF))
SAMPLE := $(HOME_DIR)/sample

.DEFAULT_GOAL := help
.PHONY: help setup pipeline test s3-jars test-s3 bench bench-growth bench-incremental bench-executors bench-vee bench-scoring bench-stores plan-pictures capacity layout lint stores-start stores-stop ui metrics spark-ui airflow airflow-day airflow-times airflow-check superset superset-check screenshots superset-lock compose-env package lock clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.setup  ## everything a run needs: the environment, Spark's jars, the ClickHouse library
	@echo "ready: $(BIN)/meterlake"

# With CONF=conf/compose.toml the driver runs in the network of docker-compose.yml, where the workers reach it. INPUT= is
# then a path below METERLAKE_DELIVERIES (.env), and the home folder a volume.
COMPOSED := $(filter conf/compose.toml,$(CONF))
IN_NETWORK := docker compose run --rm --use-aliases meterlake
GENERATED := --meters 60 --days 60 --anomaly-rate 0.08 --supply-meters
pipeline: $(if $(COMPOSED),,setup)  ## the whole main job: SOURCE= and INPUT= on your files, without them on generated ones
ifneq ($(COMPOSED),)
ifeq ($(SOURCE),)
	@$(IN_NETWORK) generate --out /var/lib/meterlake/sample $(GENERATED)
	@$(IN_NETWORK) run --source grid_supply --input /var/lib/meterlake/sample/supply
	@$(IN_NETWORK) run --source ami --input /var/lib/meterlake/sample/readings
else
	@$(IN_NETWORK) run --source $(SOURCE) --input "/deliveries/$(INPUT)"
endif
else ifeq ($(SOURCE),)
	@test -e $(SAMPLE)/truth/summary.json || $(BIN)/meterlake generate --out $(SAMPLE) $(GENERATED) $(OPTIONS)
	@test ! -e $(SAMPLE)/supply || $(BIN)/meterlake run --source grid_supply --input $(SAMPLE)/supply $(OPTIONS)
	@$(BIN)/meterlake run --source ami --input $(SAMPLE)/readings $(OPTIONS)
else
	@$(BIN)/meterlake run --source $(SOURCE) --input "$(INPUT)" $(OPTIONS)
endif

# Two workers, each with a Spark of its own: most tests wait for one thread of planning. TEST_WORKERS=0 is one process.
TEST_WORKERS ?= 2
test: $(VENV)/.dev  ## all tests, with coverage
	@$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term --durations=25 --durations-min=20

s3-jars: $(VENV)/.s3  ## the jars for a lake or deliveries on s3a://: Hadoop's client and AWS's SDK, 690 MB

test-s3: $(VENV)/.dev $(VENV)/.s3  ## a lake and its deliveries on an S3 server of this machine, beside the same in folders
	@$(BIN)/python -m pytest tests/s3 -m s3 -rP --durations=5

lint: $(VENV)/.dev  ## formatting, linter, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

stores-start: setup  ## keep PostgreSQL and ClickHouse up for psql, DBeaver or Superset
	@$(BIN)/meterlake stores start $(OPTIONS)

stores-stop: setup  ## end them
	@$(BIN)/meterlake stores stop $(OPTIONS)

UI_PORT ?= 8090
ui: setup  ## pages of meters, readings, anomalies, quarantine and lineage on 127.0.0.1:8090 until Ctrl-C; UI_PORT=
	@exec $(BIN)/meterlake ui --port $(UI_PORT) $(OPTIONS)

METRICS_PORT ?= 8091
metrics: setup  ## a page for Prometheus on 127.0.0.1:8091 until Ctrl-C: runs, lake, stores, machine; METRICS_PORT=
	@exec $(BIN)/meterlake metrics --port $(METRICS_PORT) $(OPTIONS)

spark-ui: setup  ## Spark's history server on the runs so far: stages, plans, tasks; Ctrl-C ends it
	@$(BIN)/meterlake spark-ui $(OPTIONS)

# The DAGs work for the regions of conf/regions.toml; their jobs go to SPARK_MASTER=.
SPARK_MASTER ?= local[*]
AIRFLOW_PORT ?= 8080
AIRFLOW_JOBS ?= 2
DATE ?=
DAG ?= energy_pipeline_daily
PARAMS ?=
AIRFLOW = env PATH="$(CURDIR)/$(BIN):$$PATH" AIRFLOW_HOME="$(abspath $(HOME_DIR))/airflow" \
  AIRFLOW__CORE__DAGS_FOLDER="$(CURDIR)/airflow/dags" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__API__HOST=127.0.0.1 \
  AIRFLOW__API__PORT=$(AIRFLOW_PORT) AIRFLOW__API__BASE_URL=http://127.0.0.1:$(AIRFLOW_PORT) \
  AIRFLOW_CONN_SPARK_DEFAULT='{"conn_type": "spark", "host": "$(SPARK_MASTER)"}' AIRFLOW__CORE__PARALLELISM=$(AIRFLOW_JOBS)
airflow: $(VENV)/.dev package  ## Airflow with the DAGs on 127.0.0.1:8080 until Ctrl-C; SPARK_MASTER= is where jobs go, AIRFLOW_JOBS= how many at once, AIRFLOW_PORT=
	@umask 077 && mkdir -p "$(HOME_DIR)/airflow" && exec $(AIRFLOW) $(BIN)/python airflow/start_airflow.py

airflow-day: $(VENV)/.dev package  ## the daily DAG once, without a scheduler, as on the morning of DATE=2024-01-31; DAG= and PARAMS= another
	@test -n "$(DATE)" || { echo "name the morning: make airflow-day DATE=2024-01-31 works on the files of the 30th" >&2; exit 2; }
	@umask 077 && mkdir -p "$(HOME_DIR)/airflow" && $(AIRFLOW) airflow db migrate >/dev/null
	@$(AIRFLOW) airflow dags test $(if $(PARAMS),--conf '$(PARAMS)') "$(DAG)" "$(DATE)"

airflow-times: $(VENV)/.dev  ## seconds of the newest run's tasks in Airflow, and the share that is start-up
	@PYTHONPATH=lib $(BIN)/python -m tests.benchmarks.airflow_times --home $(HOME_DIR)

airflow-check: $(VENV)/.dev  ## Airflow when things go wrong: a gate fails, executors are killed, days are wrong, a run is late
	@$(BIN)/python -m pytest -m airflow tests/airflow

compose-env:  ## .env with new secrets for docker-compose.yml
	@$(PYTHON) conf/compose/new_env.py

# Superset has an environment of its own: it cannot share one with PySpark 4.2. `superset-check` and `screenshots` ask
# the one that `make superset` keeps up in another terminal.
SUPERSET_VENV := .venv-superset
SUPERSET_PORT ?= 8088
SUPERSET = $(SUPERSET_VENV)/bin/python dashboards/$(1).py --home "$(abspath $(HOME_DIR))" --port $(SUPERSET_PORT)
STORES_BY = --meterlake $(BIN)/meterlake $(if $(CONF),--conf $(CONF))
superset: $(VENV)/.setup $(SUPERSET_VENV)/.packages  ## Superset with our dashboards on 127.0.0.1:8088 until Ctrl-C; SUPERSET_PORT=
	@exec $(call SUPERSET,start_superset) $(STORES_BY)

USERS ?= 0
superset-check: $(VENV)/.setup $(SUPERSET_VENV)/.packages  ## each chart of a running Superset against ClickHouse, with seconds; USERS=5
	@$(call SUPERSET,check_superset) $(STORES_BY) --users $(USERS)

METER ?=
screenshots: $(SUPERSET_VENV)/.packages  ## pictures of a running Superset's dashboards into docs/images; METER= also of one meter
	@$(call SUPERSET,take_pictures) $(if $(METER),--meter $(METER))

superset-lock: $(VENV)/.uv  ## choose the versions of Superset's environment anew from dashboards/requirements.in
	@$(COMPILE) --upgrade dashboards/requirements.in --output-file requirements-superset.lock

package: $(VENV)/.setup  ## build/meterlake.zip for spark-submit --py-files
	@rm -rf build/lib build/meterlake.zip && mkdir -p build/lib
	@tar --create --exclude __pycache__ --directory lib meterlake | tar --extract --directory build/lib
	@cd build/lib && ../../$(BIN)/python -m zipfile -c ../meterlake.zip meterlake
	@echo build/meterlake.zip

# The lock files hold names and versions only, for every platform and Python: no index address, no hash, no path.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header
lock: $(VENV)/.uv  ## choose all versions anew from pyproject.toml
	@$(COMPILE) --upgrade --all-extras pyproject.toml --output-file requirements-dev.lock
	@$(COMPILE) --upgrade --constraint requirements-dev.lock pyproject.toml --output-file requirements.lock

clean:  ## remove what runs and tests have made (.meterlake, build, caches); the environment stays
	@if [ -d .meterlake ] && [ -x $(BIN)/meterlake ]; then $(BIN)/meterlake stores stop --home .meterlake || true; fi
	@rm -rf .meterlake build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find lib jobs tests airflow -name __pycache__ -type d -prune -exec rm -r {} + 2>/dev/null || true

# make bench [SIZE=full|quick|meters=N,days=M] [CONTENDERS=meterlake,textbook,...] [PAIRS=3] [COMPARE=ref] [RECORD=1]
SIZE ?= full
PAIRS ?= 1
CONTENDERS ?=
COMPARE ?=
RECORD ?=
BENCH := --size $(SIZE) --pairs $(PAIRS) --home $(HOME_DIR) $(if $(CONTENDERS),--contenders $(CONTENDERS))
bench: $(VENV)/.dev  ## meterlake beside textbook PySpark, DuckDB, Polars and pandas: SIZE= PAIRS= CONTENDERS= COMPARE=ref
	@PYTHONPATH=lib $(BIN)/python -m tests.benchmarks.bench $(BENCH) $(if $(COMPARE),--compare $(COMPARE)) $(if $(RECORD),--record)

# Of meterlake alone: growth with the meters, one more day and a correction, executors. SIZE= and PAIRS= as above.
ALONE = PYTHONPATH=lib $(BIN)/python -m tests.benchmarks.$(subst bench-,,$@) --home $(HOME_DIR)
bench-growth: $(VENV)/.dev  ## four times the meters: what time and memory do
	@$(ALONE) --size $(SIZE) --pairs $(PAIRS)

bench-incremental: $(VENV)/.dev  ## one more day and a correction in a lake that stands, against rebuilds
	@$(ALONE) --size $(SIZE)

bench-executors: $(VENV)/.dev  ## two executors of one core against one, on a standalone master
	@$(ALONE) --size $(SIZE) --pairs $(PAIRS)

bench-vee: $(VENV)/.dev  ## what validation and estimation add to a run
	@$(ALONE) --size $(SIZE) --pairs $(PAIRS)

bench-publish: $(VENV)/.dev  ## what Spark takes to write a mart into each store, beside the fastest way to load the same rows
	@$(ALONE) --size $(SIZE) --pairs $(PAIRS)

PAGE ?=
bench-scoring: $(VENV)/.dev  ## scikit-learn's scores and ours on London's half-hours in INPUT=: rows a second and core
	@PYTHONPATH=lib $(BIN)/python -m tests.benchmarks.scoring --input $(INPUT) $(if $(PAGE),--page $(PAGE))

bench-stores: $(VENV)/.dev  ## the dashboards' queries on ClickHouse and PostgreSQL, answers compared; PAGE= takes the table
	@$(ALONE) --size $(SIZE) $(if $(PAGE),--page $(PAGE))

plan-pictures: $(VENV)/.dev  ## the textbook's plan of the features and ours, drawn by Spark's UI, into docs/images
	@PYTHONPATH=lib $(BIN)/python -m tests.benchmarks.plan_pictures --size $(SIZE) --home $(HOME_DIR)

READINGS ?= 960e6
MINUTES ?= 45
REGIONS ?= 1
MEASURE ?=
capacity: $(VENV)/.dev  ## cores, memory and disks for READINGS= a day in MINUTES=, from the newest results of the benches
	@$(ALONE) --readings $(READINGS) --minutes $(MINUTES) --regions $(REGIONS)

layout: $(VENV)/.dev  ## files and log entries after 1, 30, 365 days, with and without maintenance
	@$(ALONE) --readings $(READINGS) $(if $(MEASURE),--measure)

# One stamp per finished stage, so that a killed set-up goes on where it stood and a finished one costs nothing.
$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "meterlake needs Python 3.11 or later as $(PYTHON); install it, or name one: make setup PYTHON=/path/to/python3.12" >&2; exit 2; }
	@PYTHONPATH=lib $(PYTHON) -m meterlake.bootstrap --check-java
	@echo "environment: $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make an environment; install its venv module (apt-get install python3-venv) and run again" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.packages: requirements.lock pyproject.toml $(VENV)/.uv
	@echo "packages: about 1 GB ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.setup: lib/meterlake/bootstrap.py conf/ivysettings.xml $(VENV)/.packages
	@$(BIN)/python -m meterlake.bootstrap
	@touch $@

$(VENV)/.s3: lib/meterlake/bootstrap.py $(VENV)/.setup
	@$(BIN)/python -m meterlake.bootstrap --s3
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.setup
	@echo "packages for development ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement requirements-dev.lock
	@touch $@

$(SUPERSET_VENV)/.packages: requirements-superset.lock $(VENV)/.uv
	@echo "Superset's packages: about 1 GB ..."
	@$(PYTHON) -m venv $(SUPERSET_VENV)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(SUPERSET_VENV)/bin/python --requirement requirements-superset.lock
	@touch $@
