"""The receiver in docs/events.md works, and drops what is repeated."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.notices.sink_queue import SinkQueue
from tests.handler.notice_fixtures import EventFunction, Killed, created, kill, notice, receiver

PAGE = Path(__file__).parents[3] / "docs/events.md"


def test_a_digest_that_comes_again_with_more_notices_is_read_once(
    function: EventFunction, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver() as hook:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"], every="1m")
        function.invoke(created("outbox/a.txt", "outbox/b.txt"))
        with patch.object(SinkQueue, "mark_done", kill), pytest.raises(Killed):
            function.tick()
        function.invoke(created("outbox/c.txt"))
        function.pass_time(60)
        function.tick()
        function.toml = notice(["ops"])
        function.invoke(created("outbox/d.txt"))

    (example,) = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE.read_text("utf-8"))
    page: dict[str, object] = {}
    exec(compile(example, "events.md", "exec"), page)  # noqa: S102
    receive = page["receive"]
    assert callable(receive)
    for request in hook.received:
        receive(function.sinks["ops"]["secret"], dict(request.headers), request.body)
    assert len({request.headers["webhook-id"] for request in hook.received}) == 3
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [f"outbox/{name}.txt" for name in "abcd"]
