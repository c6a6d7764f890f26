# The project's verbs; `make` alone lists them. Each calls a script that can be run by itself.

# Instance of the servers that up, down, status, logs and clean work on: dev, test, chaos or bench.
PROFILE ?= dev

.DEFAULT_GOAL := help
.PHONY: help setup up down status logs clean services-down demo check test bench docs

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- stack: Postgres, RabbitMQ, Valkey (PROFILE=dev|test|chaos|bench) ---

setup: ## Install the Debian packages that this machine lacks
	@deploy/dev/stack.sh setup

up: setup ## Start the servers and prepare the database
	@deploy/dev/stack.sh up $(PROFILE)

down: services-down ## Stop services and servers, keep their data
	@deploy/dev/stack.sh down $(PROFILE)

status: ## Show which servers and services run, and where
	@deploy/dev/stack.sh status $(PROFILE); status=$$?; \
	$(if $(filter dev,$(PROFILE)),deploy/dev/services.sh status;) exit $$status

logs: ## Show the servers' last log lines
	@deploy/dev/stack.sh logs $(PROFILE)

clean: services-down ## Stop services and servers, delete their data
	@deploy/dev/stack.sh clean $(PROFILE)

# The services run on the profile `dev` only.
services-down:
	@$(if $(filter dev all,$(PROFILE)),deploy/dev/services.sh stop)

# --- project ---

demo: ## Start everything and show the main job on a made-up cohort
	@deploy/dev/demo.sh

check: ## Format, lints, licences, layers, undoable migrations, current documentation
	@deploy/dev/check.sh

test: ## Run all tests on real servers
	@deploy/dev/test.sh

bench: ## Measure the services against the database's own limit
	@bench/run.sh

docs: ## Write the generated pages of docs/ anew
	@deploy/dev/docs.sh
