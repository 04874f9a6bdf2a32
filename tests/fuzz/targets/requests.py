"""What callers of the HTTP service send: paths, lifetimes, queries, and entire events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import category
from urllib.parse import quote, unquote, urlencode, urlsplit

from handler.config import Config, Location
from handler.context import RoleCredentials
from handler.errors import Problem
from handler.links import create_link, find_mount, read_expires
from handler.paths import check_path, path_fault, read_path
from handler.request import parse_query
from signer.times import format_duration
from tests.fuzz.fuzzer import Run
from tests.fuzz.laws import check_refused, check_response
from tests.handler.client import EVENTS, KEYS, NOW, SIGNATURE, ask, event, invoke, make_config
from tests.handler.keys_fixtures import READER, SHARER, api, document, issuer, token
from tests.memory_oss import memory_oss

ROLE = RoleCredentials(KEYS, None)
QUERY = ["versionId", "response-content-disposition", "x-oss-process", "x-oss-traffic-limit"]
LINKS = f"""
region = "cn-hangzhou"
keys = "file:keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"
cors = ["https://app.example.com"]

[[mount]]
path = "/"
target = "oss://examplebucket/"
access = "anonymous"
whole_bucket = true
cache = "5m"

[[mount]]
path = "/exampledir/"
target = "oss://examplebucket/exampledir/"
access = "anonymous"
query = {json.dumps([*QUERY, "response-content-type"])}
process = ["image/resize,w_100", "style/thumb"]
max_share = "1d"

[[mount]]
path = "/reports/"
target = "oss://examplebucket/reports/"
unknown_query = "ignore"
query = ["versionId"]
check = true
max_share = "90d"

[[mount]]
path = "/inbox/"
target = "oss://otherbucket/inbox/"
methods = ["GET", "PUT", "POST"]
max_size = "10MB"
max_share = "30d"
inline = ["image/png", "text/plain; charset=utf-8"]
"""
CONFIG = make_config(LINKS)
PATHS = ("/exampledir/", "/reports/", "/inbox/")


# --- paths --------------------------------------------------------------------------------------------------------


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
                mount, key = find_mount(CONFIG, path)
                url = create_link(CONFIG, mount, key, "GET", ROLE, NOW).link.url
            except Problem as problem:
                check_refused(problem, "not_found", "bad_path")
            else:
                assert unquote(urlsplit(url).path, errors="strict") == "/" + key
                assert not CONFIG.is_reserved(mount.target.bucket, key)
                assert mount.target.key + path[len(mount.path) :] == key

    yield run


def path_seeds() -> Iterable[bytes]:
    seeds = [
        "/exampledir/a.txt",
        "/a%20b+c",
        "/%E4%BD%A0%E5%A5%BD/b~c",
        "/你好",
        "/a%2Fb/%25",
        "/../a",
        "/a//b",
        "/%00",
    ]
    return [seed.encode() for seed in (*seeds, "/" + "a" * 1023, "/.links/keys.json", "/%2elinks/state/x", "/%5Ca")]


# --- lifetimes ----------------------------------------------------------------------------------------------------


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
                issued = create_link(CONFIG, mount, mount.target.key + "a", "GET", ROLE, NOW, expires=string)
            except Problem as problem:
                check_refused(problem, *(["bad_expires"] if not seconds else []))
            else:
                assert 1 <= issued.link.expires_in == min(seconds, mount.max_expires)
                assert issued.clamped_by == ("mount" if seconds > mount.max_expires else None)

    yield run


def expires_seeds() -> Iterable[bytes]:
    return [
        seed.encode()
        for seed in ("90", "90s", "15m", "2h", "1d", "0", "999999999d", "1w", " 1h", "1H", "-5", "\uff11h")
    ]


# --- queries ------------------------------------------------------------------------------------------------------


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
                mount = config.mount(path)
                assert mount is not None
                assert set(response.query) <= mount.query
                assert response.signs()
                assert all(response.query[name] == params[name] for name in response.query.keys() & params.keys())
                assert 1 <= int(response.parameters["x-oss-expires"]) <= mount.max_expires + (mount.cache or 0)
                assert set(response.parameters) - set(response.query) == SIGNATURE

    with service() as config:
        yield run


def query_seeds() -> Iterable[bytes]:
    queries = (
        "expires=15m&format=json&download=%E6%8A%A5%E5%91%8A.pdf",
        "format=redirect&versionId=CAEQNhiBgMDJgZCA0BYiIDc4MGZjZGI2OTBjOTRmNTE5NmU5NmFhZjhjYmY0",
        "response-content-disposition=attachment%3B%20filename%3D%22a.txt%22&x-oss-traffic-limit=819200",
        "x-oss-process=image%2Fresize%2Cw_100&response-content-type=text%2Fplain",
        "x-oss-security-token=EXAMPLE&x-oss-signature=EXAMPLE&share=EXAMPLE",
        "download=&download=a%2Fb&utm_source=chat&null=&%FF=%FE&a+b=c%2Bd",
        "format=json\ntext/html, application/json;q=0.9, */*;q=0.8",
        "expires=x\ntext/html;q=1",
    )
    return [query.encode() for query in queries]


# --- events -------------------------------------------------------------------------------------------------------


@contextmanager
def http_events() -> Iterator[Run]:
    """Every event has a documented response and one audit line, and the objects of the service stay its own."""
    with service() as config:

        def run(data: bytes) -> None:
            response = invoke(data, config=config)
            check_response(response)
            if response.status == 302:
                assert not config.is_reserved("examplebucket", response.key), response.key

        yield run


def http_event_seeds() -> Iterable[bytes]:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    as_json, page = {"Content-Type": "application/json"}, {"Accept": "text/html", "Accept-Language": "zh-CN,en;q=0.5"}
    reader, sharer = {"Authorization": f"Bearer {READER}"}, {"X-Api-Key": SHARER}
    by_token = {"Authorization": f"Bearer {token()}"}
    upload = created("/-/uploads", {"path": "/inbox/big.bin", "size": 5_000_000, "part_size": 1_000_000}, "upload_id")
    share_url = created("/-/shares", {"path": "/reports/q3.pdf", "expires": "7d", "max_uses": 1}, "url")
    share = parse_query(urlsplit(share_url).query)["share"]
    requests = (
        event("/reports/q3.pdf", headers=reader),
        event("/reports/q3.pdf", headers=by_token, query={"format": "json"}),
        event("/exampledir/a.txt", "HEAD", {"download": "b.txt"}, page),
        event("/exampledir/a.txt", "OPTIONS", headers={"Origin": "https://app.example.com"}),
        event("/-/health"),
        event("/-/sign", "POST", headers=as_json | sharer, body=json.dumps({"links": [{"path": "/reports/q3.pdf"}]})),
        event(
            "/-/sign",
            "POST",
            headers=as_json | sharer,
            body=json.dumps(
                {"links": [{"path": "/inbox/a.png", "method": "PUT", "size": 5, "content_type": "image/png"}]}
            ),
        ),
        event(
            "/-/form",
            "POST",
            headers=as_json | sharer,
            body=json.dumps({"path": "/inbox/", "max_size": 5, "expires": "1h"}),
        ),
        event(
            "/-/uploads",
            "POST",
            headers=as_json | sharer,
            body=json.dumps({"path": "/inbox/big.bin", "size": 5_000_000, "part_size": 1_000_000}),
        ),
        event(
            f"/-/uploads/{quote(upload)}/parts",
            "POST",
            headers=as_json | sharer,
            body=json.dumps({"path": "/inbox/big.bin", "from": 2, "count": 3}),
        ),
        event(
            "/-/shares",
            "POST",
            headers=as_json | sharer,
            body=json.dumps({"path": "/inbox/", "method": "POST", "upload": {"max_files": 3}, "revocable": True}),
        ),
        event(
            "/-/shares",
            "POST",
            headers=as_json | sharer,
            body=json.dumps({"path": "/reports/q3.pdf", "expires": "7d", "max_uses": 3, "page": True}),
        ),
        event("/-/shares/-rj5xlXCicwM", "DELETE", headers=sharer),
        event("/reports/q3.pdf", query={"share": share}, headers=page),
        event("/reports/q3.pdf", "POST", {"share": share}, form | page, body="nonce=0123456789abcdef"),
    )
    files = [(EVENTS / name).read_bytes() for name in ("http-get.json", "http-post.json", "timer.json")]
    return [*files, *(json.dumps({**request, "isBase64Encoded": False}).encode() for request in requests)]


def created(path: str, document: dict[str, object], member: str) -> str:
    """What a route that creates something answers."""
    headers = {"Content-Type": "application/json", "X-Api-Key": SHARER}
    request = event(path, "POST", headers=headers, body=json.dumps(document), isBase64Encoded=False)
    with service() as config:
        response = invoke(json.dumps(request), config=config)
    assert response.status == 201, response
    value: str = response.json[member]
    return value


@contextmanager
def service() -> Iterator[Config]:
    """The configuration of a service with API keys, an issuer and a few objects."""
    everywhere = [*PATHS, "/"]
    methods = ["GET", "HEAD", "PUT", "POST", "SHARE"]
    keys = document(
        api=[api("reader", READER, paths=everywhere), api("sharer", SHARER, paths=everywhere, methods=methods)],
        jwt=[issuer(paths=everywhere)],
    )
    names = ("reports/q3.pdf", "exampledir/a.txt", "reports/a.txt")
    objects = {Location("examplebucket", name): b"content" for name in names}
    with TemporaryDirectory() as folder, memory_oss(objects, lambda: NOW):
        path = Path(folder) / "keys.json"
        path.write_text(json.dumps(keys))
        yield CONFIG._replace(keys_document=f"file:{path}")
