# The same commands for a person and for CI. `make demo` and `make test` are all that a newcomer needs:
# each makes .venv by itself, from the registry alone.

# The first Python of 3.11 or newer that really runs and can make a venv.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v "$$python"; break; }; done)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Wheels only: no compiler is needed, and none is run. (x86-64 Linux with glibc 2.28, macOS.)
WHEELS ?= --only-binary :all:
# What goes on to the program behind a target: make demo ARGS="--seconds 20 --json", make test ARGS="-k calendar".
ARGS ?=
# How often `make chaos` hits each failpoint.
ROUNDS ?= 10
# How long `make search` looks, and where it begins.
MINUTES ?= 5
SEED ?= 1

.PHONY: help setup demo test test-kafka chaos search mutants check bench bench-gate format lock clean

help:
	@echo "make demo        see it at work: embedded servers, a kill, a recount (60 s, nothing else needed)"
	@echo "make test        every test that needs neither Java nor Docker"
	@echo "make test-kafka  the tests on Apache Kafka (Java 17 and Maven, or a broker in TALLY_TEST_KAFKA)"
	@echo "make chaos       SIGKILL at each failpoint, ROUNDS times (10)"
	@echo "make search      random definitions and events against the judge, MINUTES (5) from SEED (1)"
	@echo "make mutants     seed faults one at a time, and see that the tests find each"
	@echo "make check       ruff, mypy, import-linter, the compose file, the Prometheus rules"
	@echo "make bench       the same job on us and on stock Faust, side by side, on Apache Kafka"
	@echo "                 (ARGS=metrics: what each type of metric costs; ARGS=simulate: files; without servers)"
	@echo "make bench-gate  checks and reservations beside a bare GET and the limits library, on a Redis"
	@echo "make setup       make .venv and nothing else;  make format  mend what ruff can mend"
	@echo "make lock        pin the dependencies of pyproject.toml anew;  make clean  remove caches and .venv"

setup: .venv/.installed

.venv/.installed: requirements-dev.lock pyproject.toml client/pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Tallystream needs Python 3.11 or newer with its venv module" \
		"(Debian, Ubuntu: apt-get install python3-venv); name one with make PYTHON=..." >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || { echo "making .venv with $(PYTHON)"; "$(PYTHON)" -m venv .venv; }
	@echo "installing the pinned dependencies"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes $(WHEELS) -r requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-index --no-deps --no-build-isolation -e client -e .
	@touch $@

demo: setup
	$(BIN)/tally demo $(ARGS)

test: setup
	$(PYTEST) -m "not kafka and not chaos" $(ARGS)

test-kafka: setup
	$(PYTEST) -m "kafka and not chaos" $(ARGS)

chaos: setup
	TALLY_CHAOS_ROUNDS=$(ROUNDS) $(PYTEST) -m chaos -s $(ARGS)

search: setup
	$(BIN)/python -m tests.search --minutes $(MINUTES) --seed $(SEED) $(ARGS)

mutants: setup
	$(BIN)/python -m tests.mutants.run $(ARGS)

check: check-lint check-format check-types check-layers check-compose check-rules

check-lint: setup
	$(BIN)/ruff check

check-format: setup
	$(BIN)/ruff format --check

check-types: setup
	$(BIN)/mypy

check-layers: setup
	$(BIN)/lint-imports --no-cache --no-logo

check-compose: setup
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

check-rules:
	@if command -v promtool >/dev/null; then promtool check config deploy/prometheus/prometheus.yml \
		&& promtool test rules deploy/prometheus/tests/*.yml; \
		else echo "promtool is not here (Debian: prometheus): the Prometheus rules are not checked"; fi

bench: setup
	$(BIN)/python -m bench $(ARGS)

bench-gate: setup
	$(BIN)/python -m bench.gate $(ARGS)
	$(BIN)/python -m bench.gate_cost

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Needs uv (any version on the PATH). Pins that still fit stay; -U in ARGS renews them all.
lock: setup
	@dist=$$(mktemp -d) && trap 'rm -rf "$$dist"' EXIT && set -e; \
	$(BIN)/python -m pip wheel -q --no-deps --no-build-isolation --no-index -w "$$dist" ./client; \
	common="--universal --python-version 3.11 --generate-hashes --only-binary :all: --no-header --quiet \
		--no-emit-package tallygate --find-links $$dist"; \
	uv pip compile $$common $(ARGS) --extra dev --extra demo pyproject.toml -o requirements-dev.lock; \
	uv pip compile $$common $(ARGS) -c requirements-dev.lock pyproject.toml -o requirements.lock; \
	printf 'hatchling\neditables\n' > "$$dist/build.in"; \
	cd "$$dist" && cp "$(CURDIR)"/*.lock . \
	&& uv pip compile $$common -c requirements-dev.lock build.in -o requirements-build.lock \
	&& cp requirements-build.lock "$(CURDIR)"

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .tally build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
