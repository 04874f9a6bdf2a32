"""CORS: pages of exactly the origins that links.toml names read the JSON routes, and no header comes twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import system
from tests.system import LINKS, MAKER, System

APP = "https://app.example.com"
TOP = f'cors = ["{APP}", "http://localhost:3000"]\n'
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture
def service(tmp_path: Path) -> System:
    return system.service(tmp_path, TOP + LINKS)


@pytest.fixture
def alone(tmp_path: Path) -> System:
    """Where no platform echoes the origin."""
    return system.service(tmp_path, TOP + 'cors_allow_origin = "function"\n' + LINKS)


def cors_headers(headers: dict[str, str]) -> set[str]:
    return {name for name in headers if name.lower().startswith("access-control-")}


@pytest.mark.parametrize(
    "path", ["/-/sign", "/-/shares", "/-/form", "/-/uploads", "/reports/q3.pdf"]
)
def test_a_preflight_is_answered_without_a_key(alone: System, path: str) -> None:
    answer = alone.request(path, "OPTIONS", headers={"Origin": APP, **PREFLIGHT})
    assert (answer.status, answer.body) == (204, "")
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert answer.headers["Access-Control-Allow-Methods"] == answer.headers["Allow"]
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"].split(", ")


def test_a_preflight_names_the_route_s_own_methods(alone: System) -> None:
    for path, methods in {
        "/-/shares": "GET, HEAD, POST, OPTIONS",
        "/-/shares/a": "GET, HEAD, POST, DELETE, OPTIONS",
        "/-/s/q3.pdf": "GET, HEAD, POST, OPTIONS",
    }.items():
        headers = alone.request(path, "OPTIONS", headers={"Origin": APP, **PREFLIGHT}).headers
        assert headers["Access-Control-Allow-Methods"] == methods


def test_an_answer_may_be_read_and_so_may_a_refusal(alone: System) -> None:
    headers = {"Origin": APP, "Accept": "application/json"}
    for answer in (
        alone.request("/-/health", headers=headers),
        alone.request("/reports/q3.pdf", headers=headers),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After, X-Fc-Request-Id"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    redirect = alone.request("/open/a.txt", headers={"Origin": APP})
    assert (redirect.status, cors_headers(redirect.headers)) == (302, set())
    assert alone.request("/reports/q3.pdf", headers=headers, key=MAKER).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://app.example.com:444",
        "https://APP.example.com",
        f"{APP},https://evil.example",
        "null",
        "",
    ],
)
def test_only_the_origins_named_are_let_in(alone: System, origin: str) -> None:
    for method, more in (("OPTIONS", PREFLIGHT), ("GET", {})):
        answer = alone.request("/-/health", method, headers={"Origin": origin, **more})
        assert cors_headers(answer.headers) == set()


def test_the_header_of_function_compute_is_not_repeated(service: System) -> None:
    preflight = service.request("/-/shares", "OPTIONS", headers={"Origin": APP, **PREFLIGHT})
    assert cors_headers(preflight.headers) == {
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Headers",
        "Access-Control-Max-Age",
    }
    answer = service.request("/-/health", headers={"Origin": APP})
    assert cors_headers(answer.headers) == {"Access-Control-Expose-Headers"}


def test_where_no_origin_is_named_there_is_no_cors(tmp_path: Path) -> None:
    answer = system.service(tmp_path).request("/-/health", headers={"Origin": APP})
    assert cors_headers(answer.headers) == set()
