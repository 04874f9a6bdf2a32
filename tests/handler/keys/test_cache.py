"""Where the keys come from: read once a minute, revalidated, kept for ten more, and never open."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.config import Config, load
from handler.context import Invocation
from handler.errors import Problem
from handler.keys import Keys, cache, location
from tests.handler.client import KEYS, NOW, ask, context, mount
from tests.handler.keys_fixtures import PLACE, READER, STRANGER, LocalOss, api, document, local_oss, policy_with

FIRST = document()
SECOND = document(api=[api("stranger", STRANGER)])


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    with patch.dict(cache._cache, clear=True):
        yield


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[LocalOss]:
    with local_oss(tmp_path / "oss") as started:
        yield started


def names(policy: Config, now: float) -> list[str]:
    return [key.id for key in cache.current_keys(Invocation(policy, context(KEYS), now, {})).api]


def write(policy: Config, text: bytes, *, at: int) -> None:
    """Writes the file, as if at this second."""
    path = (policy.keys or "").removeprefix("file:")
    Path(path).write_bytes(text)
    os.utime(path, (at, at))


def test_a_file_is_looked_at_once_a_minute(tmp_path: Path) -> None:
    policy = policy_with(FIRST, tmp_path)
    assert names(policy, NOW) == ["reader", "sharer", "ended"]
    write(policy, json.dumps(SECOND).encode(), at=1000)
    assert names(policy, NOW + 59.9) == ["reader", "sharer", "ended"]
    assert names(policy, NOW + 60) == ["stranger"]


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    policy = policy_with(FIRST, tmp_path)
    first = cache.current_keys(Invocation(policy, context(), NOW, {}))
    with patch.object(cache, "parse", side_effect=AssertionError):
        assert cache.current_keys(Invocation(policy, context(), NOW + 60, {})) is first
        assert cache.current_keys(Invocation(policy, context(), NOW + 10_000, {})) is first


def test_an_object_is_read_with_the_functions_own_role_and_revalidated_by_its_etag(oss: LocalOss) -> None:
    oss.put(FIRST)
    first = cache.current_keys(Invocation(oss.policy, context(KEYS), NOW, {}))
    with patch.object(cache, "parse", side_effect=AssertionError):
        assert cache.current_keys(Invocation(oss.policy, context(KEYS), NOW + 60, {})) is first
    oss.put(SECOND)
    assert cache.current_keys(Invocation(oss.policy, context(KEYS), NOW + 119, {})) is first
    assert names(oss.policy, NOW + 120) == ["stranger"]


def test_the_internal_endpoint_is_asked(tmp_path: Path) -> None:
    policy = policy_with(FIRST, tmp_path)._replace(keys="oss://examplebucket/.links/keys.json")
    asked = []

    def read(place: location.OssKeysStore, known: str = "") -> location.Snapshot:
        asked.append(place)
        return location.Snapshot(json.dumps(FIRST).encode(), '"etag"')

    with patch.object(location.OssKeysStore, "read", read):
        assert isinstance(cache.current_keys(Invocation(policy, context(KEYS), NOW, {})), Keys)
    assert asked[0].store.endpoint.host("examplebucket") == "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"
    assert asked[0].location == PLACE
    assert asked[0].store.credentials == KEYS


@pytest.mark.parametrize("trouble", ["gone", "broken", "short", "bucket gone"])
def test_the_last_good_keys_serve_for_ten_minutes_more(trouble: str, oss: LocalOss) -> None:
    oss.put(FIRST)
    good = names(oss.policy, NOW)
    if trouble == "gone":
        assert oss.store.delete(PLACE).ok
    elif trouble == "bucket gone":
        oss.lose_objects()
    else:
        oss.put(b"{" if trouble == "broken" else document(share=[{"id": "a", "secret": "short"}]))
    assert names(oss.policy, NOW + 60) == good
    assert names(oss.policy, NOW + 659) == good
    with pytest.raises(Problem) as refused:
        names(oss.policy, NOW + 660)
    assert (refused.value.status, refused.value.code) == (503, "keys_unavailable")


def test_the_last_good_keys_serve_while_nothing_listens(tmp_path: Path) -> None:
    with local_oss(tmp_path / "oss") as oss:
        oss.put(FIRST)
        policy = oss.policy
        good = names(policy, NOW)
    assert names(policy, NOW + 60) == good
    with pytest.raises(Problem, match="cannot be reached"):
        names(policy, NOW + 660)


def test_good_keys_that_are_back_are_used_again(tmp_path: Path) -> None:
    policy = policy_with(FIRST, tmp_path)
    good = names(policy, NOW)
    write(policy, b"{", at=1000)
    assert names(policy, NOW + 60) == good
    write(policy, json.dumps(SECOND).encode(), at=2000)
    assert names(policy, NOW + 69.9) == good
    assert names(policy, NOW + 70) == ["stranger"]
    write(policy, b"{", at=3000)
    assert names(policy, NOW + 729) == ["stranger"]


def test_while_a_look_fails_the_next_is_ten_seconds_off(tmp_path: Path) -> None:
    policy = policy_with(FIRST, tmp_path)
    names(policy, NOW)
    with patch.object(
        location.FileKeysStore, "read", side_effect=location.KeysStoreError("No.", code="refused")
    ) as read:
        for second in (60, 61, 69, 70, 79):
            names(policy, NOW + second)
    assert read.call_count == 2


def test_a_failed_look_is_told_in_the_log_without_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = policy_with(FIRST, tmp_path)
    names(policy, NOW)
    write(policy, b"{", at=1000)
    names(policy, NOW + 100)
    assert json.loads(capsys.readouterr().out) == {
        "warning": "keys_not_renewed",
        "why": "the document is malformed",
        "age": 100,
    }


@pytest.mark.parametrize("now", [NOW - 1, NOW - 86_400])
def test_a_clock_that_was_set_back_keeps_no_key_alive(now: float, tmp_path: Path) -> None:
    policy = policy_with(FIRST, tmp_path)
    names(policy, NOW)
    write(policy, json.dumps(SECOND).encode(), at=1000)
    assert names(policy, now) == ["stranger"]


def test_a_missing_object_is_a_503_that_names_no_bucket(oss: LocalOss) -> None:
    answered = ask("/reports/a.pdf", headers={"X-Api-Key": READER}, under=oss.policy)
    assert (answered.status, answered.code) == (503, "keys_unavailable")
    assert "there is no document" in answered.json["detail"]
    assert "examplebucket" not in answered.body + answered.printed


def test_a_missing_file_is_a_503_and_mended_at_once(tmp_path: Path) -> None:
    policy = policy_with(FIRST, tmp_path)
    path = tmp_path / "keys.json"
    text = path.read_bytes()
    path.unlink()
    with pytest.raises(Problem, match="there is no document"):
        names(policy, NOW)
    path.write_bytes(text)
    assert "reader" in names(policy, NOW)


def test_an_authenticated_mount_without_keys_is_a_503_that_says_what_to_add() -> None:
    answered = ask(headers={"X-Api-Key": READER}, under=mount(access="authenticated"))
    assert (answered.status, answered.code) == (503, "keys_unavailable")
    assert "add keys" in answered.json["detail"]


def test_where_there_are_no_keys_and_none_are_needed_every_key_is_unknown() -> None:
    answered = ask(headers={"X-Api-Key": READER}, under=mount())
    assert (answered.status, answered.code) == (401, "unknown_credential")


def test_two_policies_do_not_share_their_keys(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = policy_with(FIRST, tmp_path / "one"), policy_with(SECOND, tmp_path / "two")
    assert names(one, NOW) != names(two, NOW)


@pytest.mark.parametrize("written", ["keys.json", "./keys.json", "../folder/keys.json"])
def test_a_file_is_found_beside_links_toml(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "links.toml").write_text(f'region = "cn-hangzhou"\nkeys = "file:{written}"\n')
    monkeypatch.chdir(tmp_path)
    for path in (str(folder / "links.toml"), "folder/links.toml"):
        assert load.load(path, {}).keys == f"file:{folder / 'keys.json'}"
    monkeypatch.chdir(folder)
    assert load.load("links.toml", {}).keys == f"file:{folder / 'keys.json'}"


def test_a_file_with_a_whole_path_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "links.toml").write_text('region = "cn-hangzhou"\nkeys = "file:/etc/links/keys.json"\n')
    assert load.load(str(tmp_path / "links.toml"), {}).keys == "file:/etc/links/keys.json"
