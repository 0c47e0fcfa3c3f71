# `make` lists the targets. All that is needed beforehand is make and a Python 3.10 to 3.13; each target sets up
# .venv by itself the first time, and again after pyproject.toml or constraints.txt has changed.

# The newest Python that really runs, has a supported version and can make a virtual environment.
# Another one: make test PYTHON=/path/to/python
PYTHON_FITS := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.10 python3; do \
	$$python -c '$(PYTHON_FITS)' >/dev/null 2>&1 && echo $$python && break; done)
CHECK_PYTHON = '$(PYTHON)' -c '$(PYTHON_FITS)' 2>/dev/null || { \
	echo "make: found no Python 3.10 to 3.13 with venv and pip (Debian: package python3-venv);" \
		"name one: make PYTHON=/path/to/python" >&2; exit 1; }

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/installed
DOCS_INSTALLED := $(VENV)/installed-docs
DREAMBEAM := $(VENV)/bin/dreambeam

DEMO_OUT ?= build/demo
PYTEST_ARGS ?= -n 2 --dist loadscope
EVERY ?= 1
MINUTES ?= 5

.PHONY: help
help:  ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(INSTALLED)  ## Dream a few recordings into build/demo (DEMO_OUT=folder for another place).
	$(DREAMBEAM) augment --config configs/quickstart.yaml --input demo --output $(DEMO_OUT) --overwrite

.PHONY: test
test: $(INSTALLED)  ## Run the tests but the slow ones (PYTEST_ARGS="tests/augment -x" for some).
	$(VENV_PYTHON) -m pytest $(PYTEST_ARGS)

.PHONY: test-slow
test-slow: $(INSTALLED)  ## Run the slow tests: several workers, kills, memory, other instructions, training, the wheel.
	$(VENV_PYTHON) -m pytest $(PYTEST_ARGS) -m slow

.PHONY: test-batches
test-batches: $(INSTALLED)  ## Check that batches change no byte: every combination, hours (EVERY=9 takes one in nine).
	$(VENV_PYTHON) tests/support/batch_law.py --every $(EVERY)

.PHONY: fuzz
fuzz: $(INSTALLED)  ## Run the property tests on fresh draws (MINUTES=5).
	@end=$$(( $$(date +%s) + 60 * $(MINUTES) )); while [ $$(date +%s) -lt $$end ]; do \
		$(VENV_PYTHON) -m pytest $(PYTEST_ARGS) -q -m 'hypothesis and not cluster and not slow' --hypothesis-profile=fuzz || exit 1; \
	done

.PHONY: test-cluster test-flink
test-cluster: $(INSTALLED)  ## Run the cluster tests: Flink, Spark and Prism on this machine (ENGINE=spark for one).
	$(VENV_PYTHON) tests/cluster/fetch.py $(ENGINE)
	ENGINE='$(ENGINE)' $(VENV_PYTHON) -m pytest -m cluster tests/cluster

test-flink: test-cluster

.PHONY: lint
lint: $(INSTALLED)  ## Check format, lint, types and the import rule.
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m pyright
	$(VENV)/bin/lint-imports --no-logo

.PHONY: check
check: lint test test-slow  ## Everything a change must pass.

.PHONY: format
format: $(INSTALLED)  ## Format the code and apply the safe lint fixes.
	$(VENV_PYTHON) -m ruff check --fix-only .
	$(VENV_PYTHON) -m ruff format .

.PHONY: docs
docs: $(DOCS_INSTALLED)  ## Build the documentation site into build/docs.
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --clean

.PHONY: install
install: $(INSTALLED)  ## Only set up .venv.

# pip names every package several times; of that, show the large downloads and the last steps, and keep the rest.
$(INSTALLED): pyproject.toml constraints.txt
	@$(VENV_PYTHON) -m pip --version >/dev/null 2>&1 || { \
		$(CHECK_PYTHON); \
		echo "Creating $(VENV) with $$('$(PYTHON)' --version) ..."; \
		'$(PYTHON)' -m venv --clear $(VENV); }
	@echo "Installing the pinned packages into $(VENV); the first time takes a few minutes and 3 GB ..."
	@{ $(VENV_PYTHON) -m pip install --progress-bar off --disable-pip-version-check \
			--constraint constraints.txt --editable '.[dev,utility]' 2>&1; echo "pip ended: $$?"; } \
	| { : > $(VENV)/install.log; while IFS= read -r line; do \
		printf '%s\n' "$$line" >> $(VENV)/install.log; \
		case "$$line" in \
			"pip ended: "*) exit "$${line#pip ended: }" ;; \
			*Downloading*"("[0-9][0-9]*" MB)") printf ' %s\n' "$$line" ;; \
			"Installing collected"*) echo "  Unpacking ..." ;; \
			ERROR*|error*) printf '%s\n' "$$line" >&2 ;; \
		esac; done; } \
	|| { echo "make: the installation failed; all of pip's output is in $(VENV)/install.log" >&2; exit 1; }
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $@

.PHONY: dist
dist: $(INSTALLED)  ## Build the sdist, and from it the wheel, into dist/.
	rm -rf dist
	$(VENV_PYTHON) -m build --outdir dist .

.PHONY: constraints
constraints:  ## Pin what pyproject.toml asks for; keeps the pins that still fit (delete the file first for the newest).
	@$(CHECK_PYTHON)
	'$(PYTHON)' -m venv build/uv
	build/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	UV_CUSTOM_COMPILE_COMMAND='make constraints' build/uv/bin/uv pip compile pyproject.toml --extra dev --extra utility \
		--extra docs --universal --python-version 3.10 --python build/uv/bin/python --no-python-downloads \
		--no-annotate --no-emit-index-url --quiet --output-file constraints.txt

.PHONY: clean
clean:  ## Remove .venv, build and the caches.
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find augment pipelines evaluation tests -name __pycache__ -type d -prune -exec rm -rf {} +
