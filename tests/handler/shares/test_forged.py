"""A share opens what it was made for, and nothing that differs from that in one character."""

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

from handler import shares, state
from handler.config import Location
from handler.context import Invocation
from handler.endpoints import shares as share_requests
from handler.errors import Problem
from handler.keys import cache
from signer import verify
from tests.handler.client import KEYS, NOW
from tests.handler.share_fixtures import MAKER, World, path, token, world, world_with_oss

ALPHABET = string.ascii_letters + string.digits + "-_"


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return world(tmp_path)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world(tmp_path_factory.mktemp("lasting"))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(state, "_probed", {})
    monkeypatch.setattr(share_requests, "token_urlsafe", lambda size: "aB3_-zZ90qQw")
    with world_with_oss(tmp_path) as found:
        yield found


def refusal(found: World, share: str, at: str = "/reports/q3.pdf", now: float = NOW) -> tuple[int, str] | None:
    """How a token is refused at a path, None for one that is good."""
    mount = found.policy.mount(at)
    assert mount is not None
    try:
        shares.read(share, mount, at, cache.current_keys(Invocation(found.policy, None, NOW, {})), now)
    except Problem as problem:
        return problem.status, problem.code
    return None


def neighbours(share: str) -> Iterator[str]:
    """Every token that differs in one character: changed to any other, left out, doubled, swapped with the next."""
    for at, character in enumerate(share):
        before, after = share[:at], share[at + 1 :]
        yield from (before + other + after for other in ALPHABET if other != character)
        yield before + after
        yield before + character + character + after
        if after and after[0] != character:
            yield before + after[0] + character + after[1:]


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"expires": "90d", "page": True},
        {"download": ""},
        {"download": "季度 q3.pdf"},
        {"max_uses": 1},
        {"revocable": True, "download": "q3.pdf", "page": True},
    ],
)
def test_every_character_altered_in_turn_is_a_404(kept: World, wish: dict[str, Any]) -> None:
    share = token(kept.share(**wish))
    assert refusal(kept, share) is None
    looked_at = 0
    for forged in neighbours(share):
        assert refusal(kept, forged) == (404, "share_invalid"), forged
        looked_at += 1
    assert looked_at > len(share) * len(ALPHABET)


@pytest.mark.parametrize("wish", [{}, {"max_uses": 1}, {"download": "q3 final.pdf"}])
def test_so_says_the_function_itself(kept: World, wish: dict[str, Any]) -> None:
    kept.put("reports/q3.pdf")
    url = kept.share(**wish)
    share = token(url)
    assert kept.open(url).status in (200, 302)
    for at, character in enumerate(share):
        forged = share[:at] + ("A" if character != "A" else "B") + share[at + 1 :]
        for method in ("GET", "POST"):
            answer = kept.open(url, method, share=forged)
            assert (answer.status, answer.code) == (404, "share_invalid")


@pytest.mark.parametrize(
    "share",
    ["", "x", "null", "A" * 59, "A" * 71, "_" * 59, "A" * 1200, "A" * 5000, "é" * 59, "A" * 58 + "=", "A" * 58 + "\n"],
)
def test_what_is_no_token_is_a_404(plain: World, share: str) -> None:
    answer = plain.open(plain.share(), share=share)
    assert (answer.status, answer.code) == (404, "share_invalid")


@pytest.mark.parametrize("change", ["{}=", "{}==", " {}", "{} ", "{}\n", "{},{}", "{}&", "{}%00", "{}."])
def test_a_token_with_something_around_it_is_a_404(plain: World, change: str) -> None:
    url = plain.share()
    assert plain.open(url, share=change.format(token(url), token(url))).status == 404


@given(share=st.text(ALPHABET, min_size=59, max_size=120))
@settings(max_examples=200, deadline=None)
def test_no_made_up_token_opens_or_breaks_anything(lasting: World, share: str) -> None:
    refused = refusal(lasting, share)
    # Whoever knows how a token is made can have it pass for one that a retired key signed, and gains nothing.
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
def test_a_share_opens_no_other_path(plain: World, other: str) -> None:
    share = token(plain.share())
    answer = plain.ask(other, query={"share": share})
    assert (answer.status, answer.code) == (404, "share_invalid")


def test_it_opens_its_path_however_that_is_percent_encoded(plain: World) -> None:
    share = token(plain.share())
    assert plain.ask("/reports/%71%33%2Epdf", query={"share": share}).status == 302


def test_a_share_is_for_its_method(plain: World) -> None:
    """One for a download is no upload: not by its options, and the signature is of the method, too."""
    both = plain.having_mount("/reports/", methods=("GET", "HEAD", "POST"), max_size=1000)
    share = token(both.share())
    claims = bytearray(urlsafe_b64decode(share[:16]))
    claims[4] |= 1
    claims[10:] = shares._check(bytes(claims[:10]), "", share[16:])
    assert refusal(both, urlsafe_b64encode(claims).decode() + share[16:]) == (404, "share_invalid")
    answer = both.open(both.share(), "POST")
    assert answer.status == 303
    assert verify("GET", answer.headers["Location"], credentials=KEYS, now=NOW).ok


def test_a_mount_that_stands_for_something_else_now_opens_nothing(plain: World) -> None:
    url = plain.share()
    moved = plain.having_mount("/reports/", target=Location("examplebucket", "secrets/"))
    assert (moved.open(url).status, moved.open(url).code) == (404, "share_invalid")
    elsewhere = plain.having_mount("/reports/", target=Location("otherbucket", "reports/"))
    assert elsewhere.open(url).status == 404


def test_a_longer_mount_with_the_same_target_opens_nothing_else(plain: World) -> None:
    url = plain.share(path="/reports/2026/q3.pdf")
    reports = next(mount for mount in plain.policy.mounts if mount.path == "/reports/")
    # Now the address stands for reports/q3.pdf, which nobody shared.
    shadowed = plain.having(mounts=(reports._replace(path="/reports/2026/"), *plain.policy.mounts))
    assert (shadowed.open(url).status, shadowed.open(url).code) == (404, "share_invalid")


def test_a_mount_that_takes_no_shares_any_more_opens_none(plain: World) -> None:
    url = plain.share()
    for changes in ({"max_share": None}, {"methods": ("PUT",)}):
        answer = plain.having_mount("/reports/", **changes).open(url)
        assert (answer.status, answer.code) == (410, "share_not_offered")


def test_an_object_that_became_the_service_s_own_is_not_opened(plain: World) -> None:
    url = plain.share()
    answer = plain.having(reserved=(Location("examplebucket", "reports/"),)).open(url)
    assert (answer.status, answer.code) == (404, "share_invalid")


def test_a_record_of_another_path_opens_nothing(kept: World) -> None:
    made, other = kept.ask_share(revocable=True).json, kept.ask_share(path="/reports/q4.pdf", revocable=True).json
    stored = kept.stored(f"shares/{other['id']}.json")
    assert stored is not None
    kept.put(f".links/state/shares/{made['id']}.json", stored)
    assert kept.open(made["url"]).status == 404


def test_a_signature_by_the_right_key_for_another_use_of_it_is_none(plain: World) -> None:
    """Without the salt, or with the salt of something else."""
    share = token(plain.share())
    claims = urlsafe_b64decode(share[:16])[:10]
    [*_, newest] = cache.current_keys(Invocation(plain.policy, None, NOW, {})).share
    signed = ("share", "GET", "/reports/q3.pdf", "/reports/", "oss://examplebucket/reports/", claims.hex(), "")
    message = "\n".join(signed)
    for salt in (b"itsdangerous.Signer", b"fc-presign.upload.v1"):
        signer = Signer(newest.secret, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        signature = signer.get_signature(message.encode()).decode()
        check = hashlib.sha256(claims + signature.encode()).digest()[:2]
        forged = urlsafe_b64encode(claims + check).decode() + signature
        assert len(forged) == len(share)
        assert refusal(plain, forged) == (404, "share_invalid")


def test_only_share_and_format_are_read(plain: World) -> None:
    url = plain.share(path="/open/a.txt")
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
    answer = plain.open(url, **decorated)
    assert (answer.query, answer.expires_in) == ({}, 900)
    assert plain.open(url, "POST", **decorated).headers["Location"] == answer.url
    chosen = plain.open(plain.share(download="q3 final.pdf"), **decorated)
    assert chosen.query == {
        "response-content-disposition": "attachment; filename=\"q3 final.pdf\"; filename*=UTF-8''q3%20final.pdf"
    }


def test_a_bad_format_is_said_only_to_the_holder_of_a_share(plain: World) -> None:
    url = plain.share()
    assert (plain.open(url, format="xml").status, plain.open(url, format="xml").code) == (400, "bad_format")
    assert plain.open(url + "x", format="xml").status == 404


def test_a_share_anywhere_is_the_same_404(plain: World) -> None:
    """Whether a mount is there, and of which kind, a made-up share does not tell."""
    answers = [
        plain.ask(f"/{mount}/a.txt", query={"share": "A" * 59}).json
        for mount in ("reports", "open", "unshared", "nowhere")
    ]
    assert answers == [answers[0]] * 4


def test_where_no_share_was_ever_made_no_keys_are_missed(plain: World) -> None:
    keyless = plain.having(keys=None).having_mount("/open/", max_share=None)
    answer = keyless.ask("/open/a.txt", query={"share": "1"})
    assert (answer.status, answer.code) == (404, "share_invalid")


def test_a_share_s_body_is_as_small_as_a_form(plain: World) -> None:
    assert json.loads(plain.open(plain.share(), "POST", body="nonce=" + "a" * 5000).body)["code"] == "bad_nonce"


def test_the_address_may_be_quoted_whole(plain: World) -> None:
    name = "/reports/a b+c&d=e;f?.pdf"
    url = plain.share(path=name)
    assert path(url) == name
    assert quote(name) in url
    assert plain.open(url).key == name[1:]


def test_the_maker_s_own_key_does_not_open_more(plain: World) -> None:
    """A key beside a share changes only in which form the link is told."""
    url = plain.share()
    answer = plain.open(url, key=MAKER)
    assert (answer.status, answer.json["clamped_by"]) == (200, None)
    assert answer.signs()
    assert plain.open(url, key=MAKER, format="redirect").status == 302
    assert plain.open(url, "POST", key=MAKER).status == 200
    unknown = plain.open(url, key="fcp_nobody_EXAMPLE_0000000000000000")
    assert (unknown.status, unknown.code) == (401, "unknown_credential")
