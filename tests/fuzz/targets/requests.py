"""What callers of the HTTP service send: paths, lifetimes, queries, and entire events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unicodedata import category
from urllib.parse import quote, unquote, urlencode, urlsplit

from handler.core.config import Config, Location
from handler.core.context import Access, Invocation, RoleCredentials
from handler.core.errors import Problem
from handler.core.keys import owner_tag
from handler.core.links import create_link, read_expires
from handler.core.paths import check_path, path_fault, read_path
from handler.core.request import parse_query
from handler.core.shares import NOTICES
from handler.core.shares.code import code_hash
from handler.core.shares.record import Record, encode, secret_hash
from signer.times import format_duration
from tests.fuzz.laws import Run, check_refused, check_response
from tests.handler.client import KEYS, NOW, SIGNATURE, ask, event, invoke, make_config, new_instance
from tests.handler.keys_fixtures import READER, SHARER, api, base64url, document, issuer
from tests.memory_oss import MemoryOss, memory_oss
from tests.worlds import HTML, JSON, STATE

ROLE = RoleCredentials(KEYS, None)
LINKS = Path(__file__).parents[1] / "links.toml"
CONFIG = make_config(LINKS.read_text("utf-8"))
PATHS = ("/exampledir/", "/reports/", "/inbox/")
INVOCATION = Invocation(new_instance(CONFIG), None, NOW, {})


@contextmanager
def paths() -> Iterator[Run]:
    """A path is refused, or it is one path: encoded again, it leads to the same link."""

    def run(data: bytes) -> None:
        raw = data.decode("utf-8", "surrogateescape")
        for read in (read_path, check_path):
            try:
                path = read(raw)
            except Problem as problem:
                check_refused(problem, "bad_path")
                continue
            assert path_fault(path) is None
            assert path.startswith("/")
            assert "//" not in path
            assert not {".", ".."} & set(path.split("/")), path
            assert len(path.encode()) <= (2048 if path.startswith("/-/s/") else 1024)
            assert not any(category(letter) in ("Cc", "Cs") for letter in path), path
            again = quote(path, safe="/")
            assert read_path(again) == path
            try:
                target = CONFIG.mounts.find(path)
                url = create_link(INVOCATION, Access(target, ROLE, ()), "GET").link.url
            except Problem as problem:
                check_refused(problem, "not_found", "bad_path")
            else:
                assert unquote(urlsplit(url).path, errors="strict") == "/" + target.key
                assert not CONFIG.mounts.is_reserved(*target.location)
                assert target.mount.target.key + path[len(target.mount.path) :] == target.key

    yield run


@contextmanager
def expires() -> Iterator[Run]:
    """A lifetime is refused, or it is a number of seconds, however it is written, and limits the link."""

    def run(data: bytes) -> None:
        string = data.decode("utf-8", "surrogateescape")
        try:
            seconds = read_expires(string)
        except Problem as problem:
            check_refused(problem, "bad_expires")
            seconds = 0
        else:
            assert re.fullmatch(r"[0-9]+[smhd]?", string, re.ASCII)
            assert 1 <= seconds <= 999_999_999 * 86_400
            assert format_duration(seconds)
            if seconds <= 999_999_999:
                assert read_expires(str(seconds)) == read_expires(f"{seconds}s") == seconds
        for mount in CONFIG.mounts:
            try:
                issued = create_link(
                    INVOCATION, Access(CONFIG.mounts.find(f"{mount.path}a"), ROLE, ()), "GET", expires=string
                )
            except Problem as problem:
                check_refused(problem, *(["bad_expires"] if not seconds else []))
            else:
                assert 1 <= issued.link.expires_in == min(seconds, mount.max_expires)
                assert issued.clamped_by == ("mount" if seconds > mount.max_expires else None)

    yield run


@contextmanager
def queries() -> Iterator[Run]:
    """A query is refused, or the link has only parameters that its mount allows, with the values of the query."""

    def run(data: bytes) -> None:
        first, _, rest = data.partition(b"\n")
        params = parse_query(first.decode("latin-1"))
        assert parse_query(urlencode(params)) == params
        accept = rest.decode("latin-1")
        headers = {"Accept": accept, "Origin": "https://app.example.com"} if accept else {}
        for path in PATHS:
            response = ask(f"{path}a.txt", query=params, headers=headers, config=config)
            check_response(response)
            if response.status in (200, 302):
                mount = config.mounts.covering(path)
                assert mount is not None
                assert set(response.query) <= mount.query
                assert response.signs()
                assert all(response.query[name] == params[name] for name in response.query.keys() & params.keys())
                assert 1 <= int(response.parameters["x-oss-expires"]) <= mount.max_expires + (mount.cache or 0)
                assert set(response.parameters) - set(response.query) == SIGNATURE

    with service() as (config, _):
        yield run


@contextmanager
def http_events() -> Iterator[Run]:
    """Every event has a documented response and one audit line; a redirect leads to the object at the path."""
    with service() as (config, oss):

        def run(data: bytes) -> None:
            oss.forget()
            response = invoke(data, config=config)
            check_response(response)
            if response.status == 302:
                request = json.loads(data)
                path = unquote(request["rawPath"], errors="strict")
                if f"{path}/".startswith("/-/s/"):
                    shared = path.partition("/-/s/reports/")[2] or "q3.pdf"
                    path = f"/reports/{shared}"
                mount = config.mounts.covering(path)
                assert mount is not None
                assert response.key == mount.target.key + path[len(mount.path) :]
                assert response.signs(request["requestContext"]["http"]["method"])
                assert not config.mounts.is_reserved(mount.target.bucket, response.key), response.key

        yield run


@contextmanager
def share_records() -> Iterator[Run]:
    """A record of a share and its second end are refused, or they open what they say, as long as they say."""
    json_body, form = {"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}
    requests: list[tuple[str, str, dict[str, str], str]] = [
        *((path, "GET", accept, "") for path in ("/-/s/", "/-/s/reports/q3.pdf") for accept in (HTML, JSON)),
        ("/-/s", "POST", {**form, **HTML}, f"nonce=0123456789abcdef&password={CODE}"),
        ("/-/s", "POST", json_body, json.dumps({"name": "a.png", "size": 5, "type": "image/png", "password": CODE})),
        ("/-/shares", "GET", {}, ""),
        *((f"/-/shares/{SHARES['page'].id}", method, json_body, '{"expires": "20d"}') for method in ("POST", "DELETE")),
    ]
    with service() as (config, oss):

        def run(data: bytes) -> None:
            oss.forget()
            try:
                document = json.loads(data)
                record, end = (json.dumps(document[name]).encode() for name in ("record", "extended"))
            except (ValueError, RecursionError, KeyError, TypeError):
                record = end = data
            share = SHARES["page"].id
            for path, method, headers, body in requests:
                oss.fill({f"{STATE}shares/{share}.json": record, f"{STATE}extended/{share}.json": end})
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
WORDS = {"title": "Q3 \u202e<b>", "message": "For you:\n1 & 2"}
UPLOAD = {"max_size": 1000, "max_files": 3, "content_type": "image/"}
SHARES = {
    "page": _share("page", "/reports/q3.pdf", **WORDS),
    "code": _share("code", "/reports/q3.pdf", uses=3, password=code_hash(secret_of("code"), CODE), **WORDS),
    "folder": _share("folder", "/reports/", page=False),
    "upload": _share("upload", "/inbox/", "POST", uses=3, upload=UPLOAD),
}


@contextmanager
def service() -> Iterator[tuple[Config, MemoryOss]]:
    """The configuration of a service with API keys, an issuer, `SHARES` and a few objects, and its OSS."""
    everywhere, methods = [*PATHS, "/"], ["GET", "LIST", "PUT", "POST", "SHARE"]
    keys = document(
        api=[api("reader", READER, paths=everywhere), api("sharer", SHARER, paths=everywhere, methods=methods)],
        jwt=[issuer(paths=everywhere)],
    )
    names = ("reports/q3.pdf", "exampledir/a.txt", "reports/a.txt")
    objects = {Location("examplebucket", name): b"content" for name in names}
    objects |= {Location("examplebucket", f"{STATE}shares/{each.id}.json"): encode(each) for each in SHARES.values()}
    with TemporaryDirectory() as folder, memory_oss(objects, lambda: NOW) as oss:
        path = Path(folder) / "keys.json"
        path.write_text(json.dumps(keys))
        yield CONFIG._replace(keys_document=path), oss
