"""The doctor reads the keys document, and says what links.toml needs of it. It shows no secret."""

from __future__ import annotations

import json
import shlex

import pytest

from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from deploy.probes.keys import document_and_sinks
from handler.commands import keys as command_line
from handler.commands import keys_edit
from signer import presign
from tests.deploy.deployments import LINKS, XML, deployed, faults, levels, readable, serving
from tests.handler.client import KEYS

ADDRESS = "oss://examplebucket/.links/keys.json"
COMMAND = f'LINK_REGION=cn-hangzhou make keys ARGS="--keys {ADDRESS} '
WEBHOOK = LINKS.replace('to    = ["manifest"]', 'to    = ["manifest", "ops"]')
SHARES = LINKS.replace(
    'target = "oss://examplebucket/outbox/"',
    'target = "oss://examplebucket/outbox/"\nmax_share = "7d"',
).replace("[[notice]]", '[[notice]]\ngive = "share"')
URL = "https://hooks.example.com/robot/EXAMPLE"
SINK = {"kind": "slack", "url": URL}


def new_document(*, api: bool = True, share: bool = True, **sinks: object) -> keys_edit.Document:
    document = keys_edit.new()
    if api:
        document, _ = keys_edit.add_api_key(document, "ci", ["/in/"], ["PUT"], None)
    if not share:
        document["share"] = []
    document["sinks"] = sinks
    return document


def examined(oss: str, document: object, links: str = LINKS) -> list[Finding]:
    """What the doctor finds once the document, an object or bytes, is stored."""
    deployment = deployed(oss, KEYS, links)
    put(deployment, document if isinstance(document, bytes) else json.dumps(document).encode())
    findings = readable(document_and_sinks(deployment))
    stored = json.dumps(document) if isinstance(document, dict) else ""
    for finding in findings:
        assert URL not in finding.sentence
        assert not any(part in finding.sentence for part in stored.split('"') if len(part) > 30)
    return findings


def put(deployment: Deployment, body: bytes) -> None:
    key, endpoint = ".links/keys.json", deployment.bucket_endpoint("examplebucket")
    link = presign("PUT", "examplebucket", key, credentials=KEYS, endpoint=endpoint, expires_in=60)
    assert deployment.request("PUT", link.url, link.headers, body).status == 200


def test_a_document_with_all_that_links_toml_needs_is_good(oss: str) -> None:
    assert examined(oss, new_document(ops=SINK), WEBHOOK) == [
        Finding(
            "ok", "keys", f"{ADDRESS} is valid (share keys: 1, API keys: 1, issuers: 0, sinks: 1)."
        ),
        Finding("ok", "sinks", "ops is in the keys document."),
    ]


def test_a_document_that_does_not_exist_is_a_fault_with_the_command_that_creates_it(
    oss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing, sinks = readable(document_and_sinks(deployed(oss, KEYS, WEBHOOK)))
    assert missing == Finding(
        "fault",
        "keys",
        f'{ADDRESS} not found: restore your backup, or, if there never was one, create it with {COMMAND}init"',
    )
    assert sinks == Finding(
        "unknown", "sinks", f"Not checked, because {ADDRESS} was not read: ops."
    )
    for name, value in {
        "LINK_REGION": "cn-hangzhou",
        "LINK_OSS_ENDPOINT": oss,
        "OSS_ACCESS_KEY_ID": KEYS.access_key_id,
        "OSS_ACCESS_KEY_SECRET": KEYS.access_key_secret,
        "OSS_SESSION_TOKEN": KEYS.security_token or "",
    }.items():
        monkeypatch.setenv(name, value)
    assert command_line.main(shlex.split(missing.sentence.partition('ARGS="')[2].rstrip('"'))) == 0
    assert ("ok", "keys") in levels(document_and_sinks(deployed(oss, KEYS, LINKS)))


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (b"{", f"{ADDRESS} is invalid: keys document: invalid JSON (line 1, column 2)."),
        ({"version": 2}, f"{ADDRESS} is invalid: keys document: version must be 1"),
    ],
)
def test_a_document_that_is_invalid_is_a_fault(document: object, sentence: str, oss: str) -> None:
    (finding,) = examined(oss, document)
    assert finding.level == "fault"
    assert finding.sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "AccessDenied",
            "GetObject: 403 AccessDenied (a missing permission): allow oss:GetObject on it.",
        ),
        ("SignatureDoesNotMatch", "the secret does not belong to this access key: set it again."),
    ],
)
def test_a_document_that_may_not_be_read_is_unknown(code: str, sentence: str) -> None:
    with serving(lambda method, path: (403, {}, XML.format(code))) as url:
        (finding,) = document_and_sinks(deployed(url, KEYS))
    assert (finding.level, finding.subject) == ("unknown", "keys")
    assert finding.sentence.startswith(f"{ADDRESS}: GetObject: 403 {code}")
    assert finding.sentence.endswith(sentence)


def test_mounts_that_nobody_can_use_are_a_warning(oss: str) -> None:
    _, finding = examined(oss, new_document(api=False))
    assert finding == Finding(
        "warning",
        "keys",
        f"{ADDRESS} has no API key and no issuer for /in/, /outbox/: run "
        f'{COMMAND}add-api-key NAME --path /in/ --method PUT"',
    )


def test_notices_with_shares_but_without_a_share_key_are_a_warning(oss: str) -> None:
    assert levels(iter(examined(oss, new_document(share=False)))) == [("ok", "keys")]
    _, finding = examined(oss, new_document(share=False), SHARES)
    assert finding == Finding(
        "warning",
        "keys",
        f'{ADDRESS} has no share key, which notices with shares require: run {COMMAND}rotate-share"',
    )


def test_a_sink_that_neither_file_has_is_a_fault(oss: str) -> None:
    (sentence,) = faults(iter(examined(oss, new_document(team=SINK), WEBHOOK)))
    assert sentence == (
        f'Sink ops not found in links.toml and the keys document: run {COMMAND}add-sink ops --kind webhook --url -"'
    )


def test_a_sink_that_cannot_be_used_is_a_fault(oss: str) -> None:
    document = new_document(ops={"kind": "slack", "url": URL.replace("https", "http")})
    (sentence,) = faults(iter(examined(oss, document, WEBHOOK)))
    assert sentence.startswith(
        "Invalid sink ops in the keys document: url must begin with https://"
    )
