"""How long a share is valid: until it expires, its key is retired, or its maker is removed."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from handler.core.keys import Keys
from tests.handler.client import NOW
from tests.handler.keys_fixtures import api, base64url, issuer
from tests.handler.keys_fixtures import token as jwt
from tests.handler.share_fixtures import (
    DAY,
    MAKER,
    READER,
    ShareService,
    share_key,
    token,
)

OTHER_SECRET = b"another secret, of thirty-two bytes"


@pytest.mark.parametrize(
    ("now", "status", "remaining"),
    [
        (NOW, 302, 60),
        (int(NOW) + 1, 302, 59),
        (int(NOW) + 58.999, 302, 2),
        (int(NOW) + 59, 302, 1),
        (int(NOW) + 59.999, 302, 1),
        (int(NOW) + 60, 410, None),
        (int(NOW) + 60.001, 410, None),
        (int(NOW) + 61, 410, None),
        (int(NOW) + 10 * 365 * DAY, 410, None),
    ],
)
def test_a_share_expires_to_the_second(plain: ShareService, now: float, status: int, remaining: int | None) -> None:
    response = plain.open(plain.create_share(expires="60"), now=now)
    assert response.status == status
    if remaining is None:
        assert response.code == "share_expired"
        assert "Ask the sender for a new link." in response.json["detail"]
    else:
        assert response.expires_in == remaining
        assert response.line["clamped_by"] == "share"


def test_a_link_outlives_neither_its_share_nor_its_mount(plain: ShareService) -> None:
    url = plain.create_share(expires="2d")
    end = int(NOW) + 2 * DAY
    for now, remaining, source in [
        (NOW, 900, None),
        (end - 900, 900, None),
        (end - 899, 899, "share"),
        (end - 1, 1, "share"),
    ]:
        response = plain.open(url, headers={"Accept": "application/json"}, now=now).json
        assert (response["expires_in"], response["clamped_by"]) == (remaining, source)
    short = plain.with_mount("/reports/", expires=100, max_expires=100)
    response = short.open(short.create_share(), headers={"Accept": "application/json"}).json
    assert (response["expires_in"], response["clamped_by"]) == (100, None)


def test_a_new_key_signs_and_every_older_one_verifies(plain: ShareService) -> None:
    first = plain.with_keys(share=[share_key("one")])
    old = first.create_share()
    rotated = plain.with_keys(share=[share_key("one"), share_key("two"), share_key("three")])
    new = rotated.create_share()
    assert rotated.request_share().json["id"] == "plain.three"
    for url in (old, new):
        assert rotated.open(url).status == 302
    assert rotated.with_keys(share=[share_key("two"), share_key("three")]).open(old).code == "share_retired"
    # The old keys document does not contain the new key.
    assert (first.open(new).status, first.open(new).code) == (410, "share_retired")


def test_a_modified_share_of_a_retired_key_is_a_404_and_not_a_410(plain: ShareService) -> None:
    share = token(plain.create_share())
    retired = plain.with_keys(share=[share_key("three")])
    url = plain.create_share()
    for position in range(len(share)):
        other = "A" if share[position] != "A" else "B"
        response = retired.open(url, share=share[:position] + other + share[position + 1 :])
        assert (response.status, response.code) == (404, "share_invalid")


def test_another_secret_with_the_id_of_a_retired_key_opens_nothing(plain: ShareService) -> None:
    url = plain.with_keys(share=[share_key("one")]).create_share()
    forged = plain.with_keys(share=[{"id": "one", "secret": share_key("two")["secret"]}])
    assert (forged.open(url).status, forged.open(url).code) == (404, "share_invalid")


def test_a_share_of_a_removed_owner_is_not_opened_by_another_whose_hash_begins_alike(plain: ShareService) -> None:
    """Of ten thousand keys, two have owners whose hashes are equal in the first 24 bits."""
    by_hash: dict[str, str] = {}
    for number in range(50_000):
        secret = f"fcp_{number:05}_EXAMPLE_00000000000000000000000000000"
        start = sha256(f"api:maker:{sha256(secret.encode()).hexdigest()}".encode()).hexdigest()[:6]
        other = by_hash.setdefault(start, secret)
        if other != secret:
            break
    owned = plain.with_keys(api=[api("maker", other, **ENTRY)])
    url = owned.create_share(key=other)
    assert owned.open(url).status == 302
    assert plain.with_keys(api=[api("maker", secret, **ENTRY)]).open(url).code == "share_owner_removed"


def test_the_owners_of_a_keys_document_are_hashed_once(plain: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
    url = plain.create_share()
    assert plain.open(url).status == 302
    monkeypatch.setattr(Keys, "owners", None)
    assert plain.open(url).status == 302


@pytest.mark.parametrize("name", [None, "3f1c9a0b7d2e4586"])
def test_an_issuer_that_comes_back_as_a_new_entry_brings_nothing_back(plain: ShareService, name: str | None) -> None:
    sharing = plain.with_keys(jwt=[issuer(methods=["SHARE"], id=name)])
    url = sharing.create_share(key=jwt())
    assert plain.with_keys(jwt=[]).open(url).code == "share_owner_removed"
    new = "9d0c5b1e8a7f4632" if name is not None else None
    back = plain.with_keys(jwt=[issuer(methods=["SHARE"], id=new, secret=base64url(OTHER_SECRET))])
    assert back.open(url).code == "share_owner_removed"
    assert back.open(back.create_share(key=jwt(key=OTHER_SECRET))).status == 302


def test_an_issuer_with_an_id_keeps_its_shares_when_its_secret_is_replaced(plain: ShareService) -> None:
    url = plain.with_keys(jwt=[issuer(methods=["SHARE"], id="3f1c9a0b7d2e4586")]).create_share(key=jwt())
    replaced = issuer(methods=["SHARE"], id="3f1c9a0b7d2e4586", secret=base64url(OTHER_SECRET))
    assert plain.with_keys(jwt=[replaced]).open(url).status == 302


ENTRY = {"methods": ["SHARE"], "paths": ["/reports/"]}
# What changes after a share was made, and the code with which it then answers: the table of docs/shares.md.
CHANGES: list[tuple[str, dict[str, Any], str | None]] = [
    ("the key expires", {"api": [api("maker", MAKER, **{**ENTRY, "expires_at": "2026-03-01T06:41:12Z"})]}, None),
    ("SHARE is taken away", {"api": [api("maker", MAKER, **{**ENTRY, "methods": ["GET"]})]}, None),
    ("the path is taken away", {"api": [api("maker", MAKER, **{**ENTRY, "paths": ["/plans/"]})]}, None),
    ("max_share is lowered", {"api": [api("maker", MAKER, **ENTRY, max_share="1m")]}, None),
    ("the key is revoked", {"api": []}, "share_owner_removed"),
    ("another key is left", {"api": [api("someone", READER, **ENTRY)]}, "share_owner_removed"),
    ("a new key has its name", {"api": [api("maker", READER, **ENTRY)]}, "share_owner_removed"),
    ("the share key is retired", {"share": [share_key("next")]}, "share_retired"),
    ("no share key is left", {"share": []}, "share_retired"),
]


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_what_ends_a_share_and_what_does_not(changes: dict[str, Any], code: str | None, plain: ShareService) -> None:
    url = plain.with_keys(api=[api("maker", MAKER, **ENTRY)]).create_share(expires="7d")
    answer = plain.with_keys(**changes).open(url, now=NOW + DAY)
    if code is None:
        assert answer.status == 302
    else:
        assert (answer.status, answer.code) == (410, code)
        assert "Ask the sender for a new link." in answer.json["detail"]


def test_a_lower_max_share_of_the_mount_does_not_end_a_share(plain: ShareService) -> None:
    url = plain.create_share(expires="7d")
    assert plain.with_mount("/reports/", max_share=60).open(url, now=NOW + DAY).status == 302
    for changes in ({"max_share": None}, {"methods": ("PUT",)}):
        response = plain.with_mount("/reports/", **changes).open(url)
        assert (response.status, response.code) == (410, "share_not_enabled")


def test_an_issuer_that_loses_share_keeps_its_shares(plain: ShareService) -> None:
    url = plain.with_keys(jwt=[issuer(methods=["SHARE"])]).create_share(key=jwt())
    narrowed = plain.with_keys(jwt=[issuer(methods=["PUT"], paths=["/plans/"])])
    assert narrowed.open(url, now=NOW + DAY).status == 302
    assert narrowed.request_share(key=jwt()).status == 404


def test_share_includes_reading_and_with_post_taking_uploads(service: ShareService) -> None:
    only_share = service.with_keys(api=[api("maker", MAKER, methods=["SHARE"])])
    uploading = only_share.with_mount("/reports/", methods=("GET", "POST"), max_size=1000)
    assert uploading.request("/reports/q3.pdf", key=MAKER).status == 404
    assert uploading.open(uploading.create_share()).status == 302
    form = uploading.open(
        uploading.create_share(path="/reports/in/", method="POST"),
        "POST",
        {"Content-Type": "application/json"},
        body='{"name": "a.txt", "size": 3, "type": "text/plain"}',
    )
    assert form.status == 200
    assert form.json["fields"]["key"].startswith("reports/in/")


@pytest.mark.parametrize(
    ("expires", "lifetime", "clamped_by"),
    [
        (None, 2 * DAY, None),
        ("1d", DAY, None),
        ("2d", 2 * DAY, None),
        ("3d", 2 * DAY, "caller"),
        ("91d", 2 * DAY, "caller"),
    ],
)
@pytest.mark.parametrize("kind", ["key", "token"])
def test_max_share_of_a_key_or_an_issuer_limits_its_shares(
    kind: str, expires: str | None, lifetime: int, clamped_by: str | None, plain: ShareService
) -> None:
    entry = {"methods": ["SHARE"], "max_share": "2d"}
    limited = plain.with_keys(api=[api("maker", MAKER, **entry)], jwt=[issuer(**entry)])
    answer = limited.request_share(MAKER if kind == "key" else jwt(), expires=expires)
    assert answer.json["clamped_by"] == clamped_by
    assert limited.open(answer.json["url"], now=int(NOW) + lifetime - 1).status == 302
    assert limited.open(answer.json["url"], now=int(NOW) + lifetime).code == "share_expired"


def test_of_the_limits_of_mount_and_caller_the_smaller_one_is_named_and_on_a_tie_the_mount(plain: ShareService) -> None:
    def clamped_by(max_share: str) -> object:
        world = plain.with_keys(api=[api("maker", MAKER, methods=["SHARE"], max_share=max_share)])
        return world.request_share(expires="100d").json["clamped_by"]

    assert [clamped_by(max_share) for max_share in ("89d", "90d", "91d")] == ["caller", "mount", "mount"]


def test_the_change_of_a_document_is_seen_within_a_minute(plain: ShareService) -> None:
    url = plain.create_share()
    changed = plain.with_keys(api=[])
    Path(str(plain.config.keys_document)).write_bytes(Path(str(changed.config.keys_document)).read_bytes())
    assert plain.open(url, now=NOW + 59).status == 302
    assert plain.open(url, now=NOW + 61).code == "share_owner_removed"
