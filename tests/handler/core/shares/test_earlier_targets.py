"""A share of an earlier target of its mount is one of today's target; of every other place it opens nothing."""

from __future__ import annotations

import json

import pytest

from handler.core.config import Location, Mounts
from tests.handler.client import NOW
from tests.handler.keys_fixtures import api
from tests.local_oss import BUCKET
from tests.memory_oss import MemoryOss
from tests.system import DAY, HTML, JSON, MAKER, STATE, WRITER, System, share_id

NEW = Location("newbucket", "files/")
OLD = Location(BUCKET, "reports/")


@pytest.fixture
def moved(in_memory: System, oss: MemoryOss) -> System:
    """The service after /reports/ moved, with what was below its target."""
    oss.fill({"reports/q3.pdf": b"old", "reports/2026/a.txt": b"old"})
    oss.fill({"files/q3.pdf": b"new", "files/2026/a.txt": b"new"}, NEW.bucket)
    return in_memory.with_mount("/reports/", target=NEW, earlier_targets=(OLD,), lists=True)


@pytest.fixture
def listing(in_memory: System) -> System:
    """The service before, for somebody who may share folders too."""
    listed = in_memory.with_mount("/reports/", lists=True)
    return listed.with_keys(api=[api("maker", MAKER, methods=["GET", "LIST", "SHARE"])])


def forget_old_files(oss: MemoryOss) -> None:
    for place in [place for place in oss.objects if place.key.startswith(OLD.key)]:
        del oss.objects[place]


def test_a_file_opens_at_todays_target_and_only_while_the_mount_names_the_earlier_one(
    in_memory: System, moved: System, oss: MemoryOss
) -> None:
    url = in_memory.create_share(expires="30d")
    ended = in_memory.with_mount("/reports/", target=NEW)
    assert (ended.open(url).code, ended.shown(url)["state"]) == ("share_invalid", "invalid")
    forget_old_files(oss)
    opened = moved.open(url)
    assert opened.status == 302
    assert "//newbucket.oss-" in opened.headers["Location"]
    assert "/files/q3.pdf?" in opened.headers["Location"]
    assert moved.open(url, headers=HTML).status == 200
    assert moved.shown(url)["state"] == "active"
    assert moved.extend(url, "60d").status == 200
    assert moved.revoke(url).status == 204
    assert moved.open(url).code == "share_revoked"


def test_a_folder_opens_with_its_files_and_one_with_a_code_too(
    listing: System, moved: System, oss: MemoryOss
) -> None:
    url = listing.create_share(path="/reports/2026/")
    protected = listing.request_share(path="/reports/2026/", password=True).json
    forget_old_files(oss)
    assert [file["name"] for file in moved.open(url, headers=JSON).json["files"]] == ["a.txt"]
    params = {"password": protected["password"]}
    listed = moved.open(protected["url"], "POST", params=params).json["files"]
    assert [file["name"] for file in listed] == ["a.txt"]


def test_uses_are_counted_on_from_those_before(in_memory: System, moved: System) -> None:
    url = in_memory.create_share(max_uses=2)
    assert in_memory.use(url, "nonce-EXAMPLE-0000").status == 303
    assert moved.shown(url)["uses"] == 1
    assert moved.use(url, "nonce-EXAMPLE-0001").status == 303
    assert moved.use(url, "nonce-EXAMPLE-0002").code == "share_used_up"


def test_files_that_arrived_before_are_counted_at_todays_target(
    in_memory: System, oss: MemoryOss
) -> None:
    url = in_memory.create_upload_share()
    oss.fill({f"new-in/{share_id(url)}/1-a.txt": b"12345"}, NEW.bucket)
    target = Location(NEW.bucket, "new-in/")
    moved = in_memory.with_mount(
        "/in/", target=target, earlier_targets=(Location(BUCKET, "inbox/"),)
    )
    assert moved.shown(url, WRITER)["uses"] == 1
    assert moved.files_left(url) == 2
    form = moved.request_form(url).json
    assert form["url"].startswith("https://newbucket.")
    assert form["fields"]["key"].startswith(f"new-in/{share_id(url)}/")


@pytest.mark.parametrize(
    "change",
    [
        {"mount": "/team/"},
        {"target": "oss://examplebucket/"},
        {"target": "oss://examplebucket/reports/2026/"},
        {"target": "oss://examplebucket/team/"},
        {"target": "oss://newbucket/files/2026/"},
    ],
    ids=str,
)
def test_a_record_of_another_mount_or_target_opens_nothing(
    change: dict[str, str], in_memory: System, moved: System
) -> None:
    url = in_memory.create_share()
    name = f"{STATE}shares/{share_id(url)}.json"
    record = json.loads(in_memory.read(name))
    in_memory.put(name, json.dumps({**record, **change}).encode())
    assert (moved.open(url).code, moved.shown(url)["state"]) == ("share_invalid", "invalid")
    assert moved.extend(url).status == 404


@pytest.mark.parametrize("inner", [NEW, Location(NEW.bucket, "files/2026/"), OLD])
def test_a_mount_that_lies_between_the_share_and_its_object_hides_it(
    inner: Location, listing: System, moved: System
) -> None:
    """Also with the target of the outer one, or with its earlier one."""
    url = listing.create_share(path="/reports/2026/a.txt")
    folder = listing.create_share(path="/reports/")
    assert moved.open(url).status == 302
    outer = next(mount for mount in moved.config.mounts if mount.path == "/reports/")
    between = outer._replace(path="/reports/2026/", target=inner, earlier_targets=())
    mounts = Mounts([*moved.config.mounts, between], moved.config.mounts.reserved)
    hiding = moved.with_config(mounts=mounts)
    assert hiding.open(url).code == "share_invalid"
    path = folder.replace("/-/s/reports/", "/-/s/reports/2026/a.txt")
    assert moved.open(path).status == 302
    assert hiding.open(path).code == "share_invalid"


def test_a_share_of_the_mount_that_has_the_path_now_is_not_one_of_the_mount_that_had_it(
    in_memory: System, moved: System
) -> None:
    """/team/ takes the earlier target of /reports/ as its own: neither opens what the other shared."""
    url = in_memory.create_share()
    other = in_memory.create_share(key=WRITER, path="/team/a.txt")
    taken = in_memory.with_mount("/team/", earlier_targets=(OLD,), target=NEW)
    assert taken.open(url).status == 302
    assert "//examplebucket.oss-" in taken.open(url).headers["Location"]
    assert taken.open(other).code == "share_invalid"


def test_it_ends_when_it_did(in_memory: System, moved: System) -> None:
    url = in_memory.create_share(expires="7d")
    assert moved.open(url, now=NOW + 7 * DAY).code == "share_expired"
