"""The OpenAPI document matches the code: the routes, their methods, and the codes of errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handler.core.errors import ERRORS
from handler.web.endpoints import ROUTES
from tests.handler.client import ask
from tests.system import WRITER, System, share_id
from tools import secret_search

HANDLER = Path(__file__).parents[4] / "handler/web"
TEXT = (HANDLER / "openapi.json").read_text("utf-8")
DOCUMENT: dict[str, Any] = json.loads(TEXT)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
VERBS = ("get", "put", "post", "delete", "patch", "trace")
SHARES = "/-/s/{name}"
HOSTS = ("examplebucket.oss-cn-hangzhou.aliyuncs.com", "links.example.com", "github.com")
OWN = [path for path in DOCUMENT["paths"] if path.startswith("/-/") and path != SHARES]


def methods(path: str) -> list[str]:
    """The methods of a path: those in the document, and those that it describes once for all paths."""
    verbs = [verb.upper() for verb in VERBS if verb in DOCUMENT["paths"][path]]
    heads = ["HEAD"] if "GET" in verbs else []
    return [*verbs[: len(heads)], *heads, *verbs[len(heads) :], "OPTIONS"]


def resolved(schema: Any) -> Any:
    """A schema with the components that it refers to."""
    return {**schema, "components": DOCUMENT["components"]}


def test_every_code_is_in_the_document() -> None:
    codes = SCHEMAS["Problem"]["properties"]["code"]["enum"]
    assert sorted(ERRORS) == codes


def test_every_route_is_in_the_document() -> None:
    assert set(OWN) == set(ROUTES)
    assert set(DOCUMENT["paths"]) - set(OWN) == {"/{path}", SHARES}


@pytest.mark.parametrize("path", OWN)
def test_the_allow_header_matches_the_document(in_memory: System, path: str) -> None:
    address = path.replace("{id}", "an-id").replace("{path}", "team/lfs")
    documented = methods(path)
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "TRACE", "OPTIONS"):
        response = in_memory.request(address, method, key=WRITER)
        if method not in documented or method == "OPTIONS":
            assert response.status == (204 if method == "OPTIONS" else 405)
            assert response.headers["Allow"] == ", ".join(documented)
        else:
            assert response.status != 405


def test_head_and_options_are_described_once_and_listed_at_no_path() -> None:
    assert {verb for item in DOCUMENT["paths"].values() for verb in item} <= {*VERBS, "parameters"}
    described = DOCUMENT["info"]["description"]
    assert "HEAD goes wherever GET does: the same status and headers without a body" in described
    assert "OPTIONS requires no key: 204, and Allow has the methods of the path" in described


@pytest.mark.parametrize("path", [path for path in OWN if "GET" in methods(path)])
@pytest.mark.parametrize("key", [WRITER, None])
def test_head_has_the_status_and_the_headers_of_get_without_a_body(
    in_memory: System, path: str, key: str | None
) -> None:
    address = path.replace("{id}", share_id(in_memory.create_share(key=WRITER, path="/both/a")))
    get = in_memory.request(address, "GET", key=key)
    head = in_memory.request(address, "HEAD", key=key)
    assert (head.status, head.body) == (get.status, "")
    assert get.body
    # A page has another nonce each time.
    headers = [
        {name: re.sub(r"'nonce-[\w-]+'", "'nonce-'", value) for name, value in each.headers.items()}
        for each in (head, get)
    ]
    assert headers[0] == headers[1]


def test_an_object_allows_the_methods_of_its_mount_and_a_share_all_of_its_own(
    in_memory: System,
) -> None:
    share = in_memory.create_share(key=WRITER, path="/both/a")
    assert in_memory.open(share, "OPTIONS").headers["Allow"] == ", ".join(methods(SHARES))
    for enabled, names in (
        (("GET",), ["GET", "HEAD"]),
        (("GET", "PUT"), ["GET", "HEAD"]),
        (("PUT",), []),
    ):
        mounted = in_memory.with_mount("/both/", methods=enabled)
        for method in ("OPTIONS", "POST", "DELETE"):
            allowed = mounted.request("/both/a", method).headers["Allow"]
            assert allowed.split(", ") == [*names, "OPTIONS"]


def test_the_document_is_served_and_may_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    response = ask("/-/openapi.json")
    assert (response.status, response.headers["Content-Type"], response.body) == (
        200,
        "application/json",
        TEXT,
    )
    # A process reads it once.
    monkeypatch.setattr("handler.web.endpoints.about._OPENAPI", "missing.json")
    head = ask("/-/openapi.json", "HEAD")
    assert (head.status, head.body) == (200, "")
    assert (
        response.headers["Cache-Control"] == head.headers["Cache-Control"] == "public, max-age=3600"
    )
    refused = ask("/-/openapi.json", headers={"Authorization": "no key"})
    assert (refused.status, refused.headers["Cache-Control"]) == (401, "no-store")


def test_the_document_is_openapi_3_1_without_dangling_references() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    for reference in set(re.findall(r'"\$ref": "(.*?)"', TEXT)):
        target: Any = {"#": DOCUMENT}
        for name in reference.split("/"):
            target = target[name]
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(resolved(schema))
    operations = [
        item[verb] for item in DOCUMENT["paths"].values() for verb in VERBS if verb in item
    ]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"].endswith(".") for operation in operations)


def media_types(part: Any) -> Iterator[tuple[str, Any]]:
    """Every media type of a body or an answer below a part of the document, with what is said of it."""
    for name, value in part.items() if isinstance(part, dict) else ():
        if name == "content":
            yield from value.items()
        yield from media_types(value)


def examples(part: Any) -> Iterator[tuple[Any, Any]]:
    """Every example below a part of the document, and its schema: beside the schema, or in it."""
    if isinstance(part, list):
        for each in part:
            yield from examples(each)
    if not isinstance(part, dict):
        return
    if "schema" in part and "example" in part:
        yield part["example"], part["schema"]
    named = part.get("examples", [])
    if isinstance(named, dict):
        yield from ((each["value"], part["schema"]) for each in named.values())
    else:
        yield from ((each, part) for each in named)
    for name, value in part.items():
        if name not in ("example", "examples"):
            yield from examples(value)


def test_each_body_and_each_json_answer_has_an_example_that_its_schema_allows() -> None:
    parts = [DOCUMENT["paths"], DOCUMENT["components"]["responses"]]
    described = [each for part in parts for each in media_types(part)]
    without = [name for name, value in described if "example" not in value]
    # Pages, pictures and lists of addresses are not data.
    assert set(without) == {"text/plain", "text/html", "image/svg+xml"}
    checked = list(examples(DOCUMENT))
    assert len(checked) > len(described)
    for example, schema in checked:
        jsonschema.validate(example, resolved(schema))


def test_no_example_has_a_secret_or_a_link_that_could_be_used() -> None:
    for example, _ in examples(DOCUMENT):
        text = json.dumps(example)
        assert secret_search.search(text) == []
        assert "x-oss-signature=" not in text
        assert all(host.endswith(HOSTS) for host in re.findall(r"https://([^/\"]+)", text))


@pytest.mark.parametrize(
    ("route", "params", "key"),
    [
        (
            "/-/sign",
            {"links": [{"path": "/both/a"}, {"path": "/in/a", "method": "PUT", "size": 5}, 7, {}]},
            None,
        ),
        ("/-/form", {"path": "/in/", "content_type": "image/", "expires": "5m"}, None),
        (
            "/-/shares",
            {"path": "/both/a", "expires": "1d", "password": True, "allow_missing": True},
            WRITER,
        ),
        ("/-/sign", {"link": []}, None),
        ("/-/shares", {"path": "/both/a"}, None),
    ],
)
def test_requests_and_responses_match_the_document(
    in_memory: System, route: str, params: dict[str, object], key: str | None
) -> None:
    response = in_memory.post(route, params, key)
    operation = DOCUMENT["paths"][route]["post"]
    if response.status >= 400:
        schema: Any = SCHEMAS["Problem"]
    else:
        jsonschema.validate(
            params, resolved(operation["requestBody"]["content"]["application/json"]["schema"])
        )
        schema = operation["responses"][str(response.status)]["content"]["application/json"][
            "schema"
        ]
    jsonschema.validate(response.json, resolved(schema))
