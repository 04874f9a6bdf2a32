## make demo       see the service work, on a local Function Compute and OSS
## make run        keep the local Function Compute and OSS running
## make build      build the package that s deploy deploys
## make check      say what would fail once deployed
## make policies   print the RAM policies that the deployment needs
## make doctor     find what is wrong with a deployment
## make notices    show notices that were not sent (ARGS="retry --sink ops": send the dead again)
## make template   make the application template for s init
## make lock       pin the requirements, after a change of requirements.txt
## make test       run the tests (make test-long: also the slow ones)
## make lint       check style and types
## make bench      measure speed
## make clean      delete the virtual environment, caches and builds
##
## CONFIG=deploy/custom-runtime/s.yaml selects another s.yaml, ENV=prod an environment of env.yaml.
## demo and run need nothing but Python 3.10 or newer and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CONFIG ?= s.yaml

.PHONY: demo run build lock check policies doctor notices template test test-long bench lint clean help
.DELETE_ON_ERROR:

demo: $(VENV)/local.stamp
	@$(BIN)/python -m local.demo

run: $(VENV)/local.stamp
	@$(BIN)/python -m local --root samples

# s deploy runs this first.
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

notices: $(VENV)/local.stamp
	@$(BIN)/python -m handler.notices $(or $(ARGS),list)

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

help:
	@sed -n 's/^## \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

# Each dependency group of pyproject.toml is installed once, and again when it changes; dev includes the others, and needs
# the command line. pip knows groups since 25.1.
$(VENV)/%.stamp: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is required. Name one: make PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || { echo "Creating $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the packages for $* …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt --group $* $(PROJECT_IN_$*)
	@touch $@ $(patsubst %,$(VENV)/%.stamp,$(INCLUDED_IN_$*))

INCLUDED_IN_deploy := local
INCLUDED_IN_dev    := local deploy
PROJECT_IN_dev     := --editable '.[cli]'
