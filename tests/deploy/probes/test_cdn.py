"""The doctor finds a CDN that checks other links than the service makes, or none. It shows no key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from deploy.probes import cdn, oss, service
from deploy.probes.deployment import CANARY, Deployment
from deploy.probes.findings import Finding
from deploy.probes.keys import document_and_sinks
from signer import CdnKey
from signer.cdn import fault_of
from tests.deploy.deployments import XML, ServerResponse, deployed, faults, readable, serving
from tests.handler.client import KEYS

LINKS = """
region = "cn-hangzhou"
keys   = "oss://examplebucket/.links/keys.json"

[[mount]]
path     = "/videos/"
target   = "oss://examplebucket-videos/videos/"
access   = "anonymous"
endpoint = "{url}"
cdn      = "static"
"""
NOW = 1_444_435_200
KEY = CdnKey("exampleKEYexample1")
DOCUMENT = {"static": {"type": "A", "key": KEY.key, "valid_for": KEY.valid_for}}
MISSING: ServerResponse = (404, {}, XML.format("NoSuchKey"))
DENIED: ServerResponse = (403, {}, XML.format("AccessDenied"))
REFUSED: ServerResponse = (403, {"X-Tengine-Error": "denied by req auth: no url arg auth_key"}, "")
Respond = Callable[[str], ServerResponse]


def checking(key: CdnKey, origin: ServerResponse = MISSING, now: int = NOW) -> Respond:
    """A CDN that checks links with this key."""
    return lambda target: REFUSED if fault_of(key, target, now) else origin


def always(status: int, body: str = "", reason: str = "") -> Respond:
    return lambda target: (status, {"X-Tengine-Error": reason} if reason else {}, body)


@contextmanager
def served(respond: Respond, document: object) -> Iterator[Deployment]:
    """A deployment whose CDN answers so, and whose OSS has a keys document with these CDNs."""

    def answer(method: str, target: str) -> ServerResponse:
        is_document = target.startswith("/examplebucket/.links/keys.json")
        return (
            (200, {"ETag": '"0"'}, json.dumps({"version": 1, "cdn": document}))
            if is_document
            else respond(target)
        )

    with serving(answer) as url:
        yield deployed(url, KEYS, LINKS.format(url=url))


def examined(
    monkeypatch: pytest.MonkeyPatch, respond: Respond, document: object, now: float = NOW
) -> list[Finding]:
    monkeypatch.setattr(cdn, "time", SimpleNamespace(time=lambda: now))
    with served(respond, document) as deployment:
        findings = [
            finding
            for finding in readable(document_and_sinks(deployment))
            if finding.subject == "cdn"
        ]
    assert KEY.key not in str(findings)
    return findings


@pytest.mark.parametrize("skew", [-45, 45])
def test_a_cdn_that_checks_as_the_document_says_is_ok(
    skew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if its clock is off."""
    (finding,) = examined(monkeypatch, checking(KEY, now=NOW + skew), DOCUMENT, NOW + 0.5)
    what = "an unsigned address, a forged link, a new link, an expired link, a link of a minute"
    assert finding.level == "ok"
    assert finding.sentence.endswith(f" judges {what} as it should.")


OFF = "URL signing is off, so the bucket is public: turn it on."
UNCLEAR = "check endpoint in links.toml and the access lists of the domain, and try again."
DOUBTS: dict[str, tuple[Respond, str, str]] = {
    "signing off": (
        always(404, XML.format("NoSuchKey")),
        "fault",
        f" an unsigned address (404 NoSuchKey): {OFF}",
    ),
    "no private origin": (
        lambda target: DENIED,
        "fault",
        f"accepts an unsigned address (403 AccessDenied): {OFF}",
    ),
    "any signature": (
        lambda target: MISSING if "auth_key" in target else REFUSED,
        "fault",
        f"accepts a forged link (404 NoSuchKey): {OFF}",
    ),
    "origin refuses": (
        checking(KEY, DENIED),
        "fault",
        "(AccessDenied): set private-bucket origin.",
    ),
    "referers": (always(403, reason="denied by Referer ACL"), "unknown", UNCLEAR),
    "redirect": (always(301), "unknown", f"did not judge an unsigned address (301): {UNCLEAR}"),
    "broken": (always(502, XML.format("x")), "unknown", UNCLEAR),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_cdn_that_does_not_check_is_a_fault_and_one_that_judges_nothing_is_unknown(
    doubt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    respond, level, words = DOUBTS[doubt]
    (finding,) = examined(monkeypatch, respond, DOCUMENT)
    assert finding.level == level
    assert finding.sentence.startswith("/videos/: ")
    assert finding.sentence.endswith(words)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (
            CdnKey("exampleKEYexample2"),
            "refuses a new link (403): the domain has another type, key or parameter than",
        ),
        (
            KEY._replace(valid_for=1800 + 120),
            "accepts an expired link (404 NoSuchKey): its validity is longer than",
        ),
        (
            KEY._replace(valid_for=1800 - 120),
            "refuses a link of a minute (403): its validity is shorter than",
        ),
    ],
)
def test_a_domain_with_another_setting_is_a_fault(
    domain: CdnKey, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sentence,) = faults(iter(examined(monkeypatch, checking(domain), DOCUMENT)))
    assert words in sentence
    assert sentence.endswith(": make them equal.")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            {"other": {}},
            "cdn static not found in the keys document: run LINK_REGION=cn-hangzhou make keys ARGS=",
        ),
        (
            {"static": {"type": "A", "key": "short"}},
            "keys document: cdn static: Invalid key of a CDN: key must be",
        ),
    ],
)
def test_a_key_that_is_not_there_is_a_fault(
    document: object, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the bucket is public can be seen without a key."""
    missing, unsigned = examined(monkeypatch, checking(KEY), document)
    assert missing.level == "fault"
    assert missing.sentence.startswith(f"/videos/: {words}")
    assert unsigned.sentence.endswith("judges an unsigned address as it should.")


@pytest.mark.parametrize(
    ("cdn_says", "problem", "found"),
    [
        (MISSING, "", [("ok", "the CDN accepts a link."), ("ok", "HEAD works like GET.")]),
        (
            (403, {"Via": "cache1"}, XML.format("AccessDenied")),
            "",
            [("ok", "the CDN accepts a link."), ("unknown", UNCLEAR)],
        ),
        (REFUSED, "", [("fault", ": make them equal.")] * 2),
        (
            MISSING,
            "cdn_key_missing",
            [("fault", "503 cdn_key_missing: check the keys document."), ("fault", " logs.")],
        ),
    ],
)
def test_a_link_of_the_service_is_judged_by_the_cdn_alone(
    cdn_says: ServerResponse, problem: str, found: list[tuple[str, str]]
) -> None:
    """A response to HEAD has no code."""
    asked: list[str] = []

    def answer(target: str) -> ServerResponse:
        asked.append(target)
        if not target.startswith(f"/videos/{CANARY}?format="):
            return cdn_says
        url = deployment.config.mounts[0].endpoint.url("", "videos/a.mp4?auth_key=0")
        body = {"code": problem} if problem else {"url": url}
        headers = {"Content-Type": "application/json", "Location": url}
        return 503 if problem else 302 if "redirect" in target else 200, headers, json.dumps(body)

    with served(answer, {}) as deployment:
        address = deployment.config.mounts[0].endpoint.url("", "").rstrip("/")
        findings = readable(service.canaries(deployment, address, {}))
        assert [finding.level for finding in findings] == [level for level, _ in found]
        assert all(
            finding.sentence.endswith(words)
            for finding, (_, words) in zip(findings, found, strict=True)
        )
        tried = len(asked)
        assert [*oss.mounts(deployment), *service.credentials_headers(deployment, address)] == []
        assert len(asked) == tried  # they are about links that OSS checks
