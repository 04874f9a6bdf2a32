"""A link of the service with one change is refused, with the code that OSS has for it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from tests.e2e.http_clients import curl
from tests.e2e.system import Requires, System, error_code

pytest_plugins = ("tests.e2e.system_fixtures",)

KEY = "exampledir/secret plans.txt"
OTHER_KEY = "exampledir/other plans.txt"
CONTENT = b"private"
NO_MATCH = (403, "SignatureDoesNotMatch")
BAD_PARAMETER = (400, "AuthorizationQueryParametersError")

Query = dict[str, str]
Forge = Callable[[Query], object]


@pytest.fixture
def link(system: System, requires: Requires) -> str:
    """A link of the service for a download."""
    for key in (KEY, OTHER_KEY):
        system.put(key, CONTENT)
    return curl(requires("curl"), system.address(KEY, "download&expires=10m")).headers["location"]


def change(name: str, replace: Callable[[str], str]) -> Forge:
    """Changes the value of a parameter."""

    def forge(query: Query) -> None:
        query[name] = replace(query[name])

    return forge


def remove(name: str) -> Forge:
    """Removes a parameter."""
    return lambda query: query.pop(name)


def add(name: str, value: str) -> Forge:
    """Adds a parameter."""
    return lambda query: query.update({name: value})


def combine(*forges: Forge) -> Forge:
    return lambda query: [forge(query) for forge in forges]


def flipped(string: str) -> str:
    """The string with its last letter or digit changed."""
    stem = string.rstrip("=")
    return stem[:-1] + ("a" if stem[-1] != "a" else "b") + string[len(stem) :]


def in_scope(index: int, value: str) -> Forge:
    """Changes a part of `{id}/{date}/{region}/{product}/aliyun_v4_request`."""

    def replace(credential: str) -> str:
        parts = credential.split("/")
        parts[index] = value
        return "/".join(parts)

    return change("x-oss-credential", replace)


def forged(link: str, forge: Forge) -> str:
    """The link with a change of its query, which is then encoded again."""
    query = dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))
    forge(query)
    return f"{link.partition('?')[0]}?{urlencode(query, quote_via=quote)}"


FORGERIES: dict[str, tuple[Forge, tuple[int, str]]] = {
    "a longer lifetime": (change("x-oss-expires", lambda _: "86400"), NO_MATCH),
    "a lifetime of over seven days": (change("x-oss-expires", lambda _: "604801"), BAD_PARAMETER),
    "no lifetime": (change("x-oss-expires", lambda _: "0"), BAD_PARAMETER),
    "a lifetime that is not a number": (change("x-oss-expires", lambda _: "10m"), BAD_PARAMETER),
    "no expiry": (remove("x-oss-expires"), BAD_PARAMETER),
    "another second": (change("x-oss-date", lambda date: date[:-2] + ("0Z" if date[-2] != "0" else "1Z")), NO_MATCH),
    "another day than the scope's": (change("x-oss-date", lambda date: "2020" + date[4:]), BAD_PARAMETER),
    "a day of the past": (
        combine(change("x-oss-date", lambda _: "20200101T000000Z"), in_scope(1, "20200101")),
        (403, "AccessDenied"),
    ),
    "a day of the future": (
        combine(change("x-oss-date", lambda _: "20990101T000000Z"), in_scope(1, "20990101")),
        (403, "RequestTimeTooSkewed"),
    ),
    "no date": (remove("x-oss-date"), BAD_PARAMETER),
    "another access key": (in_scope(0, "STS.EXAMPLE"), (403, "InvalidAccessKeyId")),
    "another region": (in_scope(2, "cn-beijing"), BAD_PARAMETER),
    "another ending of the scope": (in_scope(4, "aws4_request"), BAD_PARAMETER),
    "no credential": (remove("x-oss-credential"), BAD_PARAMETER),
    "another token": (change("x-oss-security-token", flipped), (403, "InvalidSecurityToken")),
    "a shortened token": (change("x-oss-security-token", lambda token: token[:-9]), (403, "InvalidSecurityToken")),
    "no token": (remove("x-oss-security-token"), (403, "InvalidAccessKeyId")),
    "another version of the signature": (change("x-oss-signature-version", lambda _: "OSS2"), BAD_PARAMETER),
    "no version of the signature": (remove("x-oss-signature-version"), BAD_PARAMETER),
    "another signature": (change("x-oss-signature", flipped), NO_MATCH),
    "a shortened signature": (change("x-oss-signature", lambda string: string[:-1]), NO_MATCH),
    "an empty signature": (change("x-oss-signature", lambda _: ""), BAD_PARAMETER),
    "no signature": (remove("x-oss-signature"), BAD_PARAMETER),
    "an unsigned header in the list": (add("x-oss-additional-headers", "host"), NO_MATCH),
    "an empty list of headers": (add("x-oss-additional-headers", ""), BAD_PARAMETER),
    "another file name": (change("response-content-disposition", lambda _: "inline"), NO_MATCH),
    "no file name": (remove("response-content-disposition"), NO_MATCH),
    "a media type": (add("response-content-type", "text/html"), NO_MATCH),
    "a version": (add("versionId", "null"), NO_MATCH),
    "a sub-resource": (add("acl", ""), NO_MATCH),
    "a parameter that OSS does not know": (add("utm_source", "chat"), NO_MATCH),
}


@pytest.mark.parametrize("part", FORGERIES)
def test_a_query_with_one_change_is_refused(link: str, requires: Requires, part: str) -> None:
    forge, refusal = FORGERIES[part]
    response = curl(requires("curl"), forged(link, forge))
    assert (response.status, error_code(response.body)) == refusal
    assert CONTENT not in response.body


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "DELETE"])
def test_another_method_is_refused(link: str, requires: Requires, method: str) -> None:
    arguments = ("-I",) if method == "HEAD" else ("-X", method, "-d", "forged")
    response = curl(requires("curl"), *arguments, "-H", "Content-Type:", link)
    # The error document of a HEAD is in a header.
    document = base64.b64decode(response.headers["x-oss-err"]) if method == "HEAD" else response.body
    assert (response.status, error_code(document)) == NO_MATCH


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("secret%20plans", "other%20plans"),
        ("secret%20plans", "secret%2520plans"),
        ("/exampledir/", "/exampledir/./../exampledir/"),
        ("/exampledir/", "//exampledir/"),
        ("/examplebucket/", "/otherbucket/"),
    ],
)
def test_another_object_is_refused(link: str, requires: Requires, written: str, instead: str) -> None:
    assert written in link
    response = curl(requires("curl"), "--path-as-is", link.replace(written, instead))
    assert (response.status, error_code(response.body)) == NO_MATCH


def test_a_mismatch_shows_the_canonical_request(system: System, link: str, requires: Requires) -> None:
    response = curl(requires("curl"), link.replace("secret%20plans", "other%20plans"))
    document = response.body.decode()
    assert "<CanonicalRequest>GET\n/examplebucket/exampledir/other%20plans.txt\n" in document
    assert (system.stack.credentials.access_key_secret or "") not in document


def test_a_link_without_a_signature_is_refused(link: str, requires: Requires) -> None:
    response = curl(requires("curl"), link.partition("?")[0])
    assert (response.status, error_code(response.body)) == (403, "AccessDenied")


def test_the_original_link_is_valid_also_when_encoded_again(link: str, requires: Requires) -> None:
    for same in (link, forged(link, combine())):
        response = curl(requires("curl"), same)
        assert (response.status, response.body) == (200, CONTENT)
