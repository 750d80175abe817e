# What a person types. `make help` lists the targets; every one sets up what it needs first.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# The newest of the interpreters we support, as `python3` first: what the machine calls Python 3 is what people expect.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
# One worker per core, and at least two: most of what tests do is waiting for processes.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -lt 2 ] && n=2; echo $$n)

# pip: no prompts, no version nag, nothing but what the lock file names.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --progress-bar off --no-compile

.PHONY: help
help: ## List what can be made
	@[ -t 1 ] && bold=1; awk -F ':.*## ' -v on="$${bold:+\033[1m}" -v off="$${bold:+\033[0m}" \
	  '/^[a-z-]+:.*## / { printf "  %s%-12s%s %s\n", on, $$1, off, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.runtime ## See a real Lambda function run, end to end (IMAGE=file.jpg takes your own picture)
	@$(BIN)/pilotlight demo $(if $(IMAGE),--image "$(IMAGE)")

.PHONY: test
test: $(VENV)/.dev ## Run every test (PYTEST_ARGS="-k name" for some of them)
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

.PHONY: clients
clients: $(VENV)/.dev ## Install the tools tests/clients drives a node with: SAM, Chalice, JavaScript's SDK, Terraform
	@$(BIN)/python tests/clients/install.py

.PHONY: check
check: $(VENV)/.dev ## Format, lint, types, import layers, and whether the documentation is complete
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/docs

.PHONY: format
format: $(VENV)/.dev ## Format the code and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: docs
docs: $(VENV)/.dev ## Write the pages that are made from the code (docs/api-coverage.md)
	@$(BIN)/python -m tests.docs.api_coverage

.PHONY: bench
bench: $(VENV)/.runtime ## Measure the budgets against the limit probe, in one run (BENCH_ARGS="--functions 10000")
	@$(BIN)/python -m bench.run $(BENCH_ARGS)

.PHONY: bench-peers
bench-peers: $(VENV)/.runtime ## Measure the peers that can be installed here with the same load
	@$(BIN)/python -m bench.peers $(BENCH_ARGS)

.PHONY: soak
soak: $(VENV)/.runtime ## Load a node for a minute while its environments are killed, and check every answer (SOAK_ARGS="--seconds 600")
	@$(BIN)/python -m bench.soak $(SOAK_ARGS)

.PHONY: setup
setup: $(VENV)/.dev ## Make .venv with everything to run and to work on Pilotlight
	@echo "$(VENV) is ready: $(BIN)/pilotlight up"

.PHONY: lock
lock: ## Choose the newest versions that pyproject.toml allows and write the lock files (needs python3.11)
	@# The oldest Python we support needs the most packages, so its lock serves the newer ones too.
	@[ -x .cache/lock/bin/pip-compile ] || { python3.11 -m venv .cache/lock && .cache/lock/bin/pip install --quiet pip-tools; }
	@# Development first: what it chooses binds the runtime's lock, so that one venv can hold either.
	$(call compile,requirements-dev.lock,--extra dev)
	$(call compile,requirements.lock,--constraint requirements-dev.lock)
	@echo "Compiling examples/thumbnail/requirements.txt"
	@echo pillow | $(PIP_COMPILE) --output-file examples/thumbnail/requirements.txt -
	@echo "Compiling tests/clients"
	@echo aws-sam-cli | $(PIP_COMPILE) --output-file tests/clients/sam/requirements.lock -
	@echo chalice | $(PIP_COMPILE) --output-file tests/clients/chalice/requirements.lock -
	@cd tests/clients/javascript && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit \
	  --no-fund --save-exact @aws-sdk/client-lambda@latest

.PHONY: clean
clean: ## Remove what was made here: .venv, caches, the demo's data
	rm -rf $(VENV) .cache .pilotlight .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv whose interpreter no longer runs (a checkout that moved, a Python that was removed) is no venv.
ifneq ($(shell $(BIN)/python -c 'print(1)' 2>/dev/null),1)
$(shell rm -f $(VENV)/.runtime $(VENV)/.dev $(BIN)/python)
endif
$(BIN)/python:
	@for candidate in $(PYTHONS); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Pilotlight needs Python 3.11 or newer; looked for: $(PYTHONS)." >&2; exit 1; fi; \
	echo "Making $(VENV) with $$("$$found" --version) …"; \
	"$$found" -m venv --clear $(VENV) || { rm -rf $(VENV); \
	  echo "$$found has no working venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	echo "  done in $$SECONDS s"

# The runtime's packages alone: all that `demo` and `bench` need.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Pilotlight runs on (about half a minute, once) …"
	@$(PIP_INSTALL) --require-hashes -r requirements.lock && \
	  $(PIP_INSTALL) --no-deps --no-build-isolation -e . && touch $@ && echo "  done in $$SECONDS s"

# And what working on it needs; holds the runtime's packages too, in the same versions.
$(VENV)/.dev: requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Pilotlight and its tests run on (about a minute, once) …"
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock && \
	  $(PIP_INSTALL) --no-deps --no-build-isolation -e . && touch $(VENV)/.runtime $@ && echo "  done in $$SECONDS s"

# Hashes for every wheel of every platform, and no address: pip asks whatever index the machine is set to.
PIP_COMPILE := .cache/lock/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
  --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --annotation-style line

define compile
	@echo "Compiling $(1)"
	@$(PIP_COMPILE) --build-deps-for editable $(2) --output-file $(1) pyproject.toml
endef
