"""A share opens only what it was created for; a token with one character changed opens nothing."""

from __future__ import annotations

import hashlib
import json
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import Signer

from handler.core import shares
from handler.core.config import Location, Mounts
from handler.core.context import Invocation
from handler.core.errors import Problem
from handler.core.keys import current
from handler.core.shares import record as records
from signer import verify
from tests.handler.client import KEYS, NOW
from tests.handler.share_fixtures import MAKER, ShareService, path, share_service, share_service_with_oss, token

ALPHABET = string.ascii_letters + string.digits + "-_"


@pytest.fixture(scope="module")
def module_service(tmp_path_factory: pytest.TempPathFactory) -> ShareService:
    return share_service(tmp_path_factory.mktemp("lasting"))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShareService]:
    monkeypatch.setattr(records, "token_urlsafe", lambda size: "aB3_-zZ90qQw")
    with share_service_with_oss(tmp_path) as running:
        yield running


def refusal(
    service: ShareService, share: str, path: str = "/reports/q3.pdf", now: float = NOW
) -> tuple[int, str] | None:
    """The status and code with which a token is refused at a path, None for a valid one."""
    target = service.config.mounts.get(path)
    assert target is not None
    try:
        shares.read(share, target, current.current_keys(Invocation(service.instance, None, NOW, {})), now)
    except Problem as problem:
        return problem.status, problem.code
    return None


def neighbours(share: str) -> Iterator[str]:
    """Every token that differs in one character: replaced by any other, removed, doubled, swapped with the next."""
    for position, character in enumerate(share):
        before, after = share[:position], share[position + 1 :]
        yield from (before + other + after for other in ALPHABET if other != character)
        yield before + after
        yield before + character + character + after
        if after and after[0] != character:
            yield before + after[0] + character + after[1:]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"expires": "90d", "page": True},
        {"download": ""},
        {"download": "季度 q3.pdf"},
        {"max_uses": 1},
        {"revocable": True, "download": "q3.pdf", "page": True},
    ],
)
def test_a_token_with_one_character_changed_is_a_404(service: ShareService, params: dict[str, Any]) -> None:
    share = token(service.create_share(**params))
    assert refusal(service, share) is None
    checked = 0
    for forged in neighbours(share):
        assert refusal(service, forged) == (404, "share_invalid"), forged
        checked += 1
    assert checked > len(share) * len(ALPHABET)


@pytest.mark.parametrize(
    "share",
    [
        *("", "x", "null", "A" * 63, "A" * 75, "_" * 63, "A" * 1200, "A" * 5000, "é" * 63, "A" * 62 + "="),
        *("A" * 62 + "\n", "{0}=", "{0}==", " {0}", "{0} ", "{0}\n", "{0},{0}", "{0}&", "{0}%00", "{0}."),
    ],
)
def test_an_invalid_token_is_a_404(plain: ShareService, share: str) -> None:
    url = plain.create_share()
    response = plain.open(url, share=share.format(token(url)))
    assert (response.status, response.code) == (404, "share_invalid")


@given(share=st.text(ALPHABET, min_size=63, max_size=124))
@settings(max_examples=200, deadline=None)
def test_invented_tokens_open_and_break_nothing(module_service: ShareService, share: str) -> None:
    refused = refusal(module_service, share)
    # Anyone can invent a token that looks as if a retired key signed it, and gains nothing.
    assert refused in {(404, "share_invalid"), (410, "share_retired")}


@pytest.mark.parametrize(
    "other",
    [
        "/reports/q4.pdf",
        "/reports/q3.pdf2",
        "/reports/q3.pd",
        "/reports/Q3.pdf",
        "/reports/2026/q3.pdf",
        "/reports/q3.pdf/",
        "/reports/q3%252Epdf",
        "/checked/q3.pdf",
        "/open/q3.pdf",
        "/nowhere/q3.pdf",
        "/reports/",
    ],
)
def test_a_share_opens_no_other_path(plain: ShareService, other: str) -> None:
    share = token(plain.create_share())
    response = plain.request(other, query={"share": share})
    assert (response.status, response.code) == (404, "share_invalid")


def test_a_share_opens_its_path_in_every_percent_encoding(plain: ShareService) -> None:
    share = token(plain.create_share())
    assert plain.request("/reports/%71%33%2Epdf", query={"share": share}).status == 302


def test_a_share_is_only_for_its_method(plain: ShareService) -> None:
    """A share for downloads cannot become one for uploads: its options and its method are signed."""
    both = plain.with_mount("/reports/", methods=("GET", "POST"), max_size=1000)
    share = token(both.create_share())
    claims = bytearray(urlsafe_b64decode(share[:20]))
    claims[4] |= 1
    claims[13:] = shares._check(bytes(claims[:13]), "", share[20:])
    assert refusal(both, urlsafe_b64encode(claims).decode() + share[20:]) == (404, "share_invalid")
    response = both.open(both.create_share(), "POST")
    assert response.status == 303
    assert verify("GET", response.headers["Location"], credentials=KEYS, now=NOW).ok


def test_a_share_opens_nothing_if_the_target_of_its_mount_changes(plain: ShareService) -> None:
    url = plain.create_share()
    moved = plain.with_mount("/reports/", target=Location("examplebucket", "secrets/"))
    assert (moved.open(url).status, moved.open(url).code) == (404, "share_invalid")
    elsewhere = plain.with_mount("/reports/", target=Location("otherbucket", "reports/"))
    assert elsewhere.open(url).status == 404


def test_a_share_opens_nothing_if_a_longer_mount_covers_its_path(plain: ShareService) -> None:
    url = plain.create_share(path="/reports/2026/q3.pdf")
    reports = next(mount for mount in plain.config.mounts if mount.path == "/reports/")
    # Now the address leads to reports/q3.pdf, which is not shared.
    mounts = [reports._replace(path="/reports/2026/"), *plain.config.mounts]
    shadowed = plain.with_config(mounts=Mounts(mounts, plain.config.mounts.reserved))
    assert (shadowed.open(url).status, shadowed.open(url).code) == (404, "share_invalid")


def test_a_share_of_an_object_that_is_now_reserved_opens_nothing(plain: ShareService) -> None:
    url = plain.create_share()
    reserved = Mounts(plain.config.mounts, (Location("examplebucket", "reports/"),))
    response = plain.with_config(mounts=reserved).open(url)
    assert (response.status, response.code) == (404, "share_invalid")


def test_a_record_of_another_path_opens_nothing(service: ShareService) -> None:
    first, other = (
        service.request_share(revocable=True).json,
        service.request_share(path="/reports/q4.pdf", revocable=True).json,
    )
    stored = service.stored(f".links/state/shares/{other['id']}.json")
    assert stored is not None
    service.put(f".links/state/shares/{first['id']}.json", stored)
    assert service.open(first["url"]).status == 404


@pytest.mark.parametrize("option", [32, 64, 128])
def test_a_token_with_a_reserved_option_opens_nothing(
    plain: ShareService, option: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is signed by a later version of the service."""
    with monkeypatch.context() as later:
        later.setattr(shares, "_PAGE", option)
        share = token(plain.create_share(page=True))
    assert urlsafe_b64decode(share[:20])[4] == option
    assert refusal(plain, share) == (404, "share_invalid")


def test_a_signature_with_another_salt_is_refused(plain: ShareService) -> None:
    share = token(plain.create_share())
    claims = urlsafe_b64decode(share[:20])[:13]
    [*_, newest] = current.current_keys(Invocation(plain.instance, None, NOW, {})).share
    signed = ("share", "GET", "/reports/q3.pdf", "/reports/", "oss://examplebucket/reports/", claims.hex(), "")
    message = "\n".join(signed)
    for salt in (b"itsdangerous.Signer", b"fc-presign.upload.v1"):
        signer = Signer(newest.secret, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        signature = signer.get_signature(message.encode()).decode()
        check = hashlib.sha256(claims + signature.encode()).digest()[:2]
        forged = urlsafe_b64encode(claims + check).decode() + signature
        assert len(forged) == len(share)
        assert refusal(plain, forged) == (404, "share_invalid")


def test_only_share_and_format_are_read(plain: ShareService) -> None:
    url = plain.create_share(path="/open/a.txt")
    decorated: Any = {
        "expires": "1",
        "download": "evil.html",
        "versionId": "CAEQ",
        "response-content-type": "text/html",
        "response-content-disposition": "inline",
        "x-oss-process": "style/x",
        "x-oss-traffic-limit": "nonsense",
        "utm_source": "chat",
        "null": "",
    }
    response = plain.open(url, **decorated)
    assert (response.query, response.expires_in) == ({}, 900)
    assert plain.open(url, "POST", **decorated).headers["Location"] == response.url
    chosen = plain.open(plain.create_share(download="q3 final.pdf"), **decorated)
    assert chosen.query == {
        "response-content-disposition": "attachment; filename=\"q3 final.pdf\"; filename*=UTF-8''q3%20final.pdf"
    }


def test_an_invalid_format_is_reported_only_for_a_valid_share(plain: ShareService) -> None:
    url = plain.create_share()
    assert (plain.open(url, format="xml").status, plain.open(url, format="xml").code) == (400, "bad_format")
    assert plain.open(url + "x", format="xml").status == 404


def test_an_invalid_share_is_the_same_404_on_every_path(plain: ShareService) -> None:
    """An invalid share does not show whether a mount exists, or of which kind it is."""
    responses = [
        plain.request(f"/{mount}/a.txt", query={"share": "A" * 63}).json
        for mount in ("reports", "open", "unshared", "nowhere")
    ]
    assert responses == [responses[0]] * 4


def test_without_a_keys_document_a_share_is_a_404(plain: ShareService) -> None:
    keyless = plain.with_config(keys_document=None).with_mount("/open/", max_share=None)
    response = keyless.request("/open/a.txt", query={"share": "1"})
    assert (response.status, response.code) == (404, "share_invalid")


def test_a_large_body_is_refused(plain: ShareService) -> None:
    assert json.loads(plain.open(plain.create_share(), "POST", body="nonce=" + "a" * 5000).body)["code"] == "bad_nonce"


def test_special_characters_in_the_address_are_quoted(plain: ShareService) -> None:
    name = "/reports/a b+c&d=e;f?.pdf"
    url = plain.create_share(path=name)
    assert path(url) == name
    assert quote(name) in url
    assert plain.open(url).key == name[1:]


def test_the_key_of_the_maker_does_not_open_more(plain: ShareService) -> None:
    """An API key with a share changes only the format of the response."""
    url = plain.create_share()
    response = plain.open(url, key=MAKER)
    assert (response.status, response.json["clamped_by"]) == (200, None)
    assert response.signs()
    assert plain.open(url, key=MAKER, format="redirect").status == 302
    assert plain.open(url, "POST", key=MAKER).status == 200
    unknown = plain.open(url, key="fcp_nobody_EXAMPLE_0000000000000000")
    assert (unknown.status, unknown.code) == (401, "unknown_credential")
