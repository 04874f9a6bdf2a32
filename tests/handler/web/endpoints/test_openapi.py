"""The OpenAPI document matches the code: the routes, their methods, and the codes of errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handler.core.errors import ERRORS
from handler.web.endpoints import ROUTES
from tests.handler.client import ask
from tests.system import WRITER, System

HANDLER = Path(__file__).parents[4] / "handler/web"
TEXT = (HANDLER / "openapi.json").read_text("utf-8")
DOCUMENT: dict[str, Any] = json.loads(TEXT)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
VERBS = ("get", "head", "put", "post", "delete", "options", "patch", "trace")
SHARES = "/-/s/{name}"
OWN = [path for path in DOCUMENT["paths"] if path.startswith("/-/") and path != SHARES]


def methods(path: str) -> list[str]:
    """The methods of a path in the document."""
    return [verb.upper() for verb in VERBS if verb in DOCUMENT["paths"][path]]


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
            allowed = response.headers["Allow"]
            assert sorted(allowed.split(", ")) == sorted(documented)
            schema = DOCUMENT["paths"][path]["options"]["responses"]["204"]["headers"]["Allow"][
                "schema"
            ]
            assert allowed == schema["const"]
        else:
            assert response.status != 405


def test_an_object_allows_the_methods_of_its_mount_and_a_share_all_of_its_own(
    in_memory: System,
) -> None:
    share = in_memory.create_share(key=WRITER, path="/both/a")
    known = DOCUMENT["paths"]["/{path}"]["options"]["responses"]["204"]["headers"]["Allow"][
        "schema"
    ]["enum"]
    assert sorted(in_memory.open(share, "OPTIONS").headers["Allow"].split(", ")) == sorted(
        methods(SHARES)
    )
    for enabled, names in (
        (("GET",), ["GET", "HEAD"]),
        (("GET", "PUT"), ["GET", "HEAD"]),
        (("PUT",), []),
    ):
        mounted = in_memory.with_mount("/both/", methods=enabled)
        for method in ("OPTIONS", "POST", "DELETE"):
            allowed = mounted.request("/both/a", method).headers["Allow"]
            assert allowed in known
            assert allowed.split(", ") == [*names, "OPTIONS"]


def test_the_document_is_served_and_may_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    response = ask("/-/openapi.json")
    assert (response.status, response.headers["Content-Type"], response.body) == (
        200,
        "application/json",
        TEXT,
    )
    monkeypatch.setattr(
        "handler.web.endpoints.about._OPENAPI", "missing.json"
    )  # a process reads it once
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
