# What a person or a CI job runs. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
RUNNER := $(BIN)/python -m seda_devrunner
# Tests in this order: what takes longest is begun first.
SOURCES := infra contracts libs services
PACKAGES := $(notdir $(patsubst %/__init__.py,%,$(wildcard contracts/src/*/__init__.py libs/*/src/*/__init__.py services/*/src/*/__init__.py infra/*/src/*/__init__.py)))
# s=chat-realtime names a service or a lib; anything else is taken as a path.
WHAT := $(if $(s),$(firstword $(wildcard services/$(s) libs/$(s) infra/$(s)) $(s)),$(SOURCES))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install everything into .venv (nothing to do when it is current)
	@sh infra/bootstrap.sh

.PHONY: run demo status logs stop reset
run: setup ## run the platform; Ctrl-C stops it, DETACH=1 leaves it in the background
	@$(RUNNER) up $(if $(DETACH),--detach)
demo: setup ## play the main flow with two people, and say what was measured
	@$(RUNNER) demo
status: setup ## what runs where (j=1 for JSON)
	@$(RUNNER) status $(if $(j),--json)
logs: setup ## follow the logs (s=service for one)
	@$(RUNNER) logs --follow $(s)
stop: setup ## stop the platform
	@$(RUNNER) stop
reset: setup ## stop, and forget all development data
	@$(RUNNER) reset

.PHONY: keys
keys: setup ## make the keys of the broker's users that .env lacks, for docker compose
	@$(BIN)/python -m seda_messaging.broker_keys --add-to .env

.PHONY: test node
test: setup ## run the tests on two workers (s=service, lib or path)
	@sh infra/node/install.sh || true
	@$(BIN)/pytest -q -rs -n 2 --no-loadscope-reorder $(WHAT)

node: setup ## install Node.js into .tools, for the tests of contracts in other languages
	@sh infra/node/install.sh

.PHONY: faults soak
faults: setup ## kill, freeze and restart everything under load, and prove that the suite would see a fault
	@$(BIN)/python -m seda_faults $(if $(seed),--seed $(seed)) $(if $(only),--only $(only)) $(if $(json),--json $(json))
soak: setup ## random faults for a long time (runs=30)
	@$(BIN)/python -m seda_faults --soak $(or $(runs),30) $(if $(seed),--seed $(seed))

.PHONY: states
states: setup ## try many random orders of chat and broken connections: is what clients know true? (n=200)
	@STATE_EXAMPLES=$(or $(n),200) $(BIN)/pytest -q services/chat-realtime/tests/states

.PHONY: autobahn
autobahn: setup ## test the socket listener's WebSocket conformance (needs a Python 2.7 for the suite)
	@sh infra/autobahn/install.sh
	@$(BIN)/python -m seda_autobahn

.PHONY: check format-check lint types imports checks
check: format-check lint types imports checks ## everything that is checked without running the product
format-check: setup
	@$(BIN)/ruff format --check --quiet $(SOURCES)
lint: setup
	@$(BIN)/ruff check --quiet $(SOURCES)
types: setup
	@$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	@MYPYPATH=infra/bench $(BIN)/mypy infra/bench
imports: setup
	@$(BIN)/lint-imports
checks: setup
	@$(BIN)/pytest -q infra/checks
fmt: setup ## format the code and mend what can be mended
	@$(BIN)/ruff check --fix --quiet $(SOURCES) || true
	@$(BIN)/ruff format --quiet $(SOURCES)

.PHONY: bench
BENCHES := main_flow events sends history fanout latencies reconnect
bench: setup ## measure the product beside floors and peers, and write the report (infra/bench/README.md)
	@sh infra/bench/peers/install.sh
	@mkdir -p build/bench
	@for name in $(BENCHES); do \
	    $(BIN)/python infra/bench/$$name.py --json build/bench/$$name.json || exit 1; done
	@$(BIN)/python infra/bench/report.py build/bench

.PHONY: migrate migration generate lock shape clean
migrate: setup ## bring the development database to the newest migrations
	@$(RUNNER) migrate
migration: setup ## write a service's next migration from its tables (s=user-artist m="add bio")
	@$(RUNNER) migration $(s) "$(m)"
generate: setup ## write anew what is printed from code: schemas, AsyncAPI, types, the events page, permissions, roles
	@$(BIN)/python -m seda_contracts.generate contracts
	@$(BIN)/python infra/checks/events_page.py > infra/docs/events.md
	@$(BIN)/python -m seda_contracts.permissions > infra/nats/permissions.conf
	@$(BIN)/python -m seda_testkit.provision --sql > infra/postgres/init.sql
lock: setup ## resolve the dependencies anew and export every requirements.lock (UPGRADE=1: newest)
	@sh infra/lock.sh $(if $(UPGRADE),--upgrade)
shape: setup ## print the longest functions and files
	@$(BIN)/python infra/checks/shape.py
clean: ## remove caches and the environment; development data stays (make reset)
	@rm -rf .venv .tools infra/node/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
	@find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
