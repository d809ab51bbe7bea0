# Development tasks. Each creates .venv and installs what is missing.
# PYTHON: the interpreter of .venv. `make run` needs only Python ≥ 3.11 and Linux.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo 2>/dev/null)
CHROMIUM := $(shell command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || \
  command -v google-chrome)

# Without bytecode, each of the 1,000 processes of the tests would compile all sources again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install lock run demo test default-tests test-full measure mutations check lint types fix bench truth scenarios fuzz soak docs screenshots compose compose-check chromium slowhttptest clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: $(VENV)/.installed ## install the runtime dependencies into .venv

PIP_INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check

# No build isolation: pip would install the newest hatchling for the build, without a hash.
$(VENV)/.installed: pyproject.toml requirements.lock requirements-build.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13 …")'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --require-hashes --requirement requirements.lock --requirement requirements-build.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements-dev.lock
	$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	@touch $@

LOCK = UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes $(UPGRADE)
BUILD_REQUIRES = import tomllib; project = tomllib.load(open("pyproject.toml", "rb")); \
  print(*project["build-system"]["requires"], sep="\n")

# The first lock has all packages and constrains the others, so the images get the tested versions.
lock: $(VENV)/.dev ## regenerate requirements*.lock from pyproject.toml; UPGRADE=--upgrade: newest versions
	$(BIN)/python -c '$(BUILD_REQUIRES)' >$(VENV)/build.in
	$(LOCK) --extra dev --extra servers --extra cluster --output-file requirements-dev.lock pyproject.toml $(VENV)/build.in
	$(LOCK) --constraints requirements-dev.lock --output-file requirements.lock pyproject.toml
	$(LOCK) --constraints requirements-dev.lock --extra cluster --output-file requirements-cluster.lock pyproject.toml
	$(LOCK) --constraints requirements-dev.lock --output-file requirements-build.lock $(VENV)/build.in

run: $(VENV)/.installed ## start the lab on http://127.0.0.1:8000/
	$(BIN)/threadlab serve

demo: $(VENV)/.installed ## measure all models in the terminal, with verdicts
	$(BIN)/threadlab demo

PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
WORKERS ?= 3# test processes: more than CPUs, because they wait; each has its own lab and browser

test: lint chromium ## lint, types and the default tests, with real processes, sockets and a browser (5 to 14 minutes)
	$(MAKE) --jobs=2 types default-tests

default-tests: $(VENV)/.dev
	$(PYTEST)

test-full: $(VENV)/.dev chromium ## all remaining tests: every table, variant, page, theme and width; also deterministic
	$(PYTEST) -m full

measure: $(VENV)/.dev chromium ## tests that assert times, rates, CPU and scheduling; needs a quiet machine, not in CI
	$(BIN)/python -m pytest -m "" tests/measure

mutations: $(VENV)/.dev chromium ## insert 20 faults, one at a time, and check that the tests detect each (1 hour)
	$(BIN)/python -m tests.mutations

check: lint types ## check lint, format and types

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/djangofmt --quiet --check templates
	$(BIN)/oxfmt --check static templates

types: $(VENV)/.dev
	$(BIN)/mypy

fix: $(VENV)/.dev ## format the code and apply automatic lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djangofmt templates
	$(BIN)/oxfmt static templates

bench: $(VENV)/.dev ## cost per request beside nginx, gunicorn and others; needs wrk, nginx, node and a quiet machine
	$(BIN)/python -m tests.bench.engines_vs_peers
	$(BIN)/python -m tests.bench.external_servers
	$(BIN)/python -m tests.bench.pipelining
	$(BIN)/python -m tests.bench.load_vs_wrk
	$(BIN)/python -m tests.bench.load_rate
	$(BIN)/python -m tests.bench.load_truth
	$(BIN)/python -m tests.bench.export
	$(BIN)/python -m tests.bench.idle_connections
	$(BIN)/python -m tests.bench.churn
	$(BIN)/python -m tests.bench.start_stop
	$(BIN)/python -m tests.bench.start_up
	$(BIN)/python -m tests.bench.page_latency
	$(BIN)/python -m tests.bench.spread
	$(BIN)/python -m tests.bench.observing
	$(BIN)/python -m tests.bench.viewers

truth: $(VENV)/.dev ## compare the cost ledger with perf and strace; needs both, root and a quiet machine
	$(BIN)/python -m tests.bench.ledger_truth --strace
	$(BIN)/python -m tests.bench.little

scenarios: $(VENV)/.dev ## run every scenario on every model (10 minutes)
	$(BIN)/python -m tests.bench.scenarios

soak: $(VENV)/.dev slowhttptest ## slow-client attacks, drains under load, 10 minutes of live view under load (1 hour)
	$(BIN)/python -m tests.soak.attacks
	$(BIN)/python -m tests.soak.control_plane
	$(BIN)/python -m tests.bench.drains
	$(BIN)/python -m tests.soak.live

docs: $(VENV)/.installed ## regenerate docs/models.md from the model modules, and docs/claims.md from the claims
	$(BIN)/python docs/make_claims.py >docs/claims.md.new && mv docs/claims.md.new docs/claims.md
	$(BIN)/python -m engines --describe | $(BIN)/python docs/make_models.py >docs/models.md.new && mv docs/models.md.new docs/models.md

fuzz: $(VENV)/.dev ## send 20,000 mutated request streams to every engine and to h11 (minutes); FUZZ=n: n streams
	$(BIN)/python -m tests.engines.differential $(or $(FUZZ),20000)

screenshots: $(VENV)/.dev chromium ## make docs/screenshots in a real browser; needs a quiet machine (load average below 1)
	$(BIN)/python docs/screenshots.py

COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

compose: ## start the lab in a container (PROFILE=observability: with Prometheus and Grafana; PROFILE=cluster: with two hosts)
	@grep -qs '^THREADLAB_TOKEN=.' .env || (umask 077; printf 'THREADLAB_TOKEN=%s\n' "$$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" >>.env)
	$(if $(filter cluster,$(PROFILE)),set -a; . deploy/cluster.env; )$(COMPOSE) $(addprefix --profile ,$(PROFILE)) up --build --detach
	@for _ in $$(seq 60); do $(COMPOSE) logs --no-color lab 2>/dev/null | grep -o 'http://localhost[^ ]*token=[^ ]*' | tail -n 1 | grep . && break; sleep 0.5; done
	@echo "The link is valid once, for ten minutes. Later, paste the token of .env at http://localhost:8000/login"

compose-check: $(VENV)/.dev ## start all containers without a registry and check them; as root on Debian (5 minutes)
	deploy/compose-check

chromium: # install Debian's Chromium if there is none
ifeq ($(CHROMIUM),)
	@if command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || [ -n "$(SUDO)" ]; }; then \
	  $(SUDO) apt-get update -qq; shell=chromium-headless-shell; \
	  apt-cache show "$$shell" >/dev/null 2>&1 || shell=chromium; \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq "$$shell" >/dev/null; \
	else echo "No Chromium, and no permission to install it: the browser tests will be skipped."; fi
endif

slowhttptest: # install Debian's slowhttptest if there is none
	@command -v slowhttptest >/dev/null || { command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || [ -n "$(SUDO)" ]; } && \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq slowhttptest >/dev/null; } || \
	{ echo "No slowhttptest, and no permission to install it."; exit 1; }

clean: ## delete .venv and caches, but not the runs in data/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
