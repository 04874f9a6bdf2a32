"""Python prints no secret of the service's values: a request, a response, a share, an invocation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handler import asgi
from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import OssClient, OssResponse
from handler.core.cloud.store import store_at
from handler.core.config import Location
from handler.core.context import Clock, Instance, Invocation
from handler.core.keys.file_store import FileStore
from handler.core.request import Request
from handler.core.shares.opening import OpenedShare
from handler.core.shares.record import Record
from handler.core.words import Words
from handler.web.response import Response
from signer import Credentials, Endpoint
from tests.handler.client import CONFIG, NOW, context
from tests.signer.test_secrecy import FORMATTERS

MARK = "SECRETIVE"
KEYS = Credentials(f"STS.{MARK}", f"secret{MARK}", f"CAIS{MARK}")
TOKEN = f"fcp_{MARK}_0000000000000000"

REQUEST = Request(
    "POST",
    f"/-/uploads/0004B9{MARK}~32007~19000~{'x' * 43}/parts",
    {"share": TOKEN},
    {"authorization": f"Bearer {TOKEN}", "cookie": MARK, "accept": "text/html"},
    f'{{"nonce": "{MARK}"}}'.encode(),
    "links.example.com",
)
INVOCATION = Invocation(Instance(CONFIG, Clock()), context(KEYS), NOW, {})
RECORD = Record(
    "hash",
    "/exampledir/a.txt",
    "/exampledir/",
    "oss://examplebucket/exampledir/",
    "GET",
    "reader",
    "tag",
    0,
    1,
    uses=3,
    words=Words("A title", "A message"),
)
STATE = store_at(
    OssClient(KEYS, Endpoint.internal("cn-hangzhou"), Connections()),
    Location("examplebucket", ".links/state/"),
    Clock(),
)
TARGET = CONFIG.mounts.find("/exampledir/a.txt")
OPENED = OpenedShare(REQUEST, INVOCATION, TARGET, STATE, RECORD, "/-/s/a.txt", 1, is_end_known=True)

# Each value with what its repr must still show.
VALUES: dict[str, tuple[object, tuple[str, ...]]] = {
    "a request": (
        REQUEST,
        ("POST", "/-/uploads/", "'share'", "'authorization'", "links.example.com"),
    ),
    "a response": (
        Response(
            302,
            {"Location": f"https://examplebucket.example/a?x-oss-signature={MARK}"},
            f'{{"url": "{MARK}"}}',
        ),
        ("302", "'Location'"),
    ),
    "a response of OSS": (OssResponse(200, {"etag": MARK}, MARK.encode(), ""), ("200", "'etag'")),
    "an invocation": (INVOCATION, ("Invocation", str(NOW))),
    "an opened share": (OPENED, ("/exampledir/a.txt", "GET")),
    "the context of a custom runtime": (asgi.Context("req-EXAMPLE", KEYS), ("req-EXAMPLE",)),
}


@pytest.mark.parametrize("to_string", FORMATTERS.values(), ids=FORMATTERS)
@pytest.mark.parametrize("name", VALUES)
def test_a_value_shows_its_facts_and_no_secret(
    name: str, to_string: Callable[[object], str]
) -> None:
    value, facts = VALUES[name]
    string = to_string(value)
    assert MARK not in string
    for fact in facts:
        assert fact in string


def test_a_read_keys_document_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(MARK)
    assert MARK not in repr(FileStore(str(tmp_path / "keys.json")).read(""))
