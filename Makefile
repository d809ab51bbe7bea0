# The lab's chores. Each makes .venv and installs what it lacks.
# PYTHON: the interpreter to make .venv with. Nothing but Python ≥ 3.11 and Linux is needed for `make run`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo 2>/dev/null)
CHROMIUM := $(shell command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || \
  command -v google-chrome)

# Where bytecode may not be written, each of the thousand processes of the tests compiles all sources again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install lock run demo test test-full measure mutations check fix bench truth scenarios fuzz soak docs screenshots compose compose-check chromium slowhttptest clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: $(VENV)/.installed ## what the lab needs to run

PIP_INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check

# No build isolation: pip would install the newest hatchling into it, without a hash.
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

# The first lock has all packages and constrains the other two: the image gets the versions that were tested.
lock: $(VENV)/.dev ## requirements*.lock from pyproject.toml; UPGRADE=--upgrade: the newest versions
	$(BIN)/python -c '$(BUILD_REQUIRES)' >$(VENV)/build.in
	$(LOCK) --extra dev --output-file requirements-dev.lock pyproject.toml $(VENV)/build.in
	$(LOCK) --constraints requirements-dev.lock --output-file requirements.lock pyproject.toml
	$(LOCK) --constraints requirements-dev.lock --output-file requirements-build.lock $(VENV)/build.in

run: $(VENV)/.installed ## the lab on http://127.0.0.1:8000/
	$(BIN)/threadlab serve

demo: $(VENV)/.installed ## every model in turn, a table with verdicts
	$(BIN)/threadlab demo

PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
WORKERS ?= 4# test processes: most of their time they wait, so more of them than CPUs

test: check chromium ## lint, types, and the deterministic tests: real processes, real sockets, a real browser (3 minutes)
	$(PYTEST)

test-full: $(VENV)/.dev chromium ## the exhaustive rest: all tables, variants, pages, themes and widths; also deterministic
	$(PYTEST) -m full

measure: $(VENV)/.dev chromium ## what asserts times, rates, CPU and scheduling; wants a quiet machine, and is not in CI
	$(BIN)/python -m pytest -m "" tests/measure

mutations: $(VENV)/.dev chromium ## break the code in twenty places, one at a time: do the tests see it? (an hour)
	$(BIN)/python -m tests.mutations

check: $(VENV)/.dev ## lint, format and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/djangofmt --quiet --check templates
	$(BIN)/oxfmt --check static templates
	$(BIN)/mypy

fix: $(VENV)/.dev ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djangofmt templates
	$(BIN)/oxfmt static templates

bench: $(VENV)/.dev ## what a request costs, beside nginx and uvicorn; wants wrk, nginx and a quiet machine
	$(BIN)/python -m tests.bench.engines_vs_peers
	$(BIN)/python -m tests.bench.engines_vs_peers --connections 512
	$(BIN)/python -m tests.bench.pipelining
	$(BIN)/python -m tests.bench.load_vs_wrk
	$(BIN)/python -m tests.bench.load_rate
	$(BIN)/python -m tests.bench.load_truth
	$(BIN)/python -m tests.bench.idle_crowd
	$(BIN)/python -m tests.bench.churn
	$(BIN)/python -m tests.bench.start_stop
	$(BIN)/python -m tests.bench.start_up
	$(BIN)/python -m tests.bench.page_latency
	$(BIN)/python -m tests.bench.spread
	$(BIN)/python -m tests.bench.observing
	$(BIN)/python -m tests.bench.viewers

truth: $(VENV)/.dev ## the cost ledger beside perf and strace, on every model; wants both, root, and a quiet machine
	$(BIN)/python -m tests.bench.ledger_truth --strace
	$(BIN)/python -m tests.bench.little

scenarios: $(VENV)/.dev ## every scenario on every model, some ten minutes
	$(BIN)/python -m tests.bench.scenarios

soak: $(VENV)/.dev slowhttptest ## attacks by slow clients, drains under load, and ten minutes of the live view under full load; an hour
	$(BIN)/python -m tests.soak.attacks
	$(BIN)/python -m tests.soak.control_plane
	$(BIN)/python -m tests.bench.drains
	$(BIN)/python -m tests.soak.live

docs: $(VENV)/.installed ## docs/models.md, from what the lessons say of themselves
	$(BIN)/python -m engines --describe | $(BIN)/python docs/make_models.py >docs/models.md.new && mv docs/models.md.new docs/models.md

fuzz: $(VENV)/.dev ## 20,000 streams of mutated requests to every engine and to h11 (some minutes); FUZZ=n: so many
	$(BIN)/python -m tests.engines.differential $(or $(FUZZ),20000)

screenshots: $(VENV)/.dev chromium ## make docs/screenshots in a real browser; needs a quiet machine (load average below 1)
	$(BIN)/python docs/screenshots.py

COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

compose: ## the lab in a container, with a token of its own (PROFILE=observability: Prometheus and Grafana beside it)
	@grep -qs '^THREADLAB_TOKEN=.' .env || (umask 077; printf 'THREADLAB_TOKEN=%s\n' "$$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" >>.env)
	$(COMPOSE) $(if $(PROFILE),--profile $(PROFILE)) up --build --detach
	@for _ in $$(seq 60); do $(COMPOSE) logs --no-color lab 2>/dev/null | grep -o 'http://localhost[^ ]*token=[^ ]*' | tail -n 1 | grep . && break; sleep 0.5; done
	@echo "That link is good once, for ten minutes; afterwards paste the token of .env at http://localhost:8000/login"

compose-check: $(VENV)/.dev ## docker-compose.yml for real, offline, as root on Debian (some minutes)
	deploy/compose-check

chromium: # Debian's Chromium, where there is none and it may be installed
ifeq ($(CHROMIUM),)
	@if command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || [ -n "$(SUDO)" ]; }; then \
	  $(SUDO) apt-get update -qq; shell=chromium-headless-shell; \
	  apt-cache show "$$shell" >/dev/null 2>&1 || shell=chromium; \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq "$$shell" >/dev/null; \
	else echo "No Chromium, and it may not be installed here: the browser tests will be skipped."; fi
endif

slowhttptest: # Debian's slowhttptest, where there is none and it may be installed
	@command -v slowhttptest >/dev/null || { command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || [ -n "$(SUDO)" ]; } && \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq slowhttptest >/dev/null; } || \
	{ echo "No slowhttptest, and it may not be installed here."; exit 1; }

clean: ## forget .venv and caches (not the runs in data/)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
