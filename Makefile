# make demo   skeletons on the sample clip, from nothing but Python 3.10+ and make
# make test   the test suite        make lint / make types   ruff / mypy
# make benchmark   two minutes: how fast the shipped model is on this machine
# make clean  remove everything that these made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST_ARGS ?= -n auto --maxprocesses 5 --dist worksteal

.PHONY: demo test lint types benchmark clean

demo: $(VENV)/.installed
	$(BIN)/gcpose-trt demo --output $(CURDIR)/output/demo.mp4 --jsonl $(CURDIR)/output/demo.jsonl

test: $(VENV)/.installed-dev $(VENV)/.installed-triton
	@bash tests/programs.sh
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy gcpose_trt

benchmark: $(VENV)/.installed-dev
	$(BIN)/gcpose-trt benchmark quick --fresh --output $(CURDIR)/output/benchmark

clean:
	rm -rf $(VENV) build dist output *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last, so an install that was interrupted is done again, and one that is up to date costs nothing.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "gcpose-trt needs Python 3.10 or later; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Only what the shipped model needs: no torch.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) ..."
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV), with PyTorch ..."
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.installed $@

# A Triton server for the tests of what is exported to it, in an environment of its own: see the file of requirements.
# There are wheels for Linux x86_64 and Python up to 3.12; elsewhere those tests skip.
TRITON_REQUIREMENTS := benchmarks/triton/requirements.txt

$(VENV)/.installed-triton: $(TRITON_REQUIREMENTS) pyproject.toml constraints.txt | $(VENV)/bin/python
	@if $(BIN)/python -c 'import platform as p, sys; \
		sys.exit((p.system(), p.machine()) != ("Linux", "x86_64") or sys.version_info >= (3, 13))'; then \
		echo "Installing a Triton server into $(VENV)/triton ..." && \
		$(BIN)/python -m venv --clear $(VENV)/triton && \
		$(VENV)/triton/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt \
			-r $(TRITON_REQUIREMENTS) -e .; \
	fi
	@touch $@
