# `make book` and `make test` work in a bare clone: they need Python 3.11 or newer,
# make and git, and keep everything they install in .venv.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
HTML := _build/html/index.html

# The first interpreter that is new enough; the pinned versions are tested on 3.11.
# Choose another with: make book PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install book links test lint format sync bench clean

help:  ## this list
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)$$/\1|\2/p' $(MAKEFILE_LIST) \
	| while IFS='|' read -r target what; do printf '  %-9s %s\n' "$$target" "$$what"; done

install: $(INSTALLED)  ## make .venv and install everything into it

# The stamp is written last: an interrupted or failed installation starts afresh.
$(INSTALLED): requirements.txt constraints.txt pyproject.toml
	@test -n '$(PYTHON)' || { echo 'No Python 3.11 or newer was found;' \
	'install one, or name it: make PYTHON=/path/to/python' >&2; exit 1; }
	@echo 'Installing into $(VENV) (once; a minute and 1.5 GB)'
	@$(PYTHON) -m venv --clear $(VENV) || { echo 'Python cannot make a virtual' \
	'environment here; on Debian: apt-get install python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

book: $(INSTALLED)  ## build the book; its chapters execute where something changed
	$(BIN)/jupyter-book build book -W -n --keep-going
	@echo 'The book: file://$(CURDIR)/$(HTML)'

links: $(INSTALLED)  ## try the links that leave the book; needs the network
	$(BIN)/jupyter-book build book --builder linkcheck -n --keep-going

test: $(INSTALLED)  ## run the whole test suite
	$(BIN)/python -m pytest

lint: $(INSTALLED)  ## check format, style, types and the notebooks' pairing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python tools/pairs.py

format: $(INSTALLED)  ## format the code, of the chapters too, and write their notebooks
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/pairs.py --format

sync: $(INSTALLED)  ## write each chapter's notebook from its Markdown
	$(BIN)/python tools/pairs.py --write

bench: $(INSTALLED)  ## print the benchmark table
	$(BIN)/python -m pve bench

clean:  ## delete what was built (not what was trained, nor .venv)
	rm -rf _build/html _build/jupyter_execute _build/.doctrees \
	_build/.jupyter_cache
