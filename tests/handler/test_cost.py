"""What a stranger sends costs what it is worth: each text and number of each route, as long as a body or a line may be.

What is measured is processor time, which other programs on the machine change little.
"""

from __future__ import annotations

import io
import json
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from itertools import chain, pairwise, product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from handler import asgi
from handler.core.request import MAX_BYTES, Request
from handler.web import app
from handler.web.endpoints import upload_page
from tests.handler.client import context
from tests.system import HTML, MAKER, WRITER, System

OPENAPI = json.loads((Path(app.__file__).parent / "openapi.json").read_text("utf-8"))
SHAPES = ("k", "é", "%-", '"', "7", "[")
# Numbers: the first that OSS cannot have, the longest that Python reads, and one as long as a body.
DIGITS = (19, 4300, MAX_BYTES)
LIMIT = 0.1  # seconds of processor time
REFUSED = 0.03  # for a refusal that needs no key
TRIES = 4  # the least of so many counts: a page that is read for the first time takes longer

# What each route requires beside what is sent to it, by the route of openapi.json, and who may.
BODIES: Mapping[str, tuple[dict[str, Any], str | None]] = {
    "/-/sign": ({"links": [{"path": "/in/a", "method": "PUT", "size": 5}]}, WRITER),
    "/-/form": ({"path": "/in/"}, WRITER),
    "/-/uploads": ({"path": "/in/a", "size": 10**9}, WRITER),
    "/-/uploads/{id}/parts": ({"path": "/in/a"}, WRITER),
    "/-/lfs/{path}/objects/batch": (
        {"operation": "download", "objects": [{"oid": "a" * 64, "size": 5}]},
        None,
    ),
    "/-/shares": ({"path": "/reports/a", "allow_missing": True}, MAKER),
    "/-/shares/{id}": ({}, MAKER),
    "/-/s/{name}": ({"name": "a", "size": 5}, None),
}
OF_FILES = upload_page.MEMBERS.keys() - {"nonce", "password"}
BATCH = "/-/lfs/public/r/objects/batch"
PLACES = {"id": "abcdefghijkl", "path": "public/r", "name": "reports/q3.pdf"}
HEADERS = [
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "cookie",
    "host",
    "origin",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
]


class Sent(NamedTuple):
    """A request, what is long in it, and the key that it has."""

    name: str
    request: Request
    key: str | None
    request_id: str = "req-EXAMPLE"


def resolved(schema: Any) -> dict[str, Any]:
    while "$ref" in schema:
        found: Any = OPENAPI
        for name in schema["$ref"][2:].split("/"):
            found = found[name]
        schema = found
    return dict(schema)


def members(schema: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of each text and number of a schema; "0" is the first of a list."""
    if isinstance(schema, bool):
        return
    schema = resolved(schema)
    parts = [each for name in ("oneOf", "anyOf", "allOf") for each in schema.get(name, ())]
    for part in parts:
        yield from members(part, prefix)
    for name, member in schema.get("properties", {}).items():
        yield from members(member, (*prefix, name))
    if "items" in schema:
        yield from members(schema["items"], (*prefix, "0"))
    elif not parts and "properties" not in schema:
        yield prefix


def filled(shape: str, size: int, begin: str = "") -> str:
    """A text of `size` bytes at most in JSON, that begins as the route wants it."""
    unit = json.dumps(shape, ensure_ascii=False)[1:-1].encode()
    return begin + shape * ((size - len(begin)) // len(unit))


def bodies(route: str, media_type: str, schema: Any) -> Iterator[tuple[str, bytes]]:
    """The body of a route for each of its members: as long as a body may be, in each shape, and as a number."""
    example = BODIES[route][0]
    room = MAX_BYTES - 1000
    for path in sorted(set(members(schema)) - {()}):
        document = json.loads(json.dumps(example))
        inner = document
        for name, below in pairwise(path):
            missing: Any = [None] if below == "0" else {}
            inner = inner[0] if isinstance(inner, list) else inner.setdefault(name, missing)
        last: Any = 0 if isinstance(inner, list) else path[-1]
        before = inner[last] if isinstance(inner, list) else inner.get(last)
        begin = before if isinstance(before, str) else ""
        inner[last] = "@"
        template = json.dumps(document)
        texts = [json.dumps(filled(shape, room, begin), ensure_ascii=False) for shape in SHAPES]
        texts += ["9" * min(digits, room) for digits in DIGITS]
        for text in texts:
            name = f"{route} {'.'.join(path)} {text[-3:-1]} {len(text)}"
            if media_type.endswith("json"):
                yield name, template.replace('"@"', text).encode()
            else:
                yield name, f"{path[-1]}={text}".encode()[:MAX_BYTES]


LINES = [filled(shape, asgi.MAX_HEAD) for shape in SHAPES]


def of_routes(share: str, upload: str) -> Iterator[Sent]:
    """Everything that openapi.json names of each route, alone."""
    for route, operations in OPENAPI["paths"].items():
        path = route
        for name, value in PLACES.items():
            path = path.replace(f"{{{name}}}", value)
        query = {"share": share} if route == "/-/s/{name}" else {}
        body, key = BODIES.get(route, ({}, MAKER))
        for method in operations.keys() - {"parameters"}:
            operation = operations[method]
            asked = Request(method.upper(), path, query, HTML, json.dumps(body).encode(), "")
            named = (*operations.get("parameters", ()), *operation.get("parameters", ()))
            for parameter, line in product(map(resolved, named), LINES):
                name = parameter["name"]
                long = asked._replace(query={**query, name: line})
                if parameter["in"] == "path":
                    long = asked._replace(raw_path=path.replace(PLACES[name], line))
                yield Sent(f"{method} {route} {name} {line[:2]}", long, key)
            content = resolved(operation.get("requestBody", {})).get("content", {})
            for media_type, described in content.items():
                sent = asked._replace(headers={"content-type": media_type})
                for name, long_body in bodies(route, media_type, described["schema"]):
                    long = sent._replace(body=long_body)
                    if query and name.split()[1] in OF_FILES:
                        long = long._replace(raw_path="/-/s/", query={"share": upload})
                    yield Sent(name, long, key)


def of_headers() -> Iterator[Sent]:
    """Each header alone, for a page and for Git LFS, and what stands beside headers."""
    for header, line in product(HEADERS, LINES):
        values = [line]
        if header == "authorization":
            values += [f"Bearer {line}", f"Basic {b64encode(line.encode()).decode()}"]
        for value, (method, path) in product(values, (("GET", "/reports/a"), ("POST", BATCH))):
            headers = {"accept": "text/html", header: value}
            asked = Request(method, path, {}, headers, b"", "")
            yield Sent(f"{method} {path} {header}: {value[:9]}", asked, None)
    for line in LINES:
        asked = Request(line, "/public/a", {line: line}, {line: line}, b"", line)
        yield Sent(f"method, names, domain, id {line[:2]}", asked, None, line)


def measured(service: System, sent: Sent, key: str | None) -> tuple[float, int, str]:
    """The least processor seconds of a request, and its status, and its line."""
    headers = dict(sent.request.headers)
    if key is not None and "authorization" not in headers:
        headers["authorization"] = f"Bearer {key}"
    request = sent.request._replace(headers=headers)
    least = 9.0
    for _ in range(TRIES):
        out = io.StringIO()
        with redirect_stdout(out):
            began = time.process_time()
            response = app.answer(
                request, lambda: service.instance, context(), request_id=sent.request_id
            )
            least = min(least, time.process_time() - began)
        if least < REFUSED / 2 or least > 1:
            break
    return least, response.status, out.getvalue()


def secret(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))["share"]


def costs(service: System) -> Iterator[tuple[float, str, int, bool]]:
    """For each request its processor seconds, name and status, and whether it is a refusal without a key."""
    share = secret(service.create_share(password=True, key=MAKER))
    upload = secret(service.create_upload_share(max_files=100))
    for sent in chain(of_routes(share, upload), of_headers()):
        for key in {sent.key, None}:
            seconds, status, printed = measured(service, sent, key)
            line = json.loads(printed.splitlines()[-1])
            assert (line["status"], "fault" in line) == (status, False), (sent.name, line)
            yield seconds, sent.name, status, key is None and status >= 400


def test_nothing_that_a_stranger_sends_takes_long(in_memory: System) -> None:
    slow = [
        (round(seconds, 3), name, status)
        for seconds, name, status, is_refused in costs(in_memory)
        if seconds > (REFUSED if is_refused else LIMIT)
    ]
    assert sorted(slow, reverse=True) == []
