"""What a link costs does not depend on the mounts, and grows in proportion with everything else.

What is counted is the work: bytecode instructions of a call, and requests to OSS. It is the same on every machine.
"""

from __future__ import annotations

import base64
import io
import json
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from handler.core.cloud.sessions import Sessions
from handler.core.config import Config, load
from handler.core.request import Request, parse_query
from handler.web import app
from signer import Credentials, Endpoint, presign
from tests.handler.client import context, mount, new_instance
from tests.handler.core.sessions import opener
from tests.handler.notice_fixtures import TIMER_EVENT, notice
from tests.handler.simulation import Simulation
from tests.system import FORM, HTML, STATE, System, nonce_of, service

Call = Callable[[], object]
TOLERANCE = 1.1
ROLE = {"assume_role": {"role": opener.ROLE}}
NOW = 1_772_347_271.0
TOKEN = 600  # characters of a security token, as they are today
MAX_TOKEN = 6144
ANY = mount(path="/", target="oss://examplebucket/", whole_bucket=True, unknown_query="ignore")


def work(call: Call) -> int:
    """The instructions that a call executes, once it has filled the caches."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += 1
        return trace

    previous = sys.gettrace()
    with redirect_stdout(io.StringIO()):
        call()
        # Python 3.12 counts the instructions of a function only once it was traced before.
        for _ in range(2):
            count = 0
            sys.settrace(trace)
            try:
                call()
            finally:
                sys.settrace(previous)
    return count


def assert_in_proportion(sizes: Sequence[int], works: Sequence[int]) -> None:
    """Each further unit costs no more in the second half than in the first."""
    first, middle, last = sizes
    early, late = (works[1] - works[0]) / (middle - first), (works[2] - works[1]) / (last - middle)
    assert late <= max(TOLERANCE * early, 1), works


def document(count: int, **keys: object) -> dict[str, Any]:
    """A links.toml of so many mounts, with these keys each; every fourth is authenticated."""
    tables = [
        {
            "path": f"/mount-{number:05}/",
            "target": f"oss://examplebucket/mount-{number:05}/",
            "access": "authenticated" if number % 4 == 3 else "anonymous",
            **keys,
        }
        for number in range(count)
    ]
    return {"region": "cn-hangzhou", "mount": tables}


def answered(
    read: Callable[[], Request], config: Config, *memory: object, size: int = TOKEN
) -> Call:
    """One request through the service, with a token of so many characters; its audit line goes to stdout."""
    instance, invocation = new_instance(config, NOW, *memory), context(credentials(size))

    def call() -> None:
        response = app.answer(read(), lambda: instance, invocation, request_id="req-EXAMPLE")
        assert (response.status, '"error"' in response.body) == (200, False), response.body

    return call


def credentials(size: int) -> Credentials:
    characters = base64.b64encode(random.Random(2026).randbytes(MAX_TOKEN)).decode()
    return Credentials("STS.EXAMPLE", "an-example-of-a-secret", characters[:size])


def link(path: str, query: str = "", size: int = TOKEN, config: Config = ANY) -> Call:
    """A request for a link as JSON, which has no limit of length."""
    return answered(
        lambda: Request("GET", path, parse_query(f"format=json{query}"), {}, b"", ""),
        config,
        size=size,
    )


def signed_query(count: int) -> Call:
    """So many parameters that the library signs; the service has nine."""
    query = {f"response-parameter-{number:02}": f"value {number}" for number in range(count)}
    signer, endpoint = credentials(TOKEN), Endpoint.public("cn-hangzhou")
    return lambda: presign(
        "GET",
        "examplebucket",
        "reports/q3.pdf",
        credentials=signer,
        endpoint=endpoint,
        query=query,
        now=NOW,
    )


# What grows, from its smallest to its largest size. A character has three bytes, all of which are percent-encoded.
PARTS: dict[str, tuple[Callable[[int], Call], int, int]] = {
    "plain key": (lambda size: link("/" + "k" * size), 1, 1023),
    "encoded key": (lambda size: link("/" + "%E6%8A%A5" * (size // 3) + "k" * (size % 3)), 1, 1023),
    "ignored query": (
        lambda size: link("/a", "".join(f"&utm_{n:02}=a%20value" for n in range(size))),
        0,
        100,
    ),
    "signed query": (signed_query, 0, 100),
    "token": (lambda size: link("/a", size=size), 1, MAX_TOKEN),
}


def test_a_link_takes_as_much_work_among_a_thousand_mounts_as_with_one() -> None:
    one, many = (
        work(
            link(
                f"/mount-{count // 2:05}/reports/2026/q3.pdf", config=load.read(document(count), {})
            )
        )
        for count in (1, 1000)
    )
    assert many <= TOLERANCE * one


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/-/sign", {"links": [{"path": "/mount-00000/q3.pdf"}]}),
        ("/-/form", {"path": "/mount-00000/in/"}),
    ],
)
def test_so_do_links_and_forms_of_the_routes(route: str, body: dict[str, object]) -> None:
    request = Request("POST", route, {}, {}, json.dumps(body).encode(), "")
    methods = {"methods": ["GET", "POST"], "max_size": "1MB"}
    configs = [load.read(document(count, **methods), {}) for count in (1, 1000)]
    one, many = (work(answered(lambda: request, config)) for config in configs)
    assert many <= TOLERANCE * one


@pytest.mark.parametrize(("prepare", "smallest", "largest"), PARTS.values(), ids=PARTS)
def test_a_link_takes_work_in_proportion_to_its_parts(
    prepare: Callable[[int], Call], smallest: int, largest: int
) -> None:
    sizes = (smallest, largest // 2, largest)
    assert_in_proportion(sizes, [work(prepare(size)) for size in sizes])


def test_a_kept_session_adds_little_work_to_a_link() -> None:
    request = Request("GET", "/mount-00000/q3.pdf", {"format": "json"}, {}, b"", "")
    configs = [load.read({**document(1), **top}, {}) for top in ({}, ROLE)]
    opened = Sessions(opener.Opener())
    without, kept = (work(answered(lambda: request, config, opened)) for config in configs)
    assert without < kept <= 1.05 * without


CONTENT_TYPE = {"query": ["response-content-type"]}
UPLOADS = {"methods": ["GET", "PUT"], "max_size": "1MB"}
WITH_STATE = {
    "keys": "oss://examplebucket/.links/keys.json",
    "state": "oss://examplebucket/.links/state/",
}
SAME = {"target": "oss://examplebucket/all/", "access": "anonymous"}
TO_A_DOMAIN = {**UPLOADS, "endpoint": "https://a.example.com"}


@pytest.mark.parametrize(
    ("mount", "top"),
    [
        ({}, ROLE),
        (TO_A_DOMAIN, WITH_STATE),
        ({**SAME, **CONTENT_TYPE}, {}),
        ({**SAME, **TO_A_DOMAIN}, {}),
        ({"delete_after": "1d"}, WITH_STATE),
        ({**SAME, "delete_after": "1d", "earlier_targets": ["oss://old/all/"]}, WITH_STATE),
    ],
    ids=[
        "sessions",
        "uploads to a domain",
        "the same target",
        "uploads to the same target",
        "an end of files",
        "an earlier target",
    ],
)
def test_links_toml_is_read_with_work_in_proportion_to_its_mounts(
    mount: dict[str, object], top: dict[str, object]
) -> None:
    sizes = (20, 60, 100)
    tables = [{**document(size, **mount), **top} for size in sizes]
    for table in tables:
        table["mount"].append({"path": "/else/", "target": "oss://examplebucket/else/"})
    assert_in_proportion(sizes, [work(partial(load.read, table, {})) for table in tables])


def history(size: int) -> dict[str, bytes]:
    """So many objects: records and uses of shares, and the index of these, marks of notices, and dead notices.

    There is always one dead notice, since a tick lists those of each sink that has some.
    """
    objects = {f"{STATE}dead/ops/1700000000-000000-{0:032x}": b"{}"}
    for number in range(size):
        digest = sha256(str(number).encode()).hexdigest()
        name = (
            f"shares/{digest[:12]}.json",
            f"uses/{digest[:12]}/1",
            f"index/{digest[:32]}/8227652728-{digest[:12]}",
            f"done/{digest[:32]}",
            f"dead/ops/{1_700_000_000 + number}-000000-{digest[:32]}",
        )[number % 5]
        objects[STATE + name] = b"{}"
    return objects


def requests(function: Simulation, shares: System) -> tuple[int, int, int]:
    """The requests to OSS of the page and one use of a share, of one event and of one tick."""
    config = function.config
    url = shares.create_share(max_uses=2)
    calls = function.memory.calls
    before = calls.total()
    page = shares.open(url, headers=HTML)
    used = shares.open(url, "POST", FORM, body=f"nonce={nonce_of(page)}")
    assert (page.status, used.status) == (200, 303)
    share = calls.total() - before
    function.start_at(1)
    before = calls.total()
    function.succeed(function.upload(), config)
    event = calls.total() - before
    function.pass_time(60)  # for the digest
    function.start_at(1)
    before = calls.total()
    function.succeed(TIMER_EVENT, config)
    return share, event, calls.total() - before


def test_no_share_event_or_tick_asks_oss_more_often_with_a_long_history(tmp_path: Path) -> None:
    counts = []
    with ExitStack() as stack:
        function, shares = Simulation(tmp_path, stack), service(tmp_path)
        function.toml = notice(["ops"], give="share") + notice(["every-hour"], every="1m")
        for name in ("ops", "every-hour"):
            function.inbox(name, "webhook")
        function.memory.fill({"reports/q3.pdf": b"a report"})
        for size in (0, 1000, 5000):
            function.memory.fill(history(size))
            # What is counted comes second: the first one checks every few minutes that the bucket has no versions.
            function.restart()
            shares = shares.restarted()
            counts.append([requests(function, shares) for _ in range(2)][1])
    assert len(set(counts)) == 1, counts
