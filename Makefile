## Try it
##   make demo       see the service work, on a local Function Compute and OSS, with the lines to type yourself
##   make run        keep the local Function Compute and OSS running (PORT=9000 OSS_PORT=9001)
##   make oss        run the local OSS alone, to test other programs (ROOT=data PORT=9001 ARGS="--bucket NAME")
##   make invoke     run one function once (ARGS="links_events --event event.json")
##
## Links, with your own key in the environment
##   make sign       sign a link (ARGS="oss://bucket/key"); also make bulk and make curl
##   make explain    say why a link fails: paste it, then press Enter and Ctrl-D
##
## Operate
##   make keys       create and change the keys document (ARGS="init")
##   make notices    show notices that were not sent (ARGS="retry --sink ops": send the dead again)
##   make policies   print the RAM policies that the deployment needs (FORMAT=commands: a script; ARGS=--remove: its
##                   opposite)
##   make alarms     print a script that creates the alarms on the logs (ARGS=--remove: its opposite)
##   make check      say what would fail once deployed
##   make build      build the package that s deploy deploys
##   make doctor     find what is wrong with a deployment (URL=https://…)
##   make live       compare the local OSS with the real one: say what would be sent (YES=1: do it; docs/live.md)
##   make live-sweep delete what a run of live left (ACCOUNT=1: look for it in the account)
##   make template   make the application template for s init (ARGS=FOLDER)
##
## Develop
##   make test       run the tests (make test-ci: also with other people's programs; make test-long: the slow ones)
##   make lint       check style and types
##   make bench      measure speed and size, beside others (ARGS=signing: only this)
##   make lock       pin the requirements, after a change of requirements.txt (ARGS=--upgrade)
##   make sbom       print every package that a lock pins, as CycloneDX JSON
##   make audit      look up known vulnerabilities of every locked and installed package (needs the network)
##   make docs       write what is generated in docs: the reference, examples and pictures (CHECK=1: only compare)
##   make reference  write what docs and OpenAPI have of keys, errors and sinks
##   make clean      delete the virtual environment, caches and builds
##
## ARGS="…" passes more arguments to a command; ARGS=--help lists them. Each target installs what it needs into .venv.
## CONFIG=deploy/custom-runtime/s.yaml selects another s.yaml, ENV=prod an environment of env.yaml.
## demo and run need Python 3.10 or newer, make, and at first the package index; check, policies, doctor also Serverless Devs (s).
PYTHON ?= python3
# With it, python -m would not find what is in this folder.
unexport PYTHONSAFEPATH
# These are taken from the command line only: others use the same names in the environment.
VENV   := .venv
CONFIG := s.yaml
ACCOUNT  :=
ARGS     :=
CHECK    :=
ENV      :=
FORMAT   :=
KMS      :=
OSS_PORT :=
PORT     :=
REGION   :=
REPLAY   :=
ROLE_ARN :=
ROOT     := data
STS      :=
URL      :=
YES      :=
BIN    := $(VENV)/bin
NODE   := tests/node/node_modules/.package-lock.json
DEPLOY  = $(CONFIG) $(if $(ENV),--env $(ENV))
# Without ENV and CONFIG, the variables of the shell say which documents these commands are about.
OPERATE = $(BIN)/python -m deploy.operate $(if $(filter command,$(origin CONFIG)),--config $(CONFIG)) \
  $(if $(ENV),--env $(ENV))

.PHONY: help demo run oss invoke sign bulk curl explain keys notices policies alarms check build doctor \
	live live-sweep template \
	test test-ci test-long lint bench lock sbom audit docs reference clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@sed -n 's/^## \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/local.stamp
	@$(BIN)/python -m local.demo $(ARGS)

run: $(VENV)/local.stamp
	@$(BIN)/python -m local --root samples --config $(CONFIG) $(if $(PORT),--http-port $(PORT)) $(if $(OSS_PORT),--oss-port $(OSS_PORT)) $(ARGS)

oss: $(VENV)/oss.stamp
	@$(BIN)/python -m signer oss --root '$(ROOT)' $(if $(PORT),--oss-port $(PORT)) $(ARGS)

invoke: $(VENV)/local.stamp
	@$(BIN)/python -m local invoke $(or $(ARGS),--help)

sign bulk curl: $(VENV)/cli.stamp
	@$(BIN)/python -m signer $@ $(or $(ARGS),--help)

explain: $(VENV)/cli.stamp
	@$(BIN)/python -m signer explain $(ARGS) || [ $$? = 1 ] # 1: it found what is wrong

keys: $(VENV)/local.stamp
	@$(OPERATE) keys $(or $(ARGS),--help)

notices: $(VENV)/local.stamp
	@$(OPERATE) notices $(or $(ARGS),list)

# Their output may become a script, also that of an installation or a check that fails: then the script fails, too.
policies alarms:
	@{ $(if $(filter-out json commands,$(FORMAT)),echo "FORMAT must be json or commands." >&2; false &&) \
	  $(MAKE) -s $(VENV)/local.stamp && $(BIN)/python -m deploy.policies $(DEPLOY) \
	  $(if $(filter alarms,$@),--alarms,$(if $(filter commands,$(FORMAT)),--commands)) $(ARGS); } || \
	  { test -t 1 || echo 'echo "make $@ failed: run it again." >&2; exit 1'; exit 1; }

check: $(VENV)/local.stamp
	@$(BIN)/python -m deploy.check $(DEPLOY) $(ARGS)

# s deploy runs this first.
build: $(VENV)/local.stamp
	@$(BIN)/python -m deploy.build $(CONFIG) $(ARGS)

doctor: $(VENV)/local.stamp
	@$(BIN)/python -m deploy.doctor $(DEPLOY) $(if $(URL),--url '$(URL)') $(ARGS)

LIVE = $(BIN)/python -m live $(if $(REGION),--region '$(REGION)') $(if $(filter 1,$(STS)),--sts) \
  $(if $(ROLE_ARN),--role-arn '$(ROLE_ARN)') $(if $(filter 1,$(KMS)),--kms)

live: $(VENV)/local.stamp $(VENV)/cli.stamp
	@$(LIVE) $(if $(filter 1,$(YES)),--yes) $(if $(filter 1,$(REPLAY)),--replay) $(ARGS)

live-sweep: $(VENV)/local.stamp $(VENV)/cli.stamp
	@$(LIVE) --sweep $(if $(filter 1,$(ACCOUNT)),--account) $(ARGS)

template: $(VENV)/local.stamp
	@$(if $(ARGS),,rm -rf build/template)
	@$(BIN)/python -m tools.template $(or $(ARGS),build/template)

test: $(VENV)/dev.stamp $(NODE)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 -q -m "not long and not ci" $(ARGS)

test-ci: $(VENV)/dev.stamp $(NODE)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 -q -m "not long" $(ARGS)

test-long: $(VENV)/dev.stamp $(NODE)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -q -m "long or hypothesis" \
	  --hypothesis-profile=new-inputs -o faulthandler_timeout=1800 $(ARGS)

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m bench $(ARGS)

# The build compares the digest that each lock names, of all requirements.
LOCK = $(PIN) --only-binary :all: --custom-compile-command "make lock ($$digest)"
PIN  = $(BIN)/python -m uv pip compile --quiet --python-platform x86_64-manylinux_2_28 \
  --generate-hashes --no-annotate --no-emit-index-url $(ARGS)
# Of the programs that tests run, which are not all built (oss2). It is left out of audit: one of them needs an old aiohttp.
PROGRAMS = tests/emulator/programs

lock: $(VENV)/dev.stamp
	@digest=$$(cat requirements.txt deploy/requirements/custom.txt | $(BIN)/python -c \
	  'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])'); \
	for python in 3.10 3.12; do \
	  $(LOCK) requirements.txt --python-version $$python --output-file deploy/requirements/$$python.lock && \
	  $(LOCK) deploy/requirements/custom.txt --python-version $$python \
	    --output-file deploy/requirements/custom-$$python.lock && \
	  $(LOCK) requirements.txt --group pyproject.toml:local --python-version $$python \
	    --output-file deploy/requirements/deploy-$$python.lock || exit 1; \
	done; \
	$(LOCK) deploy/requirements/release.txt --python-version 3.12 --output-file deploy/requirements/release.lock && \
	$(PIN) $(PROGRAMS)/requirements.txt pyproject.toml --extra oss --python-version 3.12 \
	  --custom-compile-command "make lock" --output-file $(PROGRAMS)/programs.lock

sbom: $(VENV)/local.stamp
	@$(BIN)/python -m tools.sbom $(ARGS)

# A package whose vulnerabilities cannot be looked up fails it too. Locks are looked up one by one: those for different
# versions of Python may pin different versions of a package.
audit: $(VENV)/dev.stamp
	@for lock in $(sort $(wildcard deploy/requirements/*.lock)); do \
	  $(BIN)/python -m pip_audit --strict --disable-pip --require-hashes -r $$lock $(ARGS) || exit 1; done
	@mkdir -p build && $(BIN)/python -m pip freeze --all --exclude fc-presign > build/installed.txt
	@$(BIN)/python -m pip_audit --strict --disable-pip --no-deps -r build/installed.txt $(ARGS)

# Pictures are not compared: their times and ports differ.
docs: $(VENV)/dev.stamp reference
	@$(BIN)/python -m tools.explain_page $(if $(CHECK),--check)
	@$(BIN)/python -m tools.live_status $(if $(CHECK),--check)
	@$(if $(CHECK),,$(BIN)/python -m tools.screenshots)

reference: $(VENV)/local.stamp
	@$(BIN)/python -m tools.reference $(if $(CHECK),--check) $(ARGS)

clean:
	@test ! -e $(VENV) || test -e $(VENV)/pyvenv.cfg || \
	  { echo "$(VENV) is not a virtual environment: delete it yourself." >&2; exit 1; }
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build fc_presign.egg-info

# Each set of packages is installed once, and again when its files change; dev includes the others. pip knows the
# dependency groups of pyproject.toml since 25.1. A virtual environment without pip is unfinished: it is created again.
$(VENV)/%.stamp: pyproject.toml requirements.txt
	@command -v '$(PYTHON)' >/dev/null || \
	  { echo "$(PYTHON) was not found. Name a Python: make $(MAKECMDGOALS) PYTHON=…" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	  { echo "Python 3.10 or newer is required. Name one: make $(MAKECMDGOALS) PYTHON=…" >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv module. Install it (Debian, Ubuntu: apt install python3-venv), and run make again." >&2; exit 1; }
	@test -e $(VENV)/pyvenv.cfg || test -z "$$(ls -A $(VENV) 2>/dev/null)" || \
	  { echo "$(VENV) exists and is not a virtual environment. Delete it, or name another folder (VENV=…)." >&2; exit 1; }
	@echo "Installing the packages for $* into $(VENV) …" >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || output=$$('$(PYTHON)' -m venv $(VENV) 2>&1) || \
	  { rm -rf $(VENV); echo "$$output" | tail -n 1 >&2; \
	    echo "The virtual environment could not be made: check the free space." >&2; exit 1; }
	@lock=$(if $(filter local,$*),$$($(BIN)/python -c '$(FITTING_LOCK)')); \
	  if [ -n "$$lock" ]; then \
	    echo "They are those of $$lock, with their hashes." >&2; \
	    $(call INSTALL,--require-hashes --only-binary :all: -r "$$lock"); \
	  else \
	    $(if $(filter local,$*),echo "No lock of deploy/requirements is for this Python and machine: they are the newest in the ranges." >&2;) \
	    $(call INSTALL,'pip>=25.1'); \
	    $(call INSTALL,$(PACKAGES_$*)); \
	  fi
	@touch $@ $(patsubst %,$(VENV)/%.stamp,$(INCLUDED_IN_$*))

INSTALL = output=$$($(BIN)/python -m pip install --quiet --disable-pip-version-check $(1) 2>&1) || \
  { echo "$$output" | tail -n 1 >&2; echo "pip could not install the packages: check that it reaches the package index (PIP_INDEX_URL), and the free space." >&2; exit 1; }

# What checks, builds and deploys is pinned with its hashes where make lock has resolved it.
FITTING_LOCK = import os, platform, sys; lock = "deploy/requirements/deploy-%d.%d.lock" % sys.version_info[:2]; \
  fits = (sys.platform, platform.machine()) == ("linux", "x86_64") and os.path.exists(lock); print(lock if fits else "")
$(VENV)/local.stamp: $(wildcard deploy/requirements/deploy-*.lock)

INCLUDED_IN_dev := cli oss local

PACKAGES_cli   := '.[cli,profiles]'
PACKAGES_oss   := '.[oss]'
PACKAGES_local := -r requirements.txt --group local
PACKAGES_dev   := -r requirements.txt --group dev '.[cli,oss,profiles]'

# What tests use of npm. Where npm is missing or fails, they are skipped and say so.
$(NODE): tests/node/package-lock.json
	@command -v npm >/dev/null || exit 0; \
	  echo "Installing the packages for tests of npm …" >&2; \
	  (cd tests/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && touch ../../$@) || \
	  echo "npm could not install them: the tests that need them are skipped." >&2
