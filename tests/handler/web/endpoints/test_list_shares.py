"""The pages of `GET /-/shares`, and the index of shares in the state prefix."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.config import Location
from signer.times import rfc3339
from tests.handler.client import NOW
from tests.handler.keys_fixtures import READER, api, hash_of, issuer
from tests.handler.keys_fixtures import token as jwt
from tests.local_oss import BUCKET
from tests.memory_oss import MemoryOss
from tests.system import DAY, MAKER, OTHER, STATE, WRITER, System, keys

ADMIN = "fcp_admin_EXAMPLE_00000000000000000000000000000"
UNAVAILABLE = "state_unavailable"


@pytest.fixture
def shares(in_memory: System) -> System:
    callers = [*keys()["api"], api("admin", ADMIN, paths=["/"], methods=["ADMIN"])]
    users = issuer(methods=["GET", "SHARE"], paths=["/reports/"])
    return in_memory.with_keys(api=callers, jwt=[users])


def page(service: System, key: str = MAKER, *, now: float = NOW, after: str | None = None, **query: str) -> Any:
    query |= {"after": after} if after else {}
    response = service.request("/-/shares", query=query, key=key, now=now)
    assert response.status == 200, response
    assert set(response.json) == {"shares", "next"}
    return response.json


def ids(service: System, key: str = MAKER, **options: Any) -> list[str]:
    """The ids of all pages, of two shares each."""
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        document = page(service, key, limit="2", after=after, **options)
        found, after = found + [share["id"] for share in document["shares"]], document["next"]
    return found


def create(service: System, key: str = MAKER, **params: Any) -> Any:
    """The id of a new share."""
    return service.request_share(key, **params).json["id"]


def test_shares_are_listed_by_page_and_the_newest_come_first(shares: System, oss: MemoryOss) -> None:
    created = [create(shares, now=NOW + second) for second in range(5)]
    assert ids(shares) == created[::-1]
    folder = f"{STATE}index/{sha256(f'api:maker:{hash_of(MAKER)}{chr(10)}api:maker'.encode()).hexdigest()[:32]}/"
    entries = [f"{folder}{9_999_999_999 - int(NOW) - second}-{created[second]}" for second in (4, 3, 2, 1, 0)]
    assert oss.keys(f"{STATE}index/") == entries
    assert {oss.read(entry) for entry in entries} == {b""}
    assert (len(page(shares)["shares"]), page(shares, limit="5")["next"]) == (5, None)


def test_a_share_is_shown_with_all_that_its_sender_wants_to_know(shares: System, oss: MemoryOss) -> None:
    times = {"created_at": rfc3339(NOW), "expires_at": rfc3339(NOW + 7 * DAY)}
    unused = {
        "path": "/reports/q3.pdf",
        "method": "GET",
        **times,
        "state": "active",
        "max_uses": None,
        "uses": None,
        "last_use": None,
    }
    uploads = {"max_size": 9, "max_files": 2, "content_type": None}
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (MAKER, {}, unused),
        (MAKER, {"title": "Q3", "message": "Two", "download": "a.pdf"}, {**unused, "title": "Q3"}),
        (MAKER, {"password": True, "max_uses": 2}, {**unused, "max_uses": 2, "uses": 0, "password": True}),
        (
            WRITER,
            {"path": "/in/", "method": "POST", "upload": {"max_size": 9, "max_files": 2}},
            {**unused, "max_uses": 2, "uses": 0, "path": "/in/", "method": "POST", "upload": uploads},
        ),
    ]
    for key, params, expected in cases:
        identifier = create(shares, key, **params)
        shown = shares.request(f"/-/shares/{identifier}", key=key)
        assert shown.json == {"id": identifier, **expected}
        assert shares.request(f"/-/shares/{identifier}", "HEAD", key=key).status == 200
        assert page(shares, key)["shares"].count(shown.json) == 1


def test_the_state_of_each_share_and_the_uses_of_limited_ones(shares: System, oss: MemoryOss) -> None:
    expired, revoked, limited = create(shares, expires="2d"), create(shares), create(shares, max_uses=2)
    used_up, inbox = create(shares, max_uses=1), create(shares, WRITER, path="/in/", method="POST")
    assert shares.request(f"/-/shares/{revoked}", "DELETE", key=MAKER).status == 204
    later = NOW + 3 * DAY
    with patch.object(oss, "now", lambda: later - 60):
        oss.fill({f"{STATE}uses/{identifier}/1": b"" for identifier in (limited, used_up)})
        oss.fill({f"inbox/{inbox}/1-a.txt": b"a"})
    with patch.object(oss, "now", lambda: later):
        listed = {share["id"]: share for key in (MAKER, WRITER) for share in page(shares, key, now=later)["shares"]}
    states = {expired: "expired", revoked: "revoked", limited: "active", used_up: "used_up", inbox: "used_up"}
    assert {identifier: share["state"] for identifier, share in listed.items()} == states
    for identifier, share in listed.items():
        is_limited = identifier in (limited, used_up, inbox)
        assert (share["uses"], share["last_use"]) == ((1, rfc3339(later - 60)) if is_limited else (None, None))


def test_users_of_one_issuer_and_callers_see_only_their_own(shares: System) -> None:
    callers = {name: jwt(sub=name) for name in ("alice", "bob", "alice\nbob")} | {"maker": MAKER}
    created = {name: [create(shares, key) for _ in range(2)] for name, key in callers.items()}
    for name, key in callers.items():
        assert sorted(ids(shares, key)) == sorted(created[name])
    assert ids(shares, READER) == ids(shares, jwt(sub="carol")) == []
    # A narrower token of the same user lists what it could revoke.
    assert ids(shares, jwt(sub="alice", methods=["GET"])) == ids(shares, jwt(sub="alice", paths=["/reports/b/"])) == []
    # A new key of the same name is another caller.
    assert ids(shares.with_keys(api=[api("maker", OTHER, methods=["SHARE"])]), OTHER) == []


def test_admin_lists_the_shares_of_all_callers_one_after_the_other(shares: System) -> None:
    created = {
        name: [create(shares, key, now=NOW + second) for second in range(3)][::-1]
        for name, key in {"api:maker": MAKER, "jwt:https://id.example.com:alice": jwt(sub="alice")}.items()
    }
    everything = ids(shares, ADMIN, all="true")
    assert everything in ([*first, *second] for first, second in (created.values(), [*created.values()][::-1]))
    owners = {share["id"]: share["owner"] for share in page(shares, ADMIN, all="true")["shares"]}
    assert all(owners[identifier] == name for name, found in created.items() for identifier in found)
    assert ids(shares, ADMIN) == ids(shares, ADMIN, all="false") == []
    elsewhere = shares.with_keys(api=[api("admin", ADMIN, paths=["/team/"], methods=["ADMIN"])])
    assert ids(elsewhere, ADMIN, all="true") == []


def test_all_requires_the_method_admin_which_a_token_has_only_from_its_issuer(shares: System) -> None:
    claimed = jwt(sub="alice", methods=["SHARE", "ADMIN"])
    for entry, status in ((["SHARE"], 403), (["SHARE", "ADMIN"], 200), (None, 403)):
        changed = shares.with_keys(jwt=[issuer(methods=entry)])
        assert changed.request("/-/shares", query={"all": "true"}, key=claimed).status == status, entry
    assert shares.request("/-/shares", query={"all": "true"}, key=MAKER).code == "admin_required"
    assert shares.request("/-/shares").code == "unauthorized"
    for method, path in (("GET", "/reports/q3.pdf"), ("DELETE", f"/-/shares/{create(shares)}")):
        assert shares.request(path, method, key=ADMIN).code == "not_found"  # it is for this list alone


ENTRY = f"{'0' * 10}-{'a' * 12}"  # its caller's folder comes first where all are listed
LIMITS = ("0", "51", "-1", "", "1.5", "٣", "050", "a")
INVALID = [*(("limit", value) for value in LIMITS), *(("all", value) for value in ("", "1", "True", "yes"))]
INVALID += [("after", value) for value in ("x", f"{ENTRY}a", "../shares/x", f"{'0' * 32}/{ENTRY}")]


def test_an_invalid_parameter_is_named(shares: System) -> None:
    for query in (*({name: value} for name, value in INVALID), {"after": ENTRY, "all": "true"}):
        response = shares.request("/-/shares", query=query, key=ADMIN)
        assert (response.status, response.code) == (400, "bad_query"), query
        assert next(iter(query)) in response.json["detail"]


def test_among_2000_a_page_costs_one_list_and_its_records_eight_at_once(shares: System, oss: MemoryOss) -> None:
    first = create(shares)
    folder = oss.keys(f"{STATE}index/")[0].rpartition("/")[0]
    record = oss.read(f"{STATE}shares/{first}.json").decode()
    names = [f"{number:012}" for number in range(2000)]
    oss.fill({f"{folder}/{9_999_999_998 - int(NOW) - number}-{name}": b"" for number, name in enumerate(names)})
    oss.fill({f"{STATE}shares/{name}.json": record.replace(first, name).encode() for name in names})
    running, most, after = list[None](), list[int](), ""

    def wait(seconds: float) -> None:
        running.append(None)
        most.append(len(running))
        time.sleep(seconds)
        running.pop()

    oss.latency, oss._work = 0.005, wait
    for count in (20, 50, 50):
        oss.calls.clear()
        found = page(shares, limit=str(count), after=after)
        assert oss.calls == {"ListObjects": 1, "GetObject": 2 * count}  # of each its record and its second end
        assert len(found["shares"]) == count
        after = found["next"]
    assert max(most) == 8
    assert found["shares"][-1]["id"] == names[-120]


def test_an_entry_without_its_record_is_skipped(shares: System, oss: MemoryOss) -> None:
    created = [create(shares, now=NOW + second) for second in range(4)]
    for lost in created[2:]:
        oss.answer("DELETE", Location(BUCKET, f"{STATE}shares/{lost}.json"), {}, {})
    assert page(shares, limit="2")["shares"] == []
    assert ids(shares) == created[1::-1]


@pytest.mark.parametrize("folder", ["shares", "extended"])
@pytest.mark.parametrize("content", [b'{"version": 2}', b"[" * 100_000])
def test_an_unreadable_one_is_shown_to_its_maker_and_hides_no_other(
    shares: System, oss: MemoryOss, folder: str, content: bytes
) -> None:
    others = [create(shares, now=NOW + second) for second in range(3)]
    broken = create(shares, now=NOW + 1)
    oss.fill({f"{STATE}{folder}/{broken}.json": content})
    unreadable = {"id": broken, "state": "unreadable"}
    listed = page(shares)["shares"]
    assert sorted(each["id"] for each in listed) == sorted([*others, broken])
    assert [each for each in listed if each["state"] != "active"] == [unreadable]
    assert unreadable in page(shares, ADMIN, all="true")["shares"]
    part = shares.with_keys(api=[api("admin", ADMIN, paths=["/reports/"], methods=["ADMIN"])])
    assert {each["id"] for each in page(part, ADMIN, all="true")["shares"]} == {*others}
    for method in ("GET", "POST"):
        refused = shares.request(f"/-/shares/{broken}", method, key=MAKER, body='{"expires": "30d"}')
        assert (refused.status, refused.code) == (503, UNAVAILABLE)


def test_an_oss_that_does_not_answer_is_a_503_for_everybody(shares: System, oss: MemoryOss) -> None:
    create(shares)
    for folder in ("index", "shares", "extended"):
        with oss.refusing(f"{STATE}{folder}/"):
            for key, query in ((MAKER, {}), (ADMIN, {"all": "true"})):
                response = shares.request("/-/shares", query=query, key=key)
                assert (response.status, response.code) == (503, UNAVAILABLE)


def test_where_there_can_be_no_shares_the_list_is_empty(shares: System, oss: MemoryOss) -> None:
    oss.calls.clear()
    mounts = type(shares.config.mounts)([], ())
    for changed in (shares.with_config(state=None), shares.with_config(mounts=mounts)):
        assert page(changed)["shares"] == []
    assert not oss.calls
