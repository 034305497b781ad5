# Everything runs in .venv, which is made on first use. Needs python3.11 or newer, and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test golden benchmark clean

demo: .venv/installed  ## show what dockfix does to a Flask application with everything wrong
	@$(BIN)/dockfix --diff examples/flask-naive || test $$? -eq 1

test: .venv/developing  ## the checks that a change has to pass
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto

golden: .venv/developing  ## write what the transforms do now into golden/*/*/after and README.md
	$(BIN)/pytest -q tests/test_golden.py tests/test_documentation.py --update-golden

benchmark: .venv/developing  ## what dockfix costs, as ratios
	$(BIN)/python benchmarks/speed.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/developing: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/installed

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
