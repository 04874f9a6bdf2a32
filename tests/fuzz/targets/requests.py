"""What callers of the HTTP service send: paths, lifetimes, queries, and entire events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import category
from urllib.parse import quote, unquote, urlencode, urlsplit

from handler.core.config import Config, Location
from handler.core.context import Access, Invocation, RoleCredentials
from handler.core.errors import Problem
from handler.core.links import create_link, read_expires
from handler.core.paths import check_path, path_fault, read_path
from handler.core.request import parse_query
from signer.times import format_duration
from tests.fuzz.laws import Run, check_refused, check_response
from tests.handler.client import KEYS, NOW, SIGNATURE, ask, event, invoke, make_config, new_instance
from tests.handler.keys_fixtures import READER, SHARER, api, document, issuer
from tests.memory_oss import memory_oss

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
            assert len(path.encode()) <= 1024
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
            if response.status in (200, 302) and "share" not in params:
                mount = config.mounts.covering(path)
                assert mount is not None
                assert set(response.query) <= mount.query
                assert response.signs()
                assert all(response.query[name] == params[name] for name in response.query.keys() & params.keys())
                assert 1 <= int(response.parameters["x-oss-expires"]) <= mount.max_expires + (mount.cache or 0)
                assert set(response.parameters) - set(response.query) == SIGNATURE

    with service() as config:
        yield run


@contextmanager
def http_events() -> Iterator[Run]:
    """Every event has a documented response and one audit line; a redirect leads to the object at the path."""
    with service() as config:

        def run(data: bytes) -> None:
            response = invoke(data, config=config)
            check_response(response)
            if response.status == 302:
                request = json.loads(data)
                path = unquote(request["rawPath"], errors="strict")
                mount = config.mounts.covering(path)
                assert mount is not None
                assert response.key == mount.target.key + path[len(mount.path) :]
                assert response.signs(request["requestContext"]["http"]["method"])
                assert not config.mounts.is_reserved(mount.target.bucket, response.key), response.key

        yield run


def create_share(**changes: object) -> str:
    """The token of a share of /reports/q3.pdf."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {SHARER}"}
    body = json.dumps({"path": "/reports/q3.pdf", **changes})
    with service() as config:
        request = event("/-/shares", "POST", headers=headers, body=body, isBase64Encoded=False)
        return str(invoke(json.dumps(request), config=config).json["url"]).partition("?share=")[2]


@contextmanager
def service() -> Iterator[Config]:
    """The configuration of a service with API keys, an issuer and a few objects."""
    everywhere, methods = [*PATHS, "/"], ["GET", "PUT", "POST", "SHARE"]
    keys = document(
        api=[api("reader", READER, paths=everywhere), api("sharer", SHARER, paths=everywhere, methods=methods)],
        jwt=[issuer(paths=everywhere)],
    )
    names = ("reports/q3.pdf", "exampledir/a.txt", "reports/a.txt")
    objects = {Location("examplebucket", name): b"content" for name in names}
    with TemporaryDirectory() as folder, memory_oss(objects, lambda: NOW):
        path = Path(folder) / "keys.json"
        path.write_text(json.dumps(keys))
        yield CONFIG._replace(keys_document=path)
