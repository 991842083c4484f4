# Everything a person or a machine does with this repository. `make` alone lists it.
#
# Nothing is installed outside this folder: uv, if the machine has none, goes into .tools, the environment
# into .venv, both from locks with hashes (requirements/). Caches are the user's own (XDG): uv's wheels, and
# Kafka's jars (44 MB, once).
#
# Budget of `make test` on two cores, in seconds; 900 are the limit, from empty caches. What a part may take in a slow
# hour of a shared machine, and what it took in one (878 in all); an idle machine takes two thirds of it:
#   set-up, check  130   119, downloads and mypy without its cache among them
#   unit tests     280   273 on both cores: cases, laws, histories, wiring on the simulated log
#   with a broker  490   486: tests/kafka, tests/chaos, tests/acceptance (whole platforms, `make run`, the guide typed)

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
SUPPORTED := >=3.11,<3.15
BIN := .venv/bin
UV := $(or $(shell command -v uv 2>/dev/null),.tools/uv/bin/uv)
# Who names a Python gets that one; else the first one here that was compiled by a profile of itself, which needs an
# eighth less of the processor (decision 50), or the first that will do, or what uv brings.
PROFILED = $$($(UV) python list --only-installed '$(SUPPORTED)' 2>/dev/null | while read -r _ found _; do \
	"$$found" -I libs/seamwork/src/seamwork/platform/interpreter.py 2>/dev/null && echo "$$found" && break; done || true)
INTERPRETER = $(if $(filter file,$(origin PYTHON)),"$${profiled:-$(SUPPORTED)}",'$(PYTHON)')
ENVIRONMENT = profiled=$(PROFILED) && $(UV) venv --quiet --python $(INTERPRETER)
# Trust what the machine trusts, so that a company's own certificate authority works.
export UV_SYSTEM_CERTS ?= 1

# Compiles what every process of a platform loads, once; else each of them does, where Python may write no bytecode.
LOAD := from importlib.metadata import entry_points; import seamwork.agent, seamwork.cli.pages; \
	[one.load() for one in entry_points(group="seamwork.services")]

PARTS := $(sort $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml examples/*/pyproject.toml)))
CODE := $(wildcard conftest.py libs tests benchmarks services/*/src examples/*/src)
# One run of mypy each: the tests of six services share their file names.
TESTS_APART := $(wildcard services/*/tests examples/*/tests)

# Tests with a broker wait more than they work: two workers, each with a broker and a platform of its own. The
# files stay in their order, so that the longest ones begin early.
TWO_PLATFORMS := -n 2 --dist loadfile --no-loadscope-reorder
# Where they lie; to look for them everywhere else takes three processes half a minute of the processor.
WITH_A_BROKER := tests/acceptance tests/benchmarks tests/chaos tests/kafka
WITHOUT := -n auto -m "not kafka and not slow" --ignore=tests/acceptance --ignore=tests/kafka

.PHONY: help setup lock fmt check run test unit test-full up down simulate chaos overload peers bench bench-full docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

setup: .venv/.complete ## Make the development environment, or bring it up to date

# Debian's own Python comes without what this needs, and uv makes environments of it all the same: another brings uv.
.tools/uv/bin/uv: requirements/uv.txt
	@echo "Bringing uv into .tools ..."
	@$(PYTHON) -m venv .tools/uv >/dev/null || python3 -m venv --clear .tools/uv || { echo "$(PYTHON) cannot make a virtual environment; install Python 3.11 or later with its venv module, or uv."; exit 1; }
	@.tools/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.complete: requirements/dev.txt requirements/jre.txt $(PARTS:=/pyproject.toml) $(wildcard libs/*/hatch_build.py) | $(UV)
	@test -x $(BIN)/python || { $(ENVIRONMENT) .venv; }
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(PARTS))
	@$(BIN)/python -m seamwork.broker.java >/dev/null 2>&1 || { \
		echo "No Java 17 or later here: bringing one into .venv ..."; \
		$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/jre.txt; }
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c '$(LOAD)'
	@touch $@

.tools/lint/.complete: requirements/lint.txt | $(UV)
	@test -x .tools/lint/bin/python || { $(ENVIRONMENT) .tools/lint; }
	@$(UV) pip install --quiet --python .tools/lint/bin/python --require-hashes -r requirements/lint.txt
	@touch $@

# Ten seconds, so only when something of deploy/ has changed.
.tools/lint/.checked: .tools/lint/.complete $(shell find deploy -type f)
	@.tools/lint/bin/python -m checkov.main --config-file deploy/checkov.yaml --directory deploy
	@touch $@

lock: | $(UV) ## Compile the locks from pyproject.toml, and the list of Kafka's jars
	@for group in dev uv jre build lint eggai calfkit; do \
		$(UV) pip compile --quiet --group pyproject.toml:$$group --universal --python-version 3.11 \
			--generate-hashes --no-header --no-annotate -o requirements/$$group.txt; done
	@$(UV) pip compile --quiet libs/seamwork/pyproject.toml --extra service --extra otel --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate -o requirements/image.txt
	@folder=$$(mktemp -d) && $(BIN)/python -m seamwork.broker.lock $$folder; rm -rf $$folder

fmt: setup ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

check: setup .tools/lint/.checked ## Check format, style, types and architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/seamwork deploy render deploy --check || { echo "run 'make docs' and commit what it writes"; exit 1; }
	@$(BIN)/mypy $(CODE)
	@for tests in $(TESTS_APART); do $(BIN)/mypy $$tests; done

unit: setup ## Run the tests that need no broker: under two minutes
	@$(BIN)/python -m pytest -q $(WITHOUT)

test: check ## Run everything that CI runs, on a real Kafka
	@$(BIN)/python -m pytest -q $(WITHOUT) --durations=5
	@$(BIN)/python -m pytest -q $(TWO_PLATFORMS) -m "kafka and not slow" --durations=10 $(WITH_A_BROKER)

test-full: check ## Run every test there is, the slow ones too
	@$(BIN)/python -m pytest -q --durations=20

run: setup ## Show what Seamwork is for: the licence audit in three acts
	@$(BIN)/python -m licence_audit.run

up: setup ## Start broker and services and keep them running
	@$(BIN)/seamwork up

down: setup ## Stop them
	@$(BIN)/seamwork down

SEEDS ?= 200
FROM ?= 0

simulate: setup ## Run all services in the deterministic simulator: make simulate SEEDS=1000 FROM=0
	@$(BIN)/python -m seamwork.testing.simulation --seeds $(SEEDS) --from $(FROM) --keep tests/simulation/regressions

ROUNDS ?= 1
BROKERS ?= 3

chaos: setup ## Break a running platform and check the invariants: make chaos SEED=7 ROUNDS=2 BROKERS=3
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) --rounds $(ROUNDS) --brokers $(BROKERS) \
		$(if $(PAGE),--keep tests/chaos/results.json --page $(PAGE))

MINUTES ?= 3

overload: setup ## Begin ten times as many tasks as can be done, for minutes: make overload MINUTES=3
	@$(BIN)/python -m tests.chaos.overload --minutes $(MINUTES) $(if $(PAGE),--page $(PAGE))

# Other makes, each in an environment of its own. The page says loudly which could not be had.
.tools/peers/%/.complete: requirements/%.txt | $(UV)
	@test -x .tools/peers/$*/bin/python || { $(ENVIRONMENT) .tools/peers/$*; }
	@$(UV) pip install --quiet --python .tools/peers/$*/bin/python --require-hashes -r requirements/$*.txt
	@touch $@

peers: | $(UV)
	-@$(MAKE) .tools/peers/eggai/.complete
	-@$(MAKE) .tools/peers/calfkit/.complete

bench: setup peers ## Measure side by side with raw Kafka and with others, gate by gate: under ten minutes, on a machine that does nothing else
	@$(BIN)/python -m benchmarks.contracts
	@$(BIN)/python -m benchmarks --scale short

CROSSINGS ?= 1000000

bench-full: setup peers ## Measure all of it, with more rounds: an hour, and as long as CROSSINGS take
	@$(BIN)/python -m benchmarks.contracts
	@$(BIN)/python -m benchmarks --scale full --crossings $(CROSSINGS)

docs: setup ## Write docs/generated/, deploy/ and the schemas in contracts/ from the code and the topic files
	@$(BIN)/python -m seamwork.cli.pages docs/generated contracts
	@$(BIN)/seamwork deploy render deploy

clean: ## Remove the environment, tools and build products; keep the user's caches and data
	rm -rf .venv .tools dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
