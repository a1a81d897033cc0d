# make demo            train a GPT from random weights and see it learn to write, about three minutes
# make test            run all tests
# make test-extended   run the long tests, such as a hundred kills; half an hour
# make check           lint, format and types, as in continuous integration
# make bench           measure speed and memory against PyTorch and others; an hour or more
# make notebook        open the notebook in JupyterLab
# make clean           remove the virtual environment and build outputs

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-extended check bench notebook clean

demo: $(VENV)/.installed
	$(BIN)/minigpt demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

test-extended: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/extended

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks all

notebook: $(VENV)/.installed-dev
	$(BIN)/jupyter lab notebooks/minigpt.ipynb

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# PyTorch is installed first and alone: the other packages have to fit its pinned version.
$(VENV)/.installed-bench: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

$(VENV)/.installed-%: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) build dist
