"""HSTS: a browser that came to the service's own domain over https does not go there without TLS again."""

from __future__ import annotations

import json

import pytest

from tests.handler.client import LINKS, Answered, event, invoke, make_config
from tests.handler.test_adapters import Row

OWN = "links.example.com"
DEFAULT = "links-abcdefgh.cn-hangzhou.fcapp.run"
UNDER = make_config(f'public_url = "https://{OWN}"\n' + LINKS)
NAME, ONE_YEAR = "Strict-Transport-Security", "max-age=31536000"


def ask(
    domain: object, path: str = "/exampledir/a.txt", method: str = "GET", **headers: str
) -> Answered:
    document = event(
        path, method, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    document["requestContext"]["domainName"] = domain
    return invoke(json.dumps(document), config=UNDER)


@pytest.mark.parametrize(
    ("path", "method", "accept", "status"),
    [
        ("/exampledir/a.txt", "GET", "*/*", 302),
        ("/exampledir/a.txt", "GET", "application/json", 200),
        ("/exampledir/a.txt", "OPTIONS", "*/*", 204),
        ("/exampledir/%ff", "GET", "*/*", 400),
        ("/nothing", "GET", "text/html", 404),
        ("/-/health", "HEAD", "*/*", 200),
    ],
)
def test_every_response_of_an_own_domain_asks_for_tls(
    path: str, method: str, accept: str, status: int
) -> None:
    response = ask(OWN, path, method, Accept=accept)
    assert response.status == status
    assert response.headers[NAME] == ONE_YEAR


def test_a_domain_is_the_same_in_capitals_and_with_the_port_of_https_and_no_other_asks_for_it() -> (
    None
):
    for domain in ("Links.Example.com", f"{OWN}:443"):
        assert NAME in ask(domain).headers
    for other in (DEFAULT, f"www.{OWN}", f"{OWN}.evil.example"):
        assert NAME not in ask(other, Host=OWN).headers
    for none in ("", None, 7):
        assert NAME not in ask(none).headers


def test_a_request_that_came_without_tls_is_not_answered_with_it() -> None:
    """RFC 6797 §7.2 forbids it; browsers ignore it there."""
    assert NAME not in ask(OWN, X_Forwarded_Proto="http").headers
    assert NAME in ask(OWN, X_Forwarded_Proto="https").headers
    assert NAME in ask(OWN, X_Forwarded_Proto="https, http").headers


@pytest.mark.parametrize("public_url", ["", 'public_url = "http://127.0.0.1:8000"\n'])
def test_a_service_without_an_https_address_does_not(public_url: str) -> None:
    for domain in (DEFAULT, OWN, "127.0.0.1:8000", ""):
        document = event()
        document["requestContext"]["domainName"] = domain
        assert (
            NAME not in invoke(json.dumps(document), config=make_config(public_url + LINKS)).headers
        )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (OWN, ONE_YEAR),
        ("LINKS.example.com", ONE_YEAR),
        (DEFAULT, None),
        ("127.0.0.1:9000", None),
        (None, None),
    ],
)
def test_a_custom_runtime_learns_the_domain_from_the_host_header_alone(
    host: str | None, expected: str | None
) -> None:
    headers = {} if host is None else {"Host": host}
    response = Row("/-/health", headers=headers).asgi(config=UNDER)
    assert response.status == 200
    assert response.headers.get(NAME) == expected
