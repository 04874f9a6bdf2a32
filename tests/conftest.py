"""For every test: it inherits nothing of who runs it, and what it prints is searched for secrets (.ci/run).

Where the variable `SECRETS_USED` names a file, the secrets that the tests make are added to it.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

import signer
from tools import secret_search

# Keys, settings and proxies that are not those of a test, and what changes how a program starts, prints or finds files.
# HTTPS_PROXY stays: it reaches the packages that tests install, and no client of a test obeys it for this machine.
FOREIGN = re.compile(
    "(?:OSS|ALIBABA_CLOUD|ALIBABACLOUD|ALICLOUD|ALIYUN|LINK|FC)_|(?:(?i:(?:http|all|no)_proxy)|COLUMNS|LINES|TZ|NO_COLOR"
    "|FORCE_COLOR|JAVA_TOOL_OPTIONS|GIT_(?:DIR|WORK_TREE|INDEX_FILE|PREFIX)|PYTHON(?:DONTWRITEBYTECODE|SAFEPATH))$"
)

pytest_plugins = ["signer.emulator.pytest_plugin"]

# Hypothesis draws the same inputs each time, so that nobody meets a failure that their change does not cause.
# `make test-long` draws new ones, and keeps those that fail, also where Hypothesis sees that it runs in CI.
# A busy machine must not make a test fail.
settings.register_profile(
    "same-inputs",
    derandomize=True,
    database=None,
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "new-inputs",
    settings.get_profile("same-inputs"),
    derandomize=False,
    database=DirectoryBasedExampleDatabase(Path(__file__).parents[1] / ".hypothesis/examples"),
    print_blob=True,
    max_examples=400,
)
settings.load_profile("same-inputs")

# How `make test` chooses.
MAKE_TEST = "not long and not ci"


def pytest_configure() -> None:
    """What tests start inherits this too. It runs before the first test, also in each worker."""
    for name in filter(FOREIGN.match, list(os.environ)):
        del os.environ[name]
    time.tzset()
    if os.environ.get("LC_ALL") in ("C", "POSIX"):  # wget and Chromium would change names of files
        os.environ["LC_ALL"] = "C.UTF-8"
    sys.dont_write_bytecode = False  # hundreds of processes load the same modules
    os.umask(0o022)
    # A job in the background of a script, nohup and some runners ignore or block signals. Python ignores two itself.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(
                number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            )
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if path := os.environ.get("SECRETS_USED"):
        secret_search.record(Path(path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests wait for processes and sockets a sixth of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_itemcollected(item: pytest.Item) -> None:
    """What asks for a browser runs another program."""
    if "browser" in getattr(item, "fixturenames", ()):
        item.add_marker("ci")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of `make test` says what it left out, and how to run it."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.option.markexpr != MAKE_TEST:
        return
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", ())
    )
    skipped = "".join(f"; {count} skipped: {reason}" for reason, count in sorted(reasons.items()))
    print(
        f"Left out: tests with other people's programs (make test-ci), slow tests (make test-long){skipped}."
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keeps the garbage collector from searching ten thousand tests, which stay, again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """The names of tests are printed too: a parameter with a secret is named there, and not shown."""
    has_secret = isinstance(val, str) and (signer.redact(val) != val or secret_search.search(val))
    return argname if has_secret else None
