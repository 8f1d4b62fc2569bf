PYTHON ?= python

.PHONY: install fix check test long artifacts

install:  ## everything for working on the project
	$(PYTHON) -m pip install -r requirements-dev.txt

fix:  ## format and mend what can be mended
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

check:  ## the gate: format, lint, types, tests
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy train.py app.py
	$(PYTHON) -m pytest

test:
	$(PYTHON) -m pytest

long:  ## kills, fuzzing, fresh environments: minutes
	$(PYTHON) -m pytest -m long

artifacts:  ## the bundled models; DATA=train.csv with AG News titles, ABOUT="its origin and terms"
	$(PYTHON) train.py --data $(DATA) --preset default --out artifacts/default --about-data "$(ABOUT)"
	$(PYTHON) train.py --data $(DATA) --preset lesson --out artifacts/lesson --about-data "$(ABOUT)"
