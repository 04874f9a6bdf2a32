"""How long a share is valid: until it expires, or its maker is removed."""

from __future__ import annotations

from typing import Any

import pytest

from handler.core.config import Location
from handler.core.keys import Keys
from tests.handler.client import NOW
from tests.handler.keys_fixtures import READER, api, issuer
from tests.handler.keys_fixtures import token as jwt
from tests.system import DAY, MAKER, OTHER, System, share_key


@pytest.mark.parametrize(
    ("now", "status", "remaining"),
    [
        *((NOW, 302, 60), (int(NOW) + 59.999, 302, 1)),
        *((int(NOW) + passed, 410, None) for passed in (60, 10 * 365 * DAY)),
    ],
)
def test_a_share_expires_to_the_second(in_memory: System, now: float, status: int, remaining: int | None) -> None:
    response = in_memory.open(in_memory.create_share(expires="60"), now=now)
    assert response.status == status
    if remaining is None:
        assert response.code == "share_expired"
        assert "Ask the sender for a new link." in response.json["detail"]
    else:
        assert response.expires_in == remaining
        assert response.line["clamped_by"] == "share"


def test_the_owners_of_a_keys_document_are_hashed_once(in_memory: System, monkeypatch: pytest.MonkeyPatch) -> None:
    url = in_memory.create_share()
    assert in_memory.open(url).status == 302
    monkeypatch.setattr(Keys, "owners", None)
    assert in_memory.open(url).status == 302


ENTRY = {"methods": ["SHARE"], "paths": ["/reports/"]}
# What changes after a share was made, and the code with which it then answers: the table of docs/shares.md.
CHANGES: list[tuple[str, dict[str, Any], str | None]] = [
    ("the key expires", {"api": [api("maker", MAKER, **{**ENTRY, "expires_at": "2026-03-01T06:41:12Z"})]}, None),
    ("SHARE is taken away", {"api": [api("maker", MAKER, **{**ENTRY, "methods": ["GET"]})]}, None),
    ("the path is taken away", {"api": [api("maker", MAKER, **{**ENTRY, "paths": ["/plans/"]})]}, None),
    ("max_share is lowered", {"api": [api("maker", MAKER, **ENTRY, max_share="1m")]}, None),
    ("the key is revoked", {"api": []}, "share_owner_removed"),
    ("a new key has its name", {"api": [api("maker", READER, **ENTRY)]}, "share_owner_removed"),
    ("its share keys are replaced", {"share": [share_key("next")]}, None),
    ("no share key is left", {"share": []}, None),
]


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_what_ends_a_share_and_what_does_not(changes: dict[str, Any], code: str | None, in_memory: System) -> None:
    url = in_memory.with_keys(api=[api("maker", MAKER, **ENTRY)]).create_share(expires="7d")
    answer = in_memory.with_keys(**changes).open(url, now=NOW + DAY)
    if code is None:
        assert answer.status == 302
    else:
        assert (answer.status, answer.code) == (410, code)
        assert "Ask the sender for a new link." in answer.json["detail"]


def test_the_first_of_several_reasons_is_said_by_opening_and_by_the_list(in_memory: System) -> None:
    created = in_memory.request_share(password=True, max_uses=1, expires="1d").json
    url, code = created["url"], created["password"]
    assert in_memory.use(url, password=code).status == 303
    assert in_memory.use(url, password="wrong").code == "wrong_password"  # before the uses, and after all others
    other, end = api("other", OTHER, methods=["SHARE"]), NOW + DAY
    used_up = in_memory.with_keys(api=[api("maker", MAKER, methods=["SHARE"]), other])
    removed = in_memory.with_keys(api=[other])
    disabled = removed.with_mount("/reports/", methods=("PUT",))
    moved = disabled.with_mount("/reports/", target=Location("otherbucket", "reports/"))
    for service, now, reason in (
        *((used_up, NOW, "used_up"), (removed, NOW, "owner_removed"), (removed, end, "expired")),
        *((disabled, end, "not_enabled"), (moved, end, "invalid"), (moved, end, "revoked")),
    ):
        if reason == "revoked":
            assert service.revoke(url, OTHER).status == 204
        refused = service.use(url, password=code, now=now)
        assert (refused.status, refused.code) == (404 if reason == "invalid" else 410, f"share_{reason}")
        assert service.shown(url, OTHER, now)["state"] == reason


@pytest.mark.parametrize("max_share", [60, None])
def test_shares_end_where_they_are_no_longer_enabled_and_not_where_new_ones_are_shorter(
    in_memory: System, max_share: int | None
) -> None:
    url = in_memory.create_share(expires="7d")
    response = in_memory.with_mount("/reports/", max_share=max_share).open(url, now=NOW + DAY)
    assert (response.status, response.line["code"]) == ((302, None) if max_share else (410, "share_not_enabled"))


def test_share_includes_reading_and_with_post_taking_uploads(in_memory: System) -> None:
    only_share = in_memory.with_keys(api=[api("maker", MAKER, methods=["SHARE"])])
    uploading = only_share.with_mount("/reports/", methods=("GET", "POST"), max_size=1000)
    assert uploading.request("/reports/q3.pdf", key=MAKER).status == 404
    assert uploading.open(uploading.create_share()).status == 302
    form = uploading.request_form(uploading.create_share(path="/reports/in/", method="POST"))
    assert form.json["fields"]["key"].startswith("reports/in/")


@pytest.mark.parametrize(
    ("expires", "lifetime", "clamped_by"), [(None, 2 * DAY, None), ("2d", 2 * DAY, None), ("91d", 2 * DAY, "caller")]
)
def test_max_share_of_a_key_or_an_issuer_limits_its_shares(
    expires: str | None, lifetime: int, clamped_by: str | None, in_memory: System
) -> None:
    entry = {"methods": ["SHARE"], "max_share": "2d"}
    limited = in_memory.with_keys(api=[api("maker", MAKER, **entry)], jwt=[issuer(**entry)])
    for key in (MAKER, jwt()):
        answer = limited.request_share(key, expires=expires)
        assert answer.json["clamped_by"] == clamped_by
        assert limited.open(answer.json["url"], now=int(NOW) + lifetime - 1).status == 302
        assert limited.open(answer.json["url"], now=int(NOW) + lifetime).code == "share_expired"


def test_of_the_limits_of_mount_and_caller_the_smaller_one_is_named_and_on_a_tie_the_mount(in_memory: System) -> None:
    def clamped_by(max_share: str) -> object:
        world = in_memory.with_keys(api=[api("maker", MAKER, methods=["SHARE"], max_share=max_share)])
        return world.request_share(expires="100d").json["clamped_by"]

    assert [clamped_by(max_share) for max_share in ("89d", "90d", "91d")] == ["caller", "mount", "mount"]
