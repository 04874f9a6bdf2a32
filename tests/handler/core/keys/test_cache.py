"""The cached keys: read once a minute, revalidated, kept for ten minutes more, and never a reason to give access."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from threading import Barrier
from typing import NoReturn
from unittest.mock import patch

import pytest

from handler.core.cloud.oss import NO_ANSWER, REFUSED, UNREACHABLE, WRONG_CLOCK, StoreError
from handler.core.cloud.store import StoredObject
from handler.core.config import load
from handler.core.context import Clock, Instance, Invocation
from handler.core.errors import Problem
from handler.core.keys import Keys, current, parse
from handler.core.keys.file_store import FileStore
from tests.fault_proxy import fault_proxy
from tests.handler.client import (
    KEYS,
    NOW,
    ask,
    context,
    event,
    invoke,
    make_config,
    mount,
    new_instance,
)
from tests.handler.keys_fixtures import (
    LINKS,
    READER,
    STRANGER,
    api,
    config_with,
    document,
    watch_requests,
)
from tests.local_oss import PLACE, LocalOss

FIRST = document()
SECOND = document(api=[api("stranger", STRANGER)])


def keys_at(instance: Instance, now: float) -> Keys:
    return current.current_keys(Invocation(instance, context(KEYS), now, {}))


def names(instance: Instance, now: float) -> list[str]:
    return [key.id for key in keys_at(instance, now).api]


def write(instance: Instance, content: bytes, *, at: int) -> None:
    """Writes the file with this time of modification."""
    assert isinstance(instance.config.keys_document, Path)
    instance.config.keys_document.write_bytes(content)
    os.utime(instance.config.keys_document, (at, at))


def test_a_file_is_read_once_a_minute_and_an_unchanged_one_not_again(tmp_path: Path) -> None:
    instance = new_instance(config_with(FIRST, tmp_path))
    first = keys_at(instance, NOW)
    with patch.object(current, "parse", side_effect=AssertionError):
        assert keys_at(instance, NOW + 60) is keys_at(instance, NOW + 10_000) is first
    write(instance, json.dumps(SECOND).encode(), at=1000)
    assert keys_at(instance, NOW + 10_059.9) is first
    assert names(instance, NOW + 10_060) == ["stranger"]


def test_an_object_is_read_with_the_functions_role_and_revalidated_by_its_etag(
    oss: LocalOss,
) -> None:
    oss.put_keys(FIRST)
    instance = new_instance(oss.config)
    first = keys_at(instance, NOW)
    with patch.object(current, "parse", side_effect=AssertionError):
        assert keys_at(instance, NOW + 60) is first
    oss.put_keys(SECOND)
    assert keys_at(instance, NOW + 119) is first
    assert names(instance, NOW + 120) == ["stranger"]


FAULTS: list[tuple[StoreError | StoredObject | None, str]] = [
    (None, "it does not exist"),
    (StoredObject(b"{", 0.0, "other"), "it is malformed"),
    (StoreError("read", 403, REFUSED, ""), "access to it is denied"),
    (StoreError("", 0, UNREACHABLE, NO_ANSWER), "OSS did not answer in time"),
    (StoreError("read", 403, WRONG_CLOCK, ""), "the clock of this instance. Deploy again"),
]


@pytest.mark.parametrize(("fault", "why"), FAULTS, ids=range(len(FAULTS)))
def test_the_last_valid_keys_are_used_for_ten_minutes_more(
    fault: StoreError | StoredObject | None, why: str, tmp_path: Path
) -> None:
    instance = new_instance(config_with(FIRST, tmp_path))
    valid = names(instance, NOW)
    with patch.object(FileStore, "read", side_effect=repeat(fault)):
        assert names(instance, NOW + 60) == valid
        assert names(instance, NOW + 659) == valid
        with pytest.raises(Problem, match=why) as raised:
            names(instance, NOW + 660)
    assert (raised.value.status, raised.value.code) == (503, "keys_unavailable")


def test_a_failed_read_is_logged_without_the_address_and_a_corrected_document_used_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instance = new_instance(config_with(FIRST, tmp_path))
    valid = names(instance, NOW)
    write(instance, b"{", at=1000)
    assert names(instance, NOW + 60) == valid
    warning = {"warning": "keys_not_renewed", "why": "it is malformed", "age": 60}
    assert json.loads(capsys.readouterr().out) == warning
    write(instance, json.dumps(SECOND).encode(), at=2000)
    assert names(instance, NOW + 69.9) == valid
    assert names(instance, NOW + 75) == ["stranger"]
    write(instance, b"{", at=3000)
    assert names(instance, NOW + 734) == ["stranger"]


@pytest.mark.parametrize("first", [NOW, NOW + 60], ids=["first read", "renewal"])
def test_the_pause_begins_when_a_read_has_failed(first: float, tmp_path: Path) -> None:
    seconds = [0.0]
    instance = Instance(config_with(FIRST, tmp_path), Clock(monotonic=lambda: seconds[0]))
    if first != NOW:
        names(instance, NOW)

    def fail(*_: object) -> NoReturn:
        seconds[0] += 10
        raise StoreError("read", 0, UNREACHABLE, "")

    with patch.object(FileStore, "read", side_effect=fail) as read:
        for second in (0, 10, 19.9):
            seconds[0] = max(seconds[0], second)
            with suppress(Problem):
                names(instance, first + second)
        assert read.call_count == 1
        seconds[0] = 20
        with suppress(Problem):
            names(instance, first + 20)
        assert read.call_count == 2
        # A clock that was set back does not prolong the pause.
        seconds[0] = 40
        with suppress(Problem):
            names(instance, first - 86_400)
        assert read.call_count == 3


def test_fifty_strangers_without_a_keys_document_cost_one_request(
    oss: LocalOss, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = new_instance(oss.config)
    requests = watch_requests(monkeypatch)
    for _ in range(50):
        stranger = event("/open/a.txt", headers={"Authorization": f"Bearer {READER}"})
        answered = invoke(json.dumps(stranger), instance=instance)
        assert (answered.status, answered.code) == (503, "keys_unavailable")
        assert "it does not exist" in answered.json["detail"]
        assert "examplebucket" not in answered.body + answered.printed
    assert requests == [PLACE.key]


def test_one_of_many_reads_first_and_the_others_wait_for_it(tmp_path: Path) -> None:
    instance, started = new_instance(config_with(FIRST, tmp_path)), Barrier(8)

    def use(_: int) -> Keys:
        started.wait(30)
        return keys_at(instance, NOW)

    read = FileStore.read

    def slow(store: FileStore, name: str, known: str = "") -> StoredObject | None:
        time.sleep(0.1)
        return read(store, name, known)

    with (
        ThreadPoolExecutor(8) as pool,
        patch.object(FileStore, "read", slow),
        patch.object(current, "parse", wraps=parse) as parsed,
    ):
        assert len({id(keys) for keys in pool.map(use, range(8))}) == 1
    assert parsed.call_count == 1


def test_while_oss_hangs_nobody_waits_for_longer_than_two_seconds(oss: LocalOss) -> None:
    oss.put_keys(FIRST)
    with fault_proxy(oss.url) as proxy:
        instance = new_instance(make_config(LINKS, {"LINK_OSS_ENDPOINT": proxy.url}))
        valid = names(instance, NOW)
        proxy.arm("never", 0, is_lasting=True)

        def use(_: int) -> float:
            started = time.monotonic()
            assert names(instance, NOW + 60) == valid
            return time.monotonic() - started

        with ThreadPoolExecutor(8) as pool:
            *others, reader = sorted(pool.map(use, range(8)))
        assert 1.9 < reader < 3  # the rest is for a busy machine
        assert max(others) < 1
        assert use(0) < 1
        assert len(proxy.calls) == 1


def test_a_clock_that_was_set_back_keeps_no_revoked_key_valid(tmp_path: Path) -> None:
    instance = new_instance(config_with(FIRST, tmp_path))
    names(instance, NOW)
    write(instance, json.dumps(SECOND).encode(), at=1000)
    assert names(instance, NOW - 1) == ["stranger"]


def test_without_a_keys_document_an_authenticated_mount_says_what_to_add_and_every_key_is_unknown() -> (
    None
):
    answered = ask(
        headers={"Authorization": f"Bearer {READER}"}, config=mount(access="authenticated")
    )
    assert (answered.status, answered.code) == (503, "keys_unavailable")
    assert "Add keys" in answered.json["detail"]
    assert (
        ask(headers={"Authorization": f"Bearer {READER}"}, config=mount()).code
        == "unknown_credential"
    )


@pytest.mark.parametrize(
    "path", ["keys.json", "./keys.json", "../folder/keys.json", "{folder}/keys.json"]
)
def test_a_file_is_found_relative_to_links_toml(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "links.toml").write_text(
        f'region = "cn-hangzhou"\nkeys = "file:{path.format(folder=folder)}"\n'
    )
    monkeypatch.chdir(tmp_path)
    for links_toml in (str(folder / "links.toml"), "folder/links.toml"):
        assert load.load(links_toml, {}).keys_document == folder / "keys.json"
    monkeypatch.chdir(folder)
    assert load.load("links.toml", {}).keys_document == folder / "keys.json"
