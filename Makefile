PYTHON ?= python

.PHONY: install fix check test long space artifacts

install:  ## everything for working on the project
	$(PYTHON) -m pip install -r requirements-dev.txt

fix:  ## format and mend what can be mended
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

check:  ## the gate: format, lint, types, tests
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy train.py app.py demo
	$(PYTHON) -m pytest

test:
	$(PYTHON) -m pytest

long:  ## kills, fuzzing, fresh environments: minutes
	$(PYTHON) -m pytest -m long

space:  ## the folder of a Space: REPO=owner/model REVISION=commit, and SPACE=owner/name to upload it
	$(PYTHON) -m demo.space --repo "$(REPO)" --revision "$(REVISION)" $(if $(SPACE),--push-to-space "$(SPACE)")

# What the bundled models learned from. `python train.py` trains on all 120,000 titles.
ABOUT = 62,242 of the 120,000 official AG News training titles (Zhang et al. 2015), those that could be recovered from \
public copies; \"python train.py\" trains on all. AG News is offered for research and other non-commercial use, \
and what was learned from it carries these terms.
RESULTS = $(shell $(PYTHON) benchmarks/report.py --card)
VECTORS ?= sentence-transformers/all-MiniLM-L6-v2

artifacts:  ## the bundled models; DATA=train.csv, and VECTORS=folder where the Hub is out of reach
	$(PYTHON) train.py --data $(DATA) --out artifacts/default --about-data "$(ABOUT)" --vectors $(VECTORS) \
		--about-results "$(RESULTS)" --about-dataset sh0416/ag_news
	$(PYTHON) train.py --data $(DATA) --preset lesson --out artifacts/lesson --about-data "$(ABOUT)" \
		--about-results "$(RESULTS)" --about-dataset sh0416/ag_news
