# Nothing beyond Python >= 3.10 and make is needed for demo and run.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo run build lock check policies doctor template test test-long bench lint clean
.DELETE_ON_ERROR:

# What the laptop's cloud needs, and what the tests need on top of it; each is installed once per pyproject.toml.
$(VENV)/local.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: name one with make PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || { echo "Setting up $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing what the laptop's cloud needs …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	@touch $@

$(VENV)/deploy.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: name one with make PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || { echo "Setting up $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing what checks a deployment …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[deploy]'
	@touch $@ $(VENV)/local.stamp

$(VENV)/dev.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: name one with make PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || { echo "Setting up $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing what development needs …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/local.stamp $(VENV)/deploy.stamp

demo: $(VENV)/local.stamp
	@$(BIN)/python -m local.demo.__main__

run: $(VENV)/local.stamp
	@$(BIN)/python -m local --root samples

# What `s deploy` runs first: make build CONFIG=deploy/custom-runtime/s.yaml for another s.yaml.
CONFIG ?= s.yaml
build: $(VENV)/local.stamp
	@$(BIN)/python -m deploy.build $(CONFIG)

lock: $(VENV)/dev.stamp
	@$(BIN)/python -m deploy.locks

check: $(VENV)/deploy.stamp
	@$(BIN)/python -m deploy.check $(CONFIG) $(if $(ENV),--env $(ENV))

policies: $(VENV)/deploy.stamp
	@$(BIN)/python -m deploy.policies $(CONFIG) $(if $(ENV),--env $(ENV))

doctor: $(VENV)/deploy.stamp
	@$(BIN)/python -m deploy.doctor $(CONFIG) $(if $(ENV),--env $(ENV))

template: $(VENV)/local.stamp
	@rm -rf build/template
	@$(BIN)/python -m deploy.template build/template

test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -n 2 -q -m "not long"

test-long: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -q

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m bench

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean:
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build
