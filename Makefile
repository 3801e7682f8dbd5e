# Two commands on a fresh machine: make demo, make test. Both do all their own set-up.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

# npm's package of the OHIF viewer, by its integrity hash; what it needs for other things is left away
OHIF   := 3.13.2
SHA512 := WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA==
VIEWER := .tools/ohif-$(OHIF)

# Every process would compile the host anew where the environment forbids to keep what was compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo unit test test-only lint bench pictures viewer clean debian

help:
	@echo "make demo    the main job on real anatomy; ONCE=1 ends by itself and leaves demo-output/"
	@echo "             ARCHIVE=orthanc shows the same against a real Orthanc of its own (Debian: orthanc, orthanc-dicomweb)"
	@echo "make unit    the tests without services, within a minute"
	@echo "make test-only WHAT=tests/unit/dicom    some tests: a folder, a file, any arguments of pytest"
	@echo "make test    lint, types, architecture and every test"
	@echo "make bench   the table of performance ratios"
	@echo "make viewer  the OHIF viewer, to be served beside the review pages (needs npm)"

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(INPUTS) | $(VENV)/bin/python
	$(PIP) --editable '.[models]'
	@touch $@

$(VENV)/.installed-dev: $(INPUTS) | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-full: $(INPUTS) | $(VENV)/bin/python
	$(PIP) --editable '.[full]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-dev

demo: $(VENV)/.installed
	$(if $(and $(ARCHIVE),$(wildcard $(VIEWER)/index.html)),ORCHESTRATOR_WEB__VIEWER='$(CURDIR)/$(VIEWER)') $(BIN)/orchestrator demo --output demo-output$(if $(ARCHIVE),-$(ARCHIVE) --archive $(ARCHIVE)) $(if $(ONCE),--once)

viewer: $(VIEWER)/index.html
	@printf 'OHIF is in %s\nTo have it served at /viewer/, write in the settings:\n\n[web]\nviewer = "%s"\n' $(VIEWER) '$(CURDIR)/$(VIEWER)'

$(VIEWER)/index.html:
	@command -v npm >/dev/null || { echo "OHIF comes by npm, which is not on this machine (Debian: apt install npm)"; exit 2; }
	@rm -rf $(VIEWER).part && mkdir -p $(VIEWER).part
	npm pack --silent --pack-destination $(VIEWER).part @ohif/app@$(OHIF)
	@test "$$(openssl dgst -sha512 -binary $(VIEWER).part/ohif-app-$(OHIF).tgz | openssl base64 -A)" = '$(SHA512)' \
		|| { echo "npm's @ohif/app@$(OHIF) is not the one that is known here; nothing was installed"; exit 1; }
	@tar -xzf $(VIEWER).part/ohif-app-$(OHIF).tgz -C $(VIEWER).part --strip-components=2 \
		--exclude='*.map' --exclude='package/dist/ort' package/dist
	@rm $(VIEWER).part/ohif-app-$(OHIF).tgz && mv $(VIEWER).part $(VIEWER)

# Debian packages that the tests use as real counterparts; skipped where they are there or cannot be installed.
debian:
	@./tests/debian.sh

# Laws draw 20 examples here and 100 in `make test`.
unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --hypothesis-profile="a minute" tests/unit $(PYTEST)

# Tests below tests/unit need the light extra only; all others need the full one.
ONLY_UNIT := $(and $(filter tests/unit%,$(WHAT)),$(if $(filter-out tests/unit%,$(filter tests/%,$(WHAT))),,yes))
test-only: $(VENV)/$(if $(ONLY_UNIT),.installed-dev,.installed-full)
	@test -n "$(WHAT)" || { echo "make test-only WHAT=tests/unit/dicom (any arguments of pytest)"; exit 2; }
	$(BIN)/python -m pytest $(WHAT)

# Tests kill processes, not the machine: eatmydata spares them the wait for the disk.
# Half of the time a test waits for a process or a service: three workers keep two cores busy.
UNSYNCED = $(shell command -v eatmydata)
WORKERS ?= 3
# hypothesis makes its table of characters first: two workers that make it at once disturb each other.
test: $(VENV)/.installed-full debian lint
	-@$(MAKE) --no-print-directory $(VIEWER)/index.html
	@$(BIN)/python -c 'from hypothesis.internal.charmap import charmap; charmap()'
	$(UNSYNCED) $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

bench: $(VENV)/.installed-full debian
	$(BIN)/python -m benchmarks.table

pictures: $(VENV)/.installed-full debian viewer
	DOCS_PICTURES=1 $(BIN)/python -m pytest tests/e2e -m browser -p no:randomly -q

clean:
	rm -rf $(VENV) .tools demo-output demo-output-orthanc test-output bench-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
