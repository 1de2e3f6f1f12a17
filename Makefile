# `make book` and `make test` work in a bare clone: they need Python 3.11 or newer,
# make and git, and keep everything they install in .venv.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV := uv==0.13.9
HTML := _build/html/index.html
PDF := _build/latex/proper-value-equivalence.pdf

# What the printed book needs: programs, files of TeX, and Debian's packages of both.
PRINT_PROGRAMS := lualatex latexmk makeindex rsvg-convert kpsewhich
PRINT_FILES := luaotfload.sty tcolorbox.sty texgyrepagella-regular.otf \
	texgyrepagella-math.otf DejaVuSansMono.ttf
PRINT_PACKAGES := latexmk texlive-luatex texlive-latex-extra fonts-texgyre \
	fonts-texgyre-math fonts-dejavu-core librsvg2-bin

# The first interpreter that is new enough; the pinned versions are tested on 3.11.
# Choose another with: make book PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

# The library's own tests, which need nothing of the book, and what they need.
NEWEST := .venv-newest
LIBRARY_NEEDS := beartype pytest pytest-xdist hypothesis scikit-learn
LIBRARY_TESTS := $(patsubst %,tests/test_%.py,agents arrays baselines bellman command_line \
	configs demands device environments experiments forecast geometry gridworld losses \
	measures mdp models moments muzero overrating planning policies power provenance report \
	results runner seeds shapes simplex sparse store summary theory training)
OLDEST := .venv-oldest
CARD := .venv-card

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install book site pdf links test newest oldest card lint format lab sync bench clean printable writable \
	myst-check

help:  ## this list
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)$$/\1|\2/p' $(MAKEFILE_LIST) \
	| while IFS='|' read -r target what; do printf '  %-11s %s\n' "$$target" "$$what"; done

install: $(INSTALLED)  ## make .venv and install everything into it

# Anew where the clone was moved (an environment knows its own place), and where `pip
# install .` has put a copy of the library in place of the clone's.
ANEW := $(shell test ! -e $(INSTALLED) || { grep -qF ' $(CURDIR)/$(VENV)' \
	$(VENV)/pyvenv.cfg && ! ls $(VENV)/lib/python*/site-packages/pve/__init__.py; } \
	>/dev/null 2>&1 || echo anew)
.PHONY: anew

# The stamp is written last: an interrupted or failed installation starts afresh.
$(INSTALLED): requirements.txt constraints.txt pyproject.toml $(ANEW)
	@test -n '$(PYTHON)' || { echo 'No Python 3.11 or newer was found;' \
	'install one, or name it: make PYTHON=/path/to/python' >&2; exit 1; }
	@echo 'Installing into $(VENV) (once; a minute or two, 1.5 GB)'
	@$(PYTHON) -m venv --clear $(VENV) || { echo 'Python cannot make a virtual' \
	'environment here; on Debian: apt-get install python3-venv' >&2; exit 1; }
	@# uv does in seconds what takes pip minutes, and pip does it where uv cannot. Compiled
	@# now, as some surroundings keep Python from writing what it compiles: then every
	@# process would compile all that it imports, for six seconds.
	{ $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--only-binary :all: $(UV) && $(BIN)/uv pip install --quiet --compile-bytecode \
	--python $(BIN)/python -r requirements.txt; } || $(BIN)/python -m pip install \
	--quiet --disable-pip-version-check -r requirements.txt
	@touch $@

book: writable $(INSTALLED)  ## build the book; its chapters execute where something changed
	@ls -d $(VENV)/lib/python*/site-packages/jupyter_book-1.*.dist-info >/dev/null 2>&1 \
	|| { echo 'jupyter-book is not version 1, which alone builds this book: make install' \
	'in a fresh clone, or pip install -r requirements.txt' >&2; exit 1; }
	$(BIN)/jupyter-book build book -W -n --keep-going
	@echo 'The book: file://$(CURDIR)/$(HTML)'

writable:
	@test -w . || { echo 'Nothing can be written in $(CURDIR); in an installed environment' \
	'this builds the book elsewhere: PVE_RESULTS=FOLDER jupyter-book build book' \
	'--path-output FOLDER' >&2; exit 1; }

site: book  ## build the book and collect what a static host serves, in _build/site
	$(BIN)/python tools/static_site.py _build/html _build/site

pdf: printable $(INSTALLED)  ## print the whole book into one PDF; needs LaTeX
	$(BIN)/jupyter-book build book --builder latex -W -n --keep-going
	@# A failed run would be remembered, whatever was installed since.
	cd $(dir $(PDF)) && LATEXOPTS= latexmk -lualatex -interaction=nonstopmode \
	-halt-on-error -silent $(notdir $(PDF:.pdf=.tex)) || { rm -f *.fdb_latexmk; exit 1; }
	@! grep -E 'Missing character|undefined|unreferenced destination' $(PDF:.pdf=.log)
	@echo 'The printed book: $(CURDIR)/$(PDF)'

printable:
	@missing=; for program in $(PRINT_PROGRAMS); do \
	command -v $$program > /dev/null || missing="$$missing $$program"; done; \
	test -n "$$missing" || for file in $(PRINT_FILES); do \
	kpsewhich $$file > /dev/null || missing="$$missing $$file"; done; \
	test -z "$$missing" || { echo "Missing for the printed book:$$missing; on Debian:" \
	'apt-get install --no-install-recommends $(PRINT_PACKAGES)' >&2; exit 1; }

links: $(INSTALLED)  ## try the links that leave the book; needs the network
	$(BIN)/jupyter-book build book --builder linkcheck -n --keep-going

test: $(INSTALLED)  ## run the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

newest:  ## test the library with the newest jax, numpy, xarray and gymnasium
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	--upgrade --editable . $(LIBRARY_NEEDS)
	$(NEWEST)/bin/python -m pip list | grep -iE '^(jax|numpy|xarray|gymnasium|scipy) '
	$(NEWEST)/bin/python -m pytest -n 2 --dist loadfile $(LIBRARY_TESTS)

oldest:  ## test the library with the oldest versions that pyproject.toml allows
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python \
	--resolution lowest-direct --editable .
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python $(LIBRARY_NEEDS)
	$(OLDEST)/bin/python -m pip list | grep -iE '^(jax|numpy|xarray|gymnasium|scipy) '
	$(OLDEST)/bin/python -m pytest -n 2 --dist loadfile $(LIBRARY_TESTS)

card:  ## on a machine with a GPU of NVIDIA's: test the library on it, then measure
	$(PYTHON) -m venv --clear $(CARD)
	$(CARD)/bin/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt --editable '.[cuda]' $(LIBRARY_NEEDS)
	$(CARD)/bin/python -c 'import jax; print(jax.devices())'
	-$(CARD)/bin/python -m pytest $(LIBRARY_TESTS)
	$(CARD)/bin/python -m pve bench | tee bench-card.md

lint: $(INSTALLED)  ## check format, style, types and the notebooks' pairing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python tools/pairs.py

format: $(INSTALLED)  ## format the code, of the chapters too, and write their notebooks
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/pairs.py --format

lab: $(INSTALLED)  ## open the chapters' notebooks in JupyterLab, which it installs
	@test -x $(BIN)/jupyter-lab || $(BIN)/python -m pip install --quiet \
	--disable-pip-version-check -c constraints.txt jupyterlab
	JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter-lab --notebook-dir book

sync: $(INSTALLED)  ## write each chapter's notebook from its Markdown
	$(BIN)/python tools/pairs.py --write

myst-check: $(INSTALLED)  ## let the present mystmd (Jupyter Book 2) read the chapters
	$(BIN)/python tools/myst.py

bench: $(INSTALLED)  ## print the benchmark table
	$(BIN)/python -m pve bench

clean:  ## delete what was built (not results/, which was trained, nor .venv)
	rm -rf _build
