"""The OpenAPI document, held against the code: its routes, what each allows, and every problem's code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handler.endpoints import ROUTES
from tests.handler.client import ask
from tests.handler.upload_fixtures import WRITER, Uploads, uploads

HANDLER = Path(__file__).parents[3] / "handler"
API = HANDLER.parent / "docs" / "api.md"
TEXT = (HANDLER / "openapi.json").read_text("utf-8")
DOCUMENT: dict[str, Any] = json.loads(TEXT)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
VERBS = ("get", "head", "put", "post", "delete", "options", "patch", "trace")
OWN = [path for path in DOCUMENT["paths"] if path.startswith("/-/")]
# Functions that make a problem of a code that they are given, and where the code stands.
MAKERS = {"Problem": 1, "gone": 0, "_refused": 0}
STATUSES = {"gone": 410, "_refused": 401}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Uploads:
    return uploads(tmp_path_factory.mktemp("plain"))


def methods(path: str) -> list[str]:
    """The methods of a path, as the document has them."""
    return [verb.upper() for verb in VERBS if verb in DOCUMENT["paths"][path]]


def raised() -> Iterator[tuple[int, str]]:
    """The status and the code of every problem that the handler's source makes."""
    for file in sorted(HANDLER.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        makers = {
            id(call)
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef) and function.name in MAKERS
            for call in ast.walk(function)
        }
        for call in ast.walk(tree):
            name = getattr(call.func, "attr", getattr(call.func, "id", "")) if isinstance(call, ast.Call) else ""
            if not isinstance(call, ast.Call) or name not in MAKERS or id(call) in makers:
                continue
            code = call.args[MAKERS[name]]
            assert isinstance(code, ast.Constant), f"{file.name}:{call.lineno}"
            status = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
            found = (STATUSES.get(name, status), code.value)
            assert isinstance(found[0], int), f"{file.name}:{call.lineno}"
            assert isinstance(found[1], str)
            yield found[0], found[1]


def resolved(schema: Any) -> Any:
    """A schema that finds the document's components."""
    return {**schema, "components": DOCUMENT["components"]}


def test_every_code_that_is_raised_is_in_the_document_and_no_other() -> None:
    codes = {code for _, code in raised()}
    assert {"not_found", "share_ended", "malformed_credential", "internal_error"} <= codes
    assert set(SCHEMAS["Problem"]["properties"]["code"]["enum"]) == codes


def test_every_code_has_a_row_of_the_docs_with_its_status() -> None:
    rows = re.findall(r"^\| ([0-9]{3}) \| `([a-z0-9_]+)` \| .+ \|$", API.read_text("utf-8"), re.MULTILINE)
    assert sorted(code for _, code in rows) == sorted({code for _, code in raised()})
    assert {(int(status), code) for status, code in rows} <= set(raised())


def test_every_route_is_in_the_document() -> None:
    assert set(OWN) == set(ROUTES)
    assert set(DOCUMENT["paths"]) - set(OWN) == {"/{path}"}


@pytest.mark.parametrize("path", OWN)
def test_allow_is_what_the_document_says(plain: Uploads, path: str) -> None:
    address = path.replace("{id}", "an-id")
    offered = methods(path)
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "TRACE", "OPTIONS"):
        answer = plain.ask(address, method, key=WRITER)
        if method not in offered or method == "OPTIONS":
            assert answer.status == (204 if method == "OPTIONS" else 405)
            allowed = answer.headers["Allow"]
            assert sorted(allowed.split(", ")) == sorted(offered)
            schema = DOCUMENT["paths"][path]["options"]["responses"]["204"]["headers"]["Allow"]["schema"]
            assert allowed == schema["const"]
        else:
            assert answer.status != 405


def test_an_object_s_path_allows_what_its_mount_does_and_a_share_everything(plain: Uploads) -> None:
    share = plain.post("/-/shares", {"path": "/both/a"}, WRITER).json["url"].partition("share=")[2]
    known = DOCUMENT["paths"]["/{path}"]["options"]["responses"]["204"]["headers"]["Allow"]["schema"]["enum"]
    with_share = plain.ask("/both/a", "OPTIONS", {"share": share}).headers["Allow"]
    assert sorted(with_share.split(", ")) == sorted(methods("/{path}"))
    assert with_share in known
    for given in (("GET", "HEAD"), ("GET",), ("HEAD",), ("PUT",)):
        mounted = plain.having_mount("/both/", methods=given)
        for method in ("OPTIONS", "POST", "DELETE"):
            allowed = mounted.ask("/both/a", method).headers["Allow"]
            assert allowed in known
            assert allowed.split(", ") == [*(name for name in given if name != "PUT"), "OPTIONS"]


def test_the_document_is_what_is_served() -> None:
    answer = ask("/-/openapi.json")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/json", TEXT)
    assert ask("/-/openapi.json", "HEAD").body == ""


def test_it_is_openapi_3_1_whose_references_all_lead_somewhere() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                found: Any = DOCUMENT
                for name in value["$ref"].removeprefix("#/").split("/"):
                    found = found[name]
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(DOCUMENT)
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(resolved(schema))
    operations = [item[verb] for item in DOCUMENT["paths"].values() for verb in VERBS if verb in item]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"].endswith(".") for operation in operations)


@pytest.mark.parametrize(
    ("route", "wish", "key"),
    [
        ("/-/sign", {"links": [{"path": "/both/a"}, {"path": "/in/a", "method": "PUT", "size": 5}, 7, {}]}, None),
        ("/-/form", {"path": "/in/", "content_type": "image/", "expires": "5m"}, None),
        ("/-/shares", {"path": "/both/a", "expires": "1d", "page": True}, WRITER),
        ("/-/sign", {"link": []}, None),
        ("/-/shares", {"path": "/both/a"}, None),
    ],
)
def test_what_is_asked_and_answered_has_the_document_s_shape(
    plain: Uploads, route: str, wish: dict[str, object], key: str | None
) -> None:
    answer = plain.post(route, wish, key)
    operation = DOCUMENT["paths"][route]["post"]
    if answer.status >= 400:
        schema: Any = SCHEMAS["Problem"]
    else:
        jsonschema.validate(wish, resolved(operation["requestBody"]["content"]["application/json"]["schema"]))
        schema = operation["responses"][str(answer.status)]["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json, resolved(schema))
