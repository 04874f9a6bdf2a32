"""A link of the service with one part altered is refused, with the code that OSS has for that part."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from tests.e2e.programs import curl
from tests.e2e.system import Requires, System, code

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
    """What the service answers to somebody who downloads."""
    for key in (KEY, OTHER_KEY):
        system.put(key, CONTENT)
    return curl(requires("curl"), system.address(KEY, "download&expires=10m")).headers["location"]


def put(name: str, change: Callable[[str], str]) -> Forge:
    """Changes the value of a parameter."""

    def forge(query: Query) -> None:
        query[name] = change(query[name])

    return forge


def drop(name: str) -> Forge:
    """Takes a parameter away."""
    return lambda query: query.pop(name)


def add(name: str, value: str) -> Forge:
    """Adds a parameter."""
    return lambda query: query.update({name: value})


def both(*forges: Forge) -> Forge:
    return lambda query: [forge(query) for forge in forges]


def flipped(text: str) -> str:
    """The text with its last letter or digit changed."""
    stem = text.rstrip("=")
    return stem[:-1] + ("a" if stem[-1] != "a" else "b") + text[len(stem) :]


def in_scope(place: int, value: str) -> Forge:
    """Changes a part of `{id}/{date}/{region}/{product}/aliyun_v4_request`."""

    def change(credential: str) -> str:
        parts = credential.split("/")
        parts[place] = value
        return "/".join(parts)

    return put("x-oss-credential", change)


def forged(link: str, forge: Forge) -> str:
    """The link with its query altered, and encoded anew."""
    query = dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))
    forge(query)
    return f"{link.partition('?')[0]}?{urlencode(query, quote_via=quote)}"


FORGERIES: dict[str, tuple[Forge, tuple[int, str]]] = {
    "a longer life": (put("x-oss-expires", lambda _: "86400"), NO_MATCH),
    "a life of over seven days": (put("x-oss-expires", lambda _: "604801"), BAD_PARAMETER),
    "no life": (put("x-oss-expires", lambda _: "0"), BAD_PARAMETER),
    "a life that is no number": (put("x-oss-expires", lambda _: "10m"), BAD_PARAMETER),
    "no expiry": (drop("x-oss-expires"), BAD_PARAMETER),
    "another second": (put("x-oss-date", lambda date: date[:-2] + ("0Z" if date[-2] != "0" else "1Z")), NO_MATCH),
    "another day than the scope's": (put("x-oss-date", lambda date: "2020" + date[4:]), BAD_PARAMETER),
    "a day of the past": (
        both(put("x-oss-date", lambda _: "20200101T000000Z"), in_scope(1, "20200101")),
        (403, "AccessDenied"),
    ),
    "a day of the future": (
        both(put("x-oss-date", lambda _: "20990101T000000Z"), in_scope(1, "20990101")),
        (403, "RequestTimeTooSkewed"),
    ),
    "no date": (drop("x-oss-date"), BAD_PARAMETER),
    "another access key": (in_scope(0, "STS.EXAMPLE"), (403, "InvalidAccessKeyId")),
    "another region": (in_scope(2, "cn-beijing"), BAD_PARAMETER),
    "another ending of the scope": (in_scope(4, "aws4_request"), BAD_PARAMETER),
    "no credential": (drop("x-oss-credential"), BAD_PARAMETER),
    "another token": (put("x-oss-security-token", flipped), (403, "InvalidSecurityToken")),
    "a token cut short": (put("x-oss-security-token", lambda token: token[:-9]), (403, "InvalidSecurityToken")),
    "no token": (drop("x-oss-security-token"), (403, "InvalidAccessKeyId")),
    "another version of the signature": (put("x-oss-signature-version", lambda _: "OSS2"), BAD_PARAMETER),
    "no version of the signature": (drop("x-oss-signature-version"), BAD_PARAMETER),
    "another signature": (put("x-oss-signature", flipped), NO_MATCH),
    "a signature cut short": (put("x-oss-signature", lambda text: text[:-1]), NO_MATCH),
    "an empty signature": (put("x-oss-signature", lambda _: ""), BAD_PARAMETER),
    "no signature": (drop("x-oss-signature"), BAD_PARAMETER),
    "a header to be signed that was not": (add("x-oss-additional-headers", "host"), NO_MATCH),
    "an empty list of headers": (add("x-oss-additional-headers", ""), BAD_PARAMETER),
    "another file name": (put("response-content-disposition", lambda _: "inline"), NO_MATCH),
    "no file name": (drop("response-content-disposition"), NO_MATCH),
    "a media type": (add("response-content-type", "text/html"), NO_MATCH),
    "a version": (add("versionId", "null"), NO_MATCH),
    "a sub-resource": (add("acl", ""), NO_MATCH),
    "a parameter that OSS does not know": (add("utm_source", "chat"), NO_MATCH),
}


@pytest.mark.parametrize("part", FORGERIES)
def test_a_query_with_one_part_altered_is_refused(link: str, requires: Requires, part: str) -> None:
    forge, refusal = FORGERIES[part]
    answer = curl(requires("curl"), forged(link, forge))
    assert (answer.status, code(answer.body)) == refusal
    assert CONTENT not in answer.body


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "DELETE"])
def test_another_method_is_refused(link: str, requires: Requires, method: str) -> None:
    arguments = ("-I",) if method == "HEAD" else ("-X", method, "-d", "forged")
    answer = curl(requires("curl"), *arguments, "-H", "Content-Type:", link)
    # A refused HEAD has its document in a header.
    document = base64.b64decode(answer.headers["x-oss-err"]) if method == "HEAD" else answer.body
    assert (answer.status, code(document)) == NO_MATCH


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
    answer = curl(requires("curl"), "--path-as-is", link.replace(written, instead))
    assert (answer.status, code(answer.body)) == NO_MATCH


def test_a_mismatch_shows_what_should_have_been_signed(system: System, link: str, requires: Requires) -> None:
    answer = curl(requires("curl"), link.replace("secret%20plans", "other%20plans"))
    document = answer.body.decode()
    assert "<CanonicalRequest>GET\n/examplebucket/exampledir/other%20plans.txt\n" in document
    assert (system.stack.credentials.access_key_secret or "") not in document


def test_without_a_signature_nothing_is_to_be_had(link: str, requires: Requires) -> None:
    answer = curl(requires("curl"), link.partition("?")[0])
    assert (answer.status, code(answer.body)) == (403, "AccessDenied")


def test_the_link_as_it_was_given_is_good_also_encoded_anew(link: str, requires: Requires) -> None:
    for same in (link, forged(link, both())):
        answer = curl(requires("curl"), same)
        assert (answer.status, answer.body) == (200, CONTENT)
