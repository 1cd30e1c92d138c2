# Two commands matter to a newcomer: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test soak bench audit lint lock check clean

help: ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

check:
	@command -v $(PYTHON) >/dev/null || { echo "tapescan needs CPython 3.11 to 3.14, but '$(PYTHON)' is not on PATH."; exit 1; }
	@$(PYTHON) tools/check_machine.py

$(VENV)/.run: requirements.lock pyproject.toml | check
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: check $(VENV)/.run ## the scanner on the bundled recording, page on http://127.0.0.1:8080
	$(BIN)/tapescan run --config scanner.toml

lint: $(VENV)/.dev ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

# Most tests wait for engines of their own: four workers keep two processors busy.
test: check $(VENV)/.dev lint ## everything, without services, network or root
	$(BIN)/python -m tools.kernels
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

soak: check $(VENV)/.dev ## the long proofs in full: make soak, or make soak NAME=kills
	TAPESCAN_SOAK=1 $(BIN)/python -m pytest -m soak -s $(if $(NAME),-k $(NAME)) $(PYTEST_ARGS)

bench: check $(VENV)/.dev ## figures beside their peers: make bench, or make bench NAME=scan
	$(BIN)/tapescan bench $(NAME)

audit: $(VENV)/.dev ## known vulnerabilities in the locked packages; fails, too, when nobody can tell
	$(BIN)/python -m tools.audit

# setuptools builds the package without isolation, so it is locked like everything else.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

lock: $(VENV)/.dev ## pin new dependencies with their hashes, for every Python and platform
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	echo 'setuptools>=77' | $(BIN)/$(LOCK) -o requirements.lock pyproject.toml -
	echo 'setuptools>=77' | $(BIN)/$(LOCK) --extra dev -o requirements-dev.lock pyproject.toml -

clean: ## remove the environment and the demo's state
	rm -rf $(VENV) .run build *.egg-info
