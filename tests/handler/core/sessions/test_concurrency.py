"""Many threads of one instance: one of them opens or renews, and no two mounts are mixed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handler.core.cloud.sessions import Sessions
from handler.core.config import Mount
from handler.core.context import RoleCredentials
from handler.core.errors import Problem
from tests.handler.core.sessions.opener import FUNCTION, START, Opener, config, mount_at

CONFIG = config(max_expires="1h")
THREADS = 50
TIMEOUT = 30  # seconds


def key_id(sessions: Sessions, now: float, path: str = "/docs/") -> str:
    return sessions.get(CONFIG, mount_at(CONFIG, path), lambda: FUNCTION, now).credentials.access_key_id


def in_threads(request: Callable[[int], Any], while_they_run: Callable[[], object] = lambda: None) -> list[Any]:
    """The results of 50 threads that begin together."""
    begin = threading.Barrier(THREADS + 1)

    def run(number: int) -> Any:
        begin.wait(TIMEOUT)
        return request(number)

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(run, number) for number in range(THREADS)]
        begin.wait(TIMEOUT)
        while_they_run()
        return [future.result(TIMEOUT) for future in futures]


@pytest.mark.parametrize(("failure", "answer"), [("", "STS.docs.1"), ("TimeoutError", "credentials_unavailable")])
def test_the_first_use_by_many_threads_is_one_call_also_if_that_fails(failure: str, answer: str) -> None:
    opener, release = Opener(), threading.Event()
    opener.failure = failure
    opener.during = lambda: release.wait(TIMEOUT)
    sessions = Sessions(opener)

    def use(_: int) -> str:
        try:
            return key_id(sessions, START)
        except Problem as problem:
            return problem.code

    assert in_threads(use, release.set) == [answer] * THREADS
    assert len(opener.calls) == 1


def test_while_one_request_renews_all_others_use_the_old_session() -> None:
    opener, asked, release = Opener(), threading.Event(), threading.Event()
    sessions = Sessions(opener)
    key_id(sessions, START)

    def hold() -> None:
        asked.set()
        assert release.wait(TIMEOUT)

    opener.during = hold
    with ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(key_id, sessions, START + 900)
        assert asked.wait(TIMEOUT)
        # STS has not answered, and nobody waits for it.
        assert [key_id(sessions, START + 900 + number) for number in range(5)] == ["STS.docs.1"] * 5
        release.set()
        assert renewal.result(TIMEOUT) == "STS.docs.2"
    assert key_id(sessions, START + 901) == "STS.docs.2"
    assert len(opener.calls) == 2


@pytest.mark.parametrize(("failure", "key"), [("Throttling.User", "STS.docs.1"), ("", "STS.docs.2")])
def test_a_request_that_found_renewal_due_leaves_it_to_another_one_that_has_tried(failure: str, key: str) -> None:
    opener = Opener()
    sessions = Sessions(opener)
    key_id(sessions, START)
    opener.failure = failure
    (slot,) = sessions._slots.values()

    class HeldMeanwhile:
        """A lock that another request had until now: it failed, or has a new session."""

        def acquire(self, blocking: bool = True) -> bool:
            slot.lock = threading.Lock()
            assert key_id(sessions, START + 900) == key
            slot.lock = self  # type: ignore[assignment]
            return True

        def release(self) -> None:
            pass

    slot.lock = HeldMeanwhile()  # type: ignore[assignment]
    # It saw what was before, and gets the lock only now.
    assert key_id(sessions, START + 900) == key
    assert len(opener.calls) == 2


def test_sessions_of_mounts_are_never_mixed() -> None:
    mounts = config(max_expires="1h").mounts
    opener = Opener()
    sessions = Sessions(opener)

    def request(number: int) -> None:
        for step in range(40):
            mount: Mount = mounts[(number + step) % 2]
            role: RoleCredentials = sessions.get(CONFIG, mount, lambda: FUNCTION, START + step * 100)
            name = mount.path.strip("/")
            for value in role.credentials[:3]:
                assert f".{name}." in str(value)
            assert role.credentials.access_key_id.partition(".")[2] in role.credentials.access_key_secret

    in_threads(request)
    assert {path for path, _ in opener.calls} == {"/docs/", "/images/"}
