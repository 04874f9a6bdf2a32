"""An instance whose credentials are those of its environment ends before they expire, after an answer."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from handler import startup
from handler.core.context import ENVIRONMENT_LIFETIME
from tests.handler.client import LINKS, NOW, event, new_instance
from tests.local.fc.test_runtime import function, running

ROOT = Path(__file__).parents[3]
# The first instance of a function is as old as AGE says, in hours.
AGED = """
import os
import handler
from handler import startup

try:
    os.mkdir("started")
    startup.instance().started -= float(os.environ["AGE"]) * 3600
except FileExistsError:
    pass
http, events = handler.on_http, handler.on_event
"""
FOUND, REFUSED = json.dumps(event()).encode(), json.dumps(event("/nothing")).encode()


def wait_for_end(process: int) -> None:
    deadline = time.monotonic() + 10
    with suppress(ChildProcessError):  # its parent has seen the end
        while not os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            assert time.monotonic() < deadline, "the process did not end"
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("runtime", "age", "handler", "sent", "answer", "ends"),
    [
        ("python3.10", "40", "aged.http", FOUND, '"statusCode": 302', False),
        ("python3.12", "34.1", "aged.http", FOUND, '"statusCode": 302', True),
        ("python3.12", "34.1", "aged.http", REFUSED, '"statusCode": 404', True),
        ("python3.12", "34.1", "aged.events", b'{"path": "/exampledir/a"}', '"no_notice": 1', True),
    ],
)
def test_in_the_last_hour_the_process_ends_after_its_answer_and_a_new_one_takes_over(
    runtime: str, age: str, handler: str, sent: bytes, answer: str, ends: bool, tmp_path: Path
) -> None:
    (tmp_path / "aged.py").write_text(AGED)
    (tmp_path / "links.toml").write_text(LINKS)
    environment = {"AGE": age, "PYTHONPATH": str(ROOT), "LINK_CONFIG": str(tmp_path / "links.toml")}
    with running(
        function(handler, runtime=runtime, code=tmp_path), environment=environment
    ) as local:
        local.warm("links")
        (process,) = local.processes("links")
        for _ in range(2):
            outcome = local.invoke("links", sent)
            assert (outcome.error_type, answer in outcome.payload.decode()) == (None, True)
            if ends:
                wait_for_end(process)
        assert (local.processes("links") != (process,)) == ends


class Context:
    """That of another runtime, without credentials."""


@pytest.mark.parametrize(
    ("context", "left", "ends"),
    [
        (Context(), 3601, []),
        (Context(), 3599, []),  # once it is released
        (Context(), 0, [0]),
        (SimpleNamespace(), 3599, [0]),  # no reference can be weak
        (SimpleNamespace(credentials=object()), 0, []),
    ],
)
def test_where_it_cannot_end_after_the_answer_it_ends_instead(
    context: object, left: int, ends: list[int]
) -> None:
    instance, codes = new_instance(), list[int]()
    instance.started = NOW + left - ENVIRONMENT_LIFETIME
    with (
        patch.object(os, "_exit", codes.append),
        patch.object(startup, "instance", lambda: instance),
    ):
        startup.end_after_answer(context)
    assert codes == ends
