"""What callers of the HTTP service send: addresses, and entire events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unicodedata import category
from urllib.parse import unquote, urlencode, urlsplit

from handler.core.config import Config, Location
from handler.core.keys import owner_tag
from handler.core.links import CONTENT_TYPE, DISPOSITION
from handler.core.request import parse_query
from handler.core.shares import NOTICES
from handler.core.shares.code import code_hash
from handler.core.shares.record import Record, encode, secret_hash
from handler.core.words import Words
from tests.fuzz.laws import Run, check_response
from tests.handler.client import NOW, Answered, event, invoke, make_config
from tests.handler.keys_fixtures import READER, SHARER, api, base64url, document, issuer, write_keys
from tests.memory_oss import MemoryOss, memory_oss
from tests.system import HTML, JSON, STATE

LINKS = Path(__file__).parents[1] / "links.toml"
CONFIG = make_config(LINKS.read_text("utf-8"))
PATHS = ("/exampledir/", "/reports/", "/inbox/")


def check_link(response: Answered, document: dict[str, Any], config: Config) -> None:
    """A link is to the object at the path, as long as its mount allows, with parameters of the query that it allows."""
    path = unquote(document["rawPath"], errors="strict")
    is_share = f"{path}/".startswith("/-/s/")
    if is_share:
        path = f"/reports/{path.partition('/-/s/reports/')[2] or 'q3.pdf'}"
    assert not {"", ".", ".."} & {*path[1:].removesuffix("/").split("/")}, path
    assert not any(category(letter) in ("Cc", "Cs") for letter in path), path
    mount = config.mounts.covering(path)
    assert mount is not None
    assert response.key == mount.target.key + path[len(mount.path) :]
    assert not config.mounts.is_reserved(mount.target.bucket, response.key), response.key
    assert response.signs(document["requestContext"]["http"]["method"])
    assert 1 <= response.expires_in <= mount.max_expires + (mount.cache or 0)
    if not is_share:
        asked = document.get("queryParameters") or {}
        shown = (
            {DISPOSITION, CONTENT_TYPE}
            if "download" in asked or mount.inline is not None
            else set()
        )
        assert {*response.query} <= mount.query | shown
        assert all(
            response.query[name] == asked[name] for name in response.query.keys() & asked.keys()
        )


@contextmanager
def http_events() -> Iterator[Run]:
    """Every event has a documented response and one audit line; a redirect leads to the object at the path."""
    with service() as (config, oss):

        def run(data: bytes) -> None:
            oss.forget()
            response = invoke(data, config=config)
            check_response(response)
            if response.status == 302:
                check_link(response, json.loads(data), config)

        yield run


@contextmanager
def addresses() -> Iterator[Run]:
    """As `http_events`, for an address and, in the lines below, its Accept."""
    with service() as (config, oss):

        def run(data: bytes) -> None:
            oss.forget()
            address, _, accept = data.partition(b"\n")
            path, _, query = address.partition(b"?")
            params = parse_query(query.decode("latin-1"))
            assert parse_query(urlencode(params)) == params
            headers = (
                {"Accept": accept.decode("latin-1"), "Origin": "https://app.example.com"}
                if accept
                else {}
            )
            document = event(path.decode("utf-8", "surrogateescape"), query=params, headers=headers)
            response = invoke(json.dumps(document), config=config)
            check_response(response)
            if response.status == 302 or '"url"' in response.body:
                check_link(response, document, config)

        yield run


@contextmanager
def share_records() -> Iterator[Run]:
    """A record of a share and its second end are refused, or they open what they say, as long as they say."""
    json_body = {"Content-Type": "application/json"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    requests: list[tuple[str, str, dict[str, str], str]] = [
        *(
            (path, "GET", accept, "")
            for path in ("/-/s/", "/-/s/reports/q3.pdf")
            for accept in (HTML, JSON)
        ),
        ("/-/s", "POST", {**form, **HTML}, f"nonce=0123456789abcdef&password={CODE}"),
        (
            "/-/s",
            "POST",
            json_body,
            json.dumps({"name": "a.png", "size": 5, "type": "image/png", "password": CODE}),
        ),
        ("/-/shares", "GET", {}, ""),
        *(
            (f"/-/shares/{SHARES['page'].id}", method, json_body, '{"expires": "20d"}')
            for method in ("POST", "DELETE")
        ),
    ]
    with service() as (config, oss):

        def run(data: bytes) -> None:
            oss.forget()
            try:
                document = json.loads(data)
                record, end = (
                    json.dumps(document[name]).encode() for name in ("record", "extended")
                )
            except (ValueError, RecursionError, KeyError, TypeError):
                record = end = data
            share = SHARES["page"].id
            for path, method, headers, body in requests:
                oss.fill(
                    {f"{STATE}shares/{share}.json": record, f"{STATE}extended/{share}.json": end}
                )
                is_opened = path.startswith("/-/s/") or path == "/-/s"
                query = {"share": secret_of("page")} if is_opened else {}
                sent = headers if is_opened else {**headers, "Authorization": f"Bearer {SHARER}"}
                request = event(path, method, query, sent, body=body, isBase64Encoded=False)
                response = invoke(json.dumps(request), config=config)
                check_response(response)
                if is_opened and response.status < 400:
                    stored = json.loads(record)
                    assert (stored["hash"], stored["revoked_at"]) == (SHARES["page"].hash, None)
                    link = urlsplit(response.headers.get("Location", stored["target"]))
                    bucket, key = link.netloc.partition(".")[0], unquote(link.path)
                    assert f"oss://{bucket}{key}".startswith(stored["target"])
                    assert stored["expires_at"] > NOW or json.loads(end)["expires_at"] > NOW

        yield run


def secret_of(name: str) -> str:
    """The secret of one of the `SHARES`."""
    return base64url(name.ljust(16, "-").encode())


def _share(name: str, path: str, method: str = "GET", **changes: Any) -> Record:
    mount, now = CONFIG.mounts.find(path, prefix=True).mount, int(NOW)
    owner = ("sharer", owner_tag(NOTICES), now - 60, now + 86_400)
    hashed = secret_hash(secret_of(name))
    return Record(hashed, path, mount.path, str(mount.target), method, *owner)._replace(**changes)


CODE = "K7QM-2TXP"
WORDS = Words("Q3 \u202e<b>", "For you:\n1 & 2")
UPLOAD = {"max_size": 1000, "max_files": 3, "content_type": "image/"}
SHARES = {
    "page": _share("page", "/reports/q3.pdf", words=WORDS),
    "code": _share(
        "code", "/reports/q3.pdf", uses=3, password=code_hash(secret_of("code"), CODE), words=WORDS
    ),
    "folder": _share("folder", "/reports/", page=False),
    "upload": _share("upload", "/inbox/", "POST", uses=3, upload=UPLOAD),
}


@contextmanager
def service() -> Iterator[tuple[Config, MemoryOss]]:
    """The configuration of a service with API keys, an issuer, `SHARES` and a few objects, and its OSS."""
    everywhere, methods = [*PATHS, "/"], ["GET", "LIST", "PUT", "POST", "SHARE"]
    keys = document(
        api=[
            api("reader", READER, paths=everywhere),
            api("sharer", SHARER, paths=everywhere, methods=methods),
        ],
        jwt=[issuer(paths=everywhere)],
    )
    names = ("reports/q3.pdf", "exampledir/a.txt", "reports/a.txt")
    objects = {Location("examplebucket", name): b"content" for name in names}
    objects |= {
        Location("examplebucket", f"{STATE}shares/{each.id}.json"): encode(each)
        for each in SHARES.values()
    }
    with TemporaryDirectory() as folder, memory_oss(objects, lambda: NOW) as oss:
        yield CONFIG._replace(keys_document=write_keys(keys, Path(folder))), oss
