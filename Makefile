# Every target sets up what it needs; nothing has to be installed by hand but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROVIDER ?= tansu
# What `make test` runs of the tests in one process: `unit`, or `coverage` for the same ones measured.
UNIT ?= unit
PYTHONS ?= python3.11 python3.12 python3.13
# What the worker never imports; it needs the extras.
NOT_OF_THE_WORKER := benchmarks|app/(assistant|sandbox|demo|pytest_plugin|telemetry/traces/[a-z])
# Tests of parts against PostgreSQL and a few processes.
PARTS := tests/contract tests/integration tests/incidents -m "not apache"
# Where tests import each other's modules from.
TEST_FOLDERS = $(sort $(dir $(wildcard tests/*/*.py tests/*/*/*.py tests/*/*/*/*.py tests/domains/*/pyproject.toml)))

.DEFAULT_GOAL := help

$(READY): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "innervate: Python 3.11 or newer is needed, $(PYTHON) is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: setup
setup: $(READY)  ## Create .venv with everything pinned in requirements.lock

.PHONY: hooks
hooks: $(READY)  ## Check every commit before it is made, with the tools of .venv; nothing is downloaded
	$(BIN)/pre-commit install

.PHONY: demo
demo: $(READY)  ## The whole story on embedded services; SEED=n ORDERS=n FAILURES=n UNUSUAL=n PROVIDER=tansu|apache LLM=scripted VERBOSE=1
	$(BIN)/python -m app.demo --provider $(PROVIDER) $(if $(LLM),--llm $(LLM)) $(if $(SEED),--seed $(SEED)) $(if $(ORDERS),--orders $(ORDERS)) $(if $(FAILURES),--failures $(FAILURES)) $(if $(UNUSUAL),--unusual $(UNUSUAL)) $(if $(VERBOSE),--verbose)

.PHONY: up
up: $(READY)  ## Embedded services and a worker until Ctrl-C; addresses in var/sandbox.json; PROVIDER=tansu|apache
	$(BIN)/python -m app.sandbox.up --provider $(PROVIDER)

.PHONY: services
services: $(READY)  ## Kafka and PostgreSQL alone until Ctrl-C; prints the environment a worker needs, var/services.env too; PROVIDER=tansu|apache
	@$(BIN)/python -m app.sandbox.services --provider $(PROVIDER)

.PHONY: test
test: lint $(UNIT) acceptance  ## Everything that needs nothing but Python: lint, types, contracts, all tests on the sandbox

.PHONY: lint
lint: $(READY) dependencies  ## ruff, mypy strict (tests and benchmarks too), import contracts, declared dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPY=$(BIN)/mypy .ci/types
	$(BIN)/lint-imports

# deptry reads requirement files; setup.cfg is where the dependencies stand.
.PHONY: dependencies
dependencies: $(READY)  ## Every imported distribution is declared, and none for nothing
	@mkdir -p var
	@$(BIN)/python -c 'import configparser, pathlib; c = configparser.ConfigParser(); c.read("setup.cfg"); \
	  pathlib.Path("var/worker.txt").write_text(c["options"]["install_requires"]); \
	  pathlib.Path("var/extras.txt").write_text("\n".join(c["options.extras_require"].values()))'
	$(BIN)/deptry . --extend-exclude '$(NOT_OF_THE_WORKER)' --requirements-files var/worker.txt
	$(BIN)/deptry . $(TEST_FOLDERS) --exclude '\.venv|var|build' --requirements-files var/worker.txt,var/extras.txt

.PHONY: unit
unit: $(READY)  ## Unit, contract, integration and packaging tests
	$(BIN)/pytest tests/unit $(PARTS)

.PHONY: coverage
coverage: unit-coverage integration  ## The same, the unit tests measured: fails below the floor in pyproject.toml; var/coverage has the lines

.PHONY: unit-coverage
unit-coverage: $(READY)
	$(BIN)/pytest tests/unit --cov --cov-report=html --cov-report=term:skip-covered

.PHONY: integration
integration: $(READY)  ## Contract and integration tests
	$(BIN)/pytest $(PARTS)

.PHONY: unit-on
unit-on:  ## The unit tests on another Python, in an environment of its own: PYTHON=python3.13
	version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])') && $(MAKE) VENV=.venv-$$version unit-alone

.PHONY: unit-alone
unit-alone: $(READY)
	$(BIN)/python --version
	$(BIN)/pytest tests/unit

.PHONY: pythons
pythons:  ## unit-on for every supported Python this machine has; says which it has not; PYTHONS="python3.12 python3.13"
	PYTHONS="$(PYTHONS)" .ci/pythons

.PHONY: acceptance
acceptance: $(READY)  ## Real worker processes on the sandbox
	$(BIN)/pytest tests/acceptance --provider tansu -m "not apache"

.PHONY: test-browser
test-browser: $(READY) chromium  ## The page in Chromium: every view, keyboard, screen reader, hostile text; SCREENSHOTS=1 renews those of the README
	$(BIN)/pytest tests/browser --provider tansu $(if $(SCREENSHOTS),--screenshots)

.PHONY: chromium
chromium:  ## Install Debian's Chromium where there is none (as root); CHROMIUM=path names another one
	.ci/chromium

# Alerts: what they say, that each fires, and that they fire where a real worker is broken.
ALERTS := deploy/prometheus
.PHONY: test-alerts
test-alerts: $(READY) prometheus  ## The alerts: tested by promtool, and fired at a real worker; PROMETHEUS=path
	promtool=$$(dirname "$$(.ci/prometheus)")/promtool && $$promtool check config $(ALERTS)/prometheus.yml \
	  && $$promtool test rules $(ALERTS)/tests/*.yaml
	$(BIN)/pytest tests/alerts

.PHONY: prometheus
prometheus:  ## Install Debian's Prometheus where there is none (as root)
	.ci/prometheus

.PHONY: test-deploy
test-deploy: $(READY) deploy-tools  ## The image, built and started without a container engine, the Helm chart and its manifests, the compose file; needs root and Go
	$(BIN)/pytest tests/deploy

.PHONY: deploy-tools
deploy-tools: $(READY)  ## Build and install what test-deploy judges with, into var/deploy
	.ci/deploy-tools

.PHONY: manifests
manifests: deploy-tools  ## Render the Helm chart into deploy/manifests
	PYTHONPATH=tests/support:tests/deploy:. $(BIN)/python -m charts

.PHONY: base-image
base-image:  ## Pin the base of the image to what its tag is now; needs skopeo and a registry that answers
	deploy/base-image

.PHONY: test-kafka
test-kafka: kafka-integration kafka-acceptance random-faults  ## The same on a real Apache Kafka, and a round of random faults with a new seed; needs Java 17 and Maven

.PHONY: kafka-integration
kafka-integration: $(READY)
	$(BIN)/pytest tests/integration -m apache
	$(BIN)/pytest tests/crash -m "not apache"

# The tutorial starts its own services, as it is written.
.PHONY: kafka-acceptance
kafka-acceptance: $(READY)
	$(BIN)/pytest tests/acceptance --provider apache --ignore tests/acceptance/test_tutorial.py

.PHONY: random-faults
random-faults: $(READY)
	$(BIN)/pytest tests/crash/test_random_faults.py

RUNS ?= 12
.PHONY: crash-test
crash-test: $(READY)  ## Hurt everything on Apache Kafka, then audit it: every crash point, RUNS=n random faults; SEED=n repeats, FENCED=1, RATE=n events a second
	$(BIN)/pytest tests/crash --faults $(RUNS) $(if $(SEED),--seed $(SEED)) $(if $(FENCED),--fenced) $(if $(RATE),--rate $(RATE))

.PHONY: crash-points
crash-points: $(READY)  ## The part of crash-test without chance: kill and freeze a worker at every point; FENCED=1, TRADE=shop|ci
	$(BIN)/pytest tests/crash -m apache --ignore tests/crash/test_random_faults.py $(if $(FENCED),--fenced) $(if $(TRADE),--trade $(TRADE))

.PHONY: drills
drills: $(READY)  ## What operators do, on Apache Kafka with real workers: scale, upgrade, change; needs Java 17 and Maven
	$(BIN)/pytest tests/drills

# Libraries of variants whose pins do not go together with ours.
FOREIGN := var/foreign/.ready
$(FOREIGN): $(READY) benchmarks/variants/foreign.lock
	rm -rf var/foreign
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target var/foreign -r benchmarks/variants/foreign.lock
	@touch $@

.PHONY: bench
bench: $(READY) $(if $(QUICK),,$(FOREIGN))  ## Measure beside other ways to do it, into var/bench.md and var/bench.json; ONLY=parts RUNS=n; QUICK=1 checks what no machine changes
	$(BIN)/python -m benchmarks.$(if $(QUICK),gate,run $(if $(ONLY),--only $(ONLY)) $(if $(filter command line,$(origin RUNS)),--runs $(RUNS)))

SEEDS ?= 1-3
.PHONY: judgment
judgment: $(READY)  ## How well the rules judge simulated shops, in process: SEEDS=1,5-8 ORDERS=n WRONG=1 (each wrong case) JSON=file; fails when too much went back
	$(BIN)/python -m benchmarks.judgment --seeds $(SEEDS) $(if $(ORDERS),--orders $(ORDERS)) $(if $(WRONG),--wrong) $(if $(JSON),--json $(JSON))

.PHONY: root-cause
root-cause: $(READY)  ## How well causes across services are named: PetShop and own graphs; SEEDS=100-109 MISSING=0.1 KINDS=cascade WRONG=1 SANDBOX=apache
	$(BIN)/python -m benchmarks.root_cause $(if $(filter file,$(origin SEEDS)),,--seeds $(SEEDS)) $(if $(MISSING),--missing $(MISSING)) $(if $(KINDS),--kinds $(KINDS)) $(if $(WRONG),--wrong) $(if $(SANDBOX),--sandbox $(SANDBOX))

.PHONY: lock
lock: $(READY)  ## Renew the lock files after a change of setup.cfg or of what variants need; needs uv
	uv pip compile setup.cfg --extra mcp --extra otel --extra sandbox --extra test --extra bench --extra dev --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --output-file requirements.lock
	uv pip compile setup.cfg --extra otel --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --output-file deploy/requirements.lock
	uv pip compile benchmarks/variants/foreign.in --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --output-file benchmarks/variants/foreign.lock

.PHONY: sbom
sbom: $(READY)  ## What the image's packages are, as CycloneDX, from the lock: var/sbom.json; the same bytes for the same lock
	@mkdir -p var
	$(BIN)/cyclonedx-py requirements --output-reproducible --output-format JSON --spec-version 1.6 --output-file var/sbom.json deploy/requirements.lock
	$(BIN)/python -c 'import json; found = json.load(open("var/sbom.json"))["components"]; print(len(found), "components in var/sbom.json")'

.PHONY: audit
audit: $(READY)  ## Ask PyPI for known vulnerabilities of every pinned version; 1: there is one, 2: not every version could be asked for
	$(BIN)/python .ci/audit requirements.lock deploy/requirements.lock

.PHONY: vendor
vendor: $(READY)  ## Renew what the page and its tests take from npm, in the versions of their vendored.json; needs npm
	PYTHONPATH=tests/support $(BIN)/python -m vendored

.PHONY: clean
clean:  ## Remove what was built and what runs left behind
	rm -rf $(VENV) .venv-* var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help
help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 14
