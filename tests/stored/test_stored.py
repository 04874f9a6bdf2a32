"""What an earlier version stored still opens: shares with their limits, keys, notices that wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handler.notices.sink_queue import DEAD
from signer import __version__
from tests.handler.keys_fixtures import token
from tests.handler.notice_fixtures import created, received_keys
from tests.stored.service import Document, StoredService, read, recorded, running
from tests.system import DAY, HTML, JSON, share_id

VERSIONS = {path.stem: path for path in recorded()}


@pytest.fixture(params=VERSIONS)
def stored(request: pytest.FixtureRequest) -> Document:
    return read(VERSIONS[request.param])


@pytest.fixture
def service(stored: Document, tmp_path: Path) -> Iterator[StoredService]:
    """This version, at the time of the recording."""
    with running(
        tmp_path, stored["links"], stored["keys"], stored["objects"], stored["now"]
    ) as opened:
        yield opened


def test_each_version_that_is_released_has_a_recording() -> None:
    """`python -m tests.stored.record` makes that of this version."""
    assert __version__ in VERSIONS
    assert all(read(path)["version"] == version for version, path in VERSIONS.items())


def test_shares_open_until_their_end(service: StoredService, stored: Document) -> None:
    shares = stored["shares"]
    for name in ("plain", "rotated"):
        assert service.open(shares[name], headers=JSON).json["url"].startswith("http")
    page = service.open(shares["plain"], headers=HTML)
    assert page.status == 200
    assert "Quarter 3" in page.body
    assert service.open(shares["revoked"]).code == "share_revoked"
    service.pass_time(20 * DAY)
    assert service.open(shares["extended"], headers=JSON).status == 200
    assert service.open(shares["plain"]).code == "share_expired"


def test_uses_of_a_limited_share_are_counted_on(service: StoredService, stored: Document) -> None:
    url = stored["shares"]["limited"]
    assert service.uses_left(url) == 2
    assert service.use(url, stored["nonce"]).status == 303  # the same use again
    assert [service.use(url, f"another-nonce-of-{use}").status for use in (2, 3)] == [303, 303]
    assert service.use(url, "another-nonce-of-4").code == "share_used_up"


def test_codes_open_what_they_protect(service: StoredService, stored: Document) -> None:
    shares = stored["shares"]
    for name in ("protected", "folder"):
        assert (
            service.open(shares[name], "POST", JSON, params={"password": "AAAA-AAAA"}).code
            == "wrong_password"
        )
    sent = {"password": shares["protected_code"]}
    assert service.open(shares["protected"], "POST", params=sent).json["url"].startswith("http")
    listed = service.open(shares["folder"], "POST", params={"password": shares["folder_code"]}).json
    assert [entry["name"] for entry in listed["files"]] == ["q3.pdf"]


def test_an_upload_page_takes_the_files_that_are_left(
    service: StoredService, stored: Document
) -> None:
    url = stored["shares"]["upload"]
    assert service.files_left(url) == 2
    assert [service.request_form(url).status for _ in range(3)] == [200, 200, 410]


def test_the_parts_of_an_upload_that_had_begun_are_signed(
    service: StoredService, stored: Document
) -> None:
    params = {"path": "/in/big.bin", "from": 1, "count": 2}
    answer = service.post(
        f"/-/uploads/{stored['parts']}/parts", params, stored["api_keys"]["writer"]
    )
    assert (answer.status, len(answer.json["parts"])) == (200, 2)


def test_senders_see_and_revoke_what_they_shared(service: StoredService, stored: Document) -> None:
    keys = stored["api_keys"]
    listed = service.request("/-/shares", query={"limit": "50"}, key=keys["sender"]).json["shares"]
    by_id = {share["id"]: share for share in listed}
    assert {share["state"] for share in listed} == {"active", "revoked"}
    assert by_id[share_id(stored["shares"]["limited"])]["uses"] == 1
    # The share belongs to whoever has the key or the one before it.
    for name in ("rotated", "earlier"):
        assert service.shown(stored["shares"]["rotated"], keys[name])["state"] == "active"
    assert service.revoke(stored["shares"]["rotated"], keys["rotated"]).status == 204
    assert service.open(stored["shares"]["rotated"]).code == "share_revoked"


def test_keys_and_tokens_are_accepted_as_long_as_they_were(
    service: StoredService, stored: Document
) -> None:
    keys = stored["api_keys"]
    callers = [keys["sender"], keys["rotated"], keys["earlier"], token(service.now)]
    assert [service.request("/reports/q3.pdf", key=key).status for key in callers] == [200] * 4
    service.pass_time(8 * DAY)
    assert service.request("/reports/q3.pdf", key=keys["rotated"]).status == 200
    assert service.request("/reports/q3.pdf", key=keys["earlier"]).status == 401


def test_notices_that_wait_are_sent_and_those_that_were_sent_are_not(
    service: StoredService, stored: Document
) -> None:
    service.pass_time(3600)
    service.invoke(created("outbox/sent.txt"))
    # A second use of a share makes no notice, the first one of another does.
    service.use(stored["shares"]["limited"], "another-nonce-of-it")
    service.use(stored["shares"]["plain"])
    service.tick()
    sent = [request.json["data"] for request in service.hook.received]
    waiting = ["outbox/waiting.txt", share_id(stored["shares"]["limited"])]
    assert sorted(entry.get("share") or entry["key"] for entry in sent) == sorted(
        [*waiting, share_id(stored["shares"]["plain"])]
    )
    assert service.state_names("outbox/") == []


def test_a_notice_that_is_dead_is_sent_once_it_is_due_again(service: StoredService) -> None:
    service.pass_time(3600)
    service.tick()
    queue = service.queue()
    (dead,) = queue.first(DEAD)
    assert queue.reason(dead) == "status_500"
    queue.requeue(dead)
    service.tick()
    assert service.state_names("dead/") + service.state_names("outbox/") == []
    assert received_keys(service.hook)["outbox/dead.txt"] == 1
