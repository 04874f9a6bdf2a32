"""How long a share is valid: until it expires or its maker is removed, or longer if it is extended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.cloud.oss import OssResponse
from handler.core.config import Location
from handler.core.keys import Keys
from signer.times import rfc3339
from tests.handler.client import NOW
from tests.handler.keys_fixtures import READER, api, issuer
from tests.handler.keys_fixtures import token as jwt
from tests.local_oss import FakeClock
from tests.memory_oss import MemoryOss
from tests.system import DAY, JSON, MAKER, OTHER, STATE, WRITER, System, share_id, share_key


@pytest.mark.parametrize(
    ("now", "status", "remaining"),
    [
        (NOW, 302, 60),
        (int(NOW) + 59.999, 302, 1),
        *((int(NOW) + passed, 410, None) for passed in (60, 10 * 365 * DAY)),
    ],
)
def test_a_share_expires_to_the_second(
    in_memory: System, now: float, status: int, remaining: int | None
) -> None:
    response = in_memory.open(in_memory.create_share(expires="60"), now=now)
    assert response.status == status
    if remaining is None:
        assert response.code == "share_expired"
        assert "Ask the sender for a new link." in response.json["detail"]
    else:
        assert response.expires_in == remaining
        assert response.line["clamped_by"] == "share"


@pytest.mark.parametrize("ahead", [40, 800, -800])
def test_shares_are_reckoned_by_the_clock_of_oss_where_that_of_an_instance_is_wrong(
    in_memory: System, ahead: int
) -> None:
    """OSS accepts requests whose date is up to 15 minutes off."""
    start = int(NOW)
    wrong = in_memory.restarted()
    wrong.clock = FakeClock(NOW + ahead)
    wrong.instance.clock = wrong.clock.clock()
    share = wrong.request_share(expires="2m").json
    assert share["expires_at"] == rfc3339(start + 120)
    assert wrong.extend(share["url"], "5m").json["expires_at"] == rfc3339(start + 300)
    assert wrong.shown(share["url"])["created_at"] == rfc3339(start)
    for service in (wrong, in_memory):
        link = service.open(share["url"], headers=JSON).json
        assert (link["expires_in"], link["expires_at"]) == (300, rfc3339(start + 300))
        late = service.later(300)
        assert late.open(share["url"]).code == "share_expired"


def test_the_owners_of_a_keys_document_are_hashed_once(
    in_memory: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = in_memory.create_share()
    assert in_memory.open(url).status == 302
    monkeypatch.setattr(Keys, "owners", None)
    assert in_memory.open(url).status == 302


ENTRY = {"methods": ["SHARE"], "paths": ["/reports/"]}
# What changes after a share was made, and the code with which it then answers: the table of docs/shares.md.
CHANGES: list[tuple[str, dict[str, Any], str | None]] = [
    (
        "the key expires",
        {"api": [api("maker", MAKER, **{**ENTRY, "expires_at": "2026-03-01T06:41:12Z"})]},
        None,
    ),
    ("SHARE is taken away", {"api": [api("maker", MAKER, **{**ENTRY, "methods": ["GET"]})]}, None),
    (
        "the path is taken away",
        {"api": [api("maker", MAKER, **{**ENTRY, "paths": ["/plans/"]})]},
        None,
    ),
    ("max_share is lowered", {"api": [api("maker", MAKER, **ENTRY, max_share="1m")]}, None),
    ("the key is revoked", {"api": []}, "share_owner_removed"),
    ("a new key has its name", {"api": [api("maker", READER, **ENTRY)]}, "share_owner_removed"),
    ("its share keys are replaced", {"share": [share_key("next")]}, None),
    ("no share key is left", {"share": []}, None),
]


@pytest.mark.parametrize(
    ("changes", "code"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
def test_what_ends_a_share_and_what_does_not(
    changes: dict[str, Any], code: str | None, in_memory: System
) -> None:
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
    # Before the uses, and after all others.
    assert in_memory.use(url, password="wrong").code == "wrong_password"
    other, end = api("other", OTHER, methods=["SHARE"]), NOW + DAY
    used_up = in_memory.with_keys(api=[api("maker", MAKER, methods=["SHARE"]), other])
    removed = in_memory.with_keys(api=[other])
    disabled = removed.with_mount("/reports/", methods=("PUT",))
    moved = disabled.with_mount("/reports/", target=Location("otherbucket", "reports/"))
    for service, now, reason in (
        (used_up, NOW, "used_up"),
        (removed, NOW, "owner_removed"),
        (removed, end, "expired"),
        (disabled, end, "not_enabled"),
        (moved, end, "invalid"),
        (moved, end, "revoked"),
    ):
        if reason == "revoked":
            assert service.revoke(url, OTHER).status == 204
        refused = service.use(url, password=code, now=now)
        assert (refused.status, refused.code) == (
            404 if reason == "invalid" else 410,
            f"share_{reason}",
        )
        assert service.shown(url, OTHER, now)["state"] == reason


@pytest.mark.parametrize("max_share", [60, None])
def test_shares_end_where_they_are_no_longer_enabled_and_not_where_new_ones_are_shorter(
    in_memory: System, max_share: int | None
) -> None:
    url = in_memory.create_share(expires="7d")
    response = in_memory.with_mount("/reports/", max_share=max_share).open(url, now=NOW + DAY)
    assert (response.status, response.line["code"]) == (
        (302, None) if max_share else (410, "share_not_enabled")
    )


def test_share_includes_reading_and_with_post_taking_uploads(in_memory: System) -> None:
    only_share = in_memory.with_keys(api=[api("maker", MAKER, methods=["SHARE"])])
    uploading = only_share.with_mount("/reports/", methods=("GET", "POST"), max_size=1000)
    assert uploading.request("/reports/q3.pdf", key=MAKER).status == 404
    assert uploading.open(uploading.create_share()).status == 302
    form = uploading.request_form(uploading.create_share(path="/reports/in/", method="POST"))
    assert form.json["fields"]["key"].startswith("reports/in/")


@pytest.mark.parametrize(
    ("expires", "lifetime", "clamped_by"),
    [(None, 2 * DAY, None), ("2d", 2 * DAY, None), ("91d", 2 * DAY, "caller")],
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


def test_of_the_limits_of_mount_and_caller_the_smaller_one_is_named_and_on_a_tie_the_mount(
    in_memory: System,
) -> None:
    def clamped_by(max_share: str) -> object:
        world = in_memory.with_keys(
            api=[api("maker", MAKER, methods=["SHARE"], max_share=max_share)]
        )
        return world.request_share(expires="100d").json["clamped_by"]

    assert [clamped_by(max_share) for max_share in ("89d", "90d", "91d")] == [
        "caller",
        "mount",
        "mount",
    ]


# --- an extension ----------------------------------------------------------------------------------------------------


def places(url: str) -> tuple[str, str]:
    """Where the two ends of a share are."""
    return f"{STATE}shares/{share_id(url)}.json", f"{STATE}extended/{share_id(url)}.json"


def test_it_is_counted_from_now_and_kept_beside_the_record(
    in_memory: System, oss: MemoryOss
) -> None:
    url = in_memory.create_share(expires="7d", title="Figures")
    record, extension = places(url)
    before, now = oss.read(record), NOW + 3 * DAY
    response = in_memory.extend(url, "30d", now=now)
    assert response.status == 200
    assert response.json == {**in_memory.shown(url, now=now), "clamped_by": None}
    assert (response.json["expires_at"], response.json["title"]) == (
        rfc3339(now + 30 * DAY),
        "Figures",
    )
    assert (response.line["mount"], response.line["share"]) == ("/reports/", share_id(url))
    assert oss.read(record) == before
    assert json.loads(oss.read(extension)) == {"version": 1, "expires_at": int(now) + 30 * DAY}
    assert in_memory.open(url, now=now + 30 * DAY - 1).expires_in == 1
    assert in_memory.open(url, now=now + 30 * DAY).code == "share_expired"


@pytest.mark.parametrize(
    ("after", "expires", "end", "clamped_by"),
    [
        (0, "90d", 90 * DAY, None),
        (0, "91d", 90 * DAY, "mount"),
        (8 * DAY, "1d", 9 * DAY, None),  # it had ended
        (170 * DAY, "10d", 180 * DAY, None),
        (170 * DAY, "11d", 180 * DAY, "mount"),  # twice max_share after its creation
        (180 * DAY - 1, "60", 180 * DAY, "mount"),
        (180 * DAY, "60", None, None),
        (0, "7d", None, None),
        (DAY, "6d", None, None),
    ],
)
def test_it_ends_later_and_within_max_share_and_within_twice_that_since_its_creation(
    in_memory: System, after: int, expires: str, end: int | None, clamped_by: str | None
) -> None:
    url, now = in_memory.create_share(expires="7d"), NOW + after
    response = in_memory.extend(url, expires, now=now)
    if end is None:
        assert (response.status, response.code) == (400, "bad_expires")
        assert rfc3339(NOW + 180 * DAY) in response.json["detail"]
    else:
        assert (response.json["expires_at"], response.json["clamped_by"]) == (
            rfc3339(NOW + end),
            clamped_by,
        )
        assert in_memory.open(url, now=NOW + end - 1).status == 302
        assert in_memory.open(url, now=NOW + end).code == "share_expired"
        assert in_memory.extend(url, expires, now=now).code == "bad_expires"


def test_max_share_of_the_caller_limits_it_too(in_memory: System) -> None:
    url = in_memory.create_share(expires="1d")
    callers = [
        api("maker", MAKER, methods=["SHARE"]),
        api("other", OTHER, methods=["SHARE"], max_share="2d"),
    ]
    limited = in_memory.with_keys(api=callers)
    response = limited.extend(url, "30d", OTHER)
    assert (response.json["expires_at"], response.json["clamped_by"]) == (
        rfc3339(NOW + 2 * DAY),
        "caller",
    )
    assert limited.extend(url, "30d").json["clamped_by"] is None


ONLY: dict[str, Any] = {"paths": ["/reports/"], "methods": ["SHARE"]}
REFUSALS: dict[str, tuple[Callable[[System], System], str | None, int, str]] = {
    "no key": (lambda service: service, None, 401, "unauthorized"),
    "a key without SHARE": (lambda service: service, READER, 404, "not_found"),
    "a key for another path": (lambda service: service, OTHER, 404, "not_found"),
    "no max_share": (
        lambda service: service.with_mount("/reports/", max_share=None),
        MAKER,
        409,
        "not_shareable",
    ),
    "no GET": (
        lambda service: service.with_mount("/reports/", methods=("PUT",)),
        MAKER,
        409,
        "not_shareable",
    ),
    "codes": (
        lambda service: service.with_mount("/reports/", require_password=True),
        MAKER,
        409,
        "not_shareable",
    ),
    "no mount": (
        lambda service: service.with_mount("/reports/", path="/gone/"),
        MAKER,
        404,
        "not_found",
    ),
    "another target": (
        lambda service: service.with_mount("/reports/", target=Location("otherbucket", "reports/")),
        MAKER,
        404,
        "not_found",
    ),
    "another owner": (
        lambda service: service.with_keys(api=[api("other", OTHER, **ONLY)]),
        OTHER,
        410,
        "share_owner_removed",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_it_requires_what_the_same_share_would_require_now(
    in_memory: System, oss: MemoryOss, name: str
) -> None:
    change, key, status, code = REFUSALS[name]
    url = in_memory.create_share()
    for expires in ("30d", "60"):
        response = change(in_memory).extend(url, expires, key)
        assert (response.status, response.code) == (status, code)
    assert oss.keys(f"{STATE}extended/") == []


def test_a_folder_requires_list_and_get_too(in_memory: System) -> None:
    listing = in_memory.with_mount("/reports/", lists=True).with_keys(
        api=[
            api("maker", MAKER, **{**ONLY, "methods": ["GET", "LIST", "SHARE"]}),
            api("other", OTHER, **ONLY),
        ]
    )
    url = listing.create_share(path="/reports/2026/")
    assert listing.extend(url, "30d", OTHER).code == "share_not_allowed"
    assert listing.with_mount("/reports/", lists=False).extend(url, "30d").code == "not_shareable"
    assert listing.extend(url, "30d").status == 200


def test_an_invalid_body_changes_nothing(in_memory: System, oss: MemoryOss) -> None:
    url = in_memory.create_share()
    for body in (
        {},
        {"expires": 90},
        {"expires": "soon"},
        {"expires": "0"},
        {"expires": "9d", "path": ""},
    ):
        response = in_memory.post(f"/-/shares/{share_id(url)}", body, MAKER)
        assert (response.status, response.code[:4]) == (400, "bad_")
    assert oss.keys(f"{STATE}extended/") == []


def test_it_gives_no_use_back(in_memory: System, oss: MemoryOss) -> None:
    """A share that is used up can only be extended together with its uses; a file that arrived may be deleted."""
    url = in_memory.create_share(expires="1d", max_uses=1)
    uploads = in_memory.create_share(expires="1d", path="/in/", method="POST", key=WRITER)
    late = NOW + 20 * DAY
    oss.fill({f"{STATE}uses/{share_id(url)}/1": b"", f"inbox/{share_id(uploads)}/1-a.txt": b""})
    refused = in_memory.extend(url, "20d", now=NOW + 9 * DAY)
    assert (refused.status, refused.code) == (410, "share_used_up")
    assert oss.keys(f"{STATE}extended/") == []
    assert in_memory.extend(uploads, "20d", WRITER, NOW + 9 * DAY).json["state"] == "used_up"
    assert in_memory.open(uploads, headers=JSON, now=late).json["files_left"] == 0


@pytest.mark.parametrize(
    "second", [b"", b"null", b'{"version": 2, "expires_at": 1}', b"[" * 100_000]
)
def test_an_unreadable_second_end_is_a_503_where_it_is_needed(
    in_memory: System, oss: MemoryOss, second: bytes
) -> None:
    url = in_memory.create_share(expires="7d", max_uses=1)
    redirect = in_memory.create_share(expires="7d")
    oss.fill({places(each)[1]: second for each in (url, redirect)})
    assert in_memory.open(redirect).status == 302  # the first end is later than that of any link
    for response in (
        in_memory.open(url),
        in_memory.open(redirect, now=NOW + 7 * DAY - 60),
        in_memory.extend(url),
        in_memory.request(f"/-/shares/{share_id(url)}", key=MAKER),
    ):
        assert (response.status, response.code) == (503, "state_unavailable")
    assert in_memory.revoke(url).status == 204


@pytest.mark.parametrize(("second", "end"), [(-DAY, 7 * DAY), (30 * DAY, 37 * DAY)])
def test_the_later_of_both_ends_counts(
    in_memory: System, oss: MemoryOss, second: int, end: int
) -> None:
    """An extension that was delayed may arrive after a later one."""
    url = in_memory.create_share(expires="7d")
    oss.fill(
        {
            places(url)[1]: json.dumps(
                {"version": 1, "expires_at": int(NOW) + 7 * DAY + second}
            ).encode()
        }
    )
    assert in_memory.shown(url)["expires_at"] == rfc3339(NOW + end)
    assert in_memory.open(url, now=NOW + end - 1).status == 302
    assert in_memory.open(url, now=NOW + end).code == "share_expired"


def test_after_a_revocation_there_is_none(in_memory: System, oss: MemoryOss) -> None:
    url = in_memory.create_share()
    assert in_memory.revoke(url).status == 204
    record = oss.read(places(url)[0])
    assert in_memory.later(60).revoke(url).status == 204
    assert oss.read(places(url)[0]) == record
    response = in_memory.extend(url)
    assert (response.status, response.code) == (410, "share_revoked")
    assert oss.keys(f"{STATE}extended/") == []


@pytest.mark.parametrize("first", ["extend", "revoke"])
@pytest.mark.parametrize("arrives", ["on time", "late", "never"])
@pytest.mark.parametrize("position", range(8))
def test_a_revocation_wins_whenever_an_extension_arrives(
    in_memory: System, oss: MemoryOss, first: str, arrives: str, position: int
) -> None:
    """One happens while the other is about to send its request with this number, whose PUT may be delayed or lost."""
    url = in_memory.create_share(expires="1d")
    actions = {
        "extend": lambda: in_memory.extend(url).status,
        "revoke": lambda: in_memory.revoke(url).status,
    }
    (second,) = actions.keys() - {first}
    late: list[Callable[[], object]] = []
    statuses = dict[str, int]()
    answer = oss.answer
    count = iter(range(100))

    def interrupt(method: str, place: Location, *rest: Any) -> OssResponse:
        is_chosen = second not in statuses and next(count) == position
        if is_chosen:
            statuses[second] = 0
            statuses[second] = actions[second]()
            if method == "PUT" and arrives != "on time":
                late.extend([lambda: answer(method, place, *rest)] * (arrives == "late"))
                return oss.respond(503, code="ServiceUnavailable")
        return answer(method, place, *rest)

    with patch.object(oss, "answer", interrupt):
        statuses[first] = actions[first]()
    for arrive in late:
        arrive()
    if second not in statuses:  # it had fewer requests
        statuses[second] = actions[second]()
    assert statuses["revoke"] in (204, 503)
    if statuses["revoke"] == 503:
        assert in_memory.revoke(url).status == 204
    assert in_memory.open(url).code == "share_revoked"
    assert in_memory.extend(url).code == "share_revoked"
    assert in_memory.shown(url)["state"] == "revoked"
