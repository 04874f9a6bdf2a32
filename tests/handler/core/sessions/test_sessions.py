"""The session of a mount: opened at its first use, kept, and renewed by the one request that finds it due."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.core.cloud.credentials import mount_credentials
from handler.core.cloud.sessions import MIN_LIFE, Sessions, session_name
from handler.core.config import Mount
from handler.core.context import Access, Clock, Invocation, RoleCredentials
from handler.core.errors import Problem
from handler.core.links import IssuedLink, Signed, create_link
from tests.handler.client import KEYS, context, new_instance
from tests.handler.core.sessions.opener import FUNCTION, HOUR, START, Opener, config, mount_at

DOCS = config()


class Clocked:
    """The sessions of an instance, asked at times in seconds after `START`."""

    def __init__(self, opener: Opener, duration: str = "1h", **mount: Any) -> None:
        self.opener = opener
        self.config = config(duration, **mount)
        self.elapsed = 0.0
        self.sessions = Sessions(opener, lambda: 1.0, lambda: self.elapsed)

    def at(self, seconds: float, path: str = "/docs/") -> str:
        """The access key ID that signs."""
        mount = mount_at(self.config, path)
        role = self.sessions.get(self.config, mount, lambda: FUNCTION, START + seconds)
        assert role.is_session
        return role.credentials.access_key_id

    def refusal(self, seconds: float) -> Problem:
        with pytest.raises(Problem) as raised:
            self.at(seconds)
        assert (raised.value.status, raised.value.code) == (503, "credentials_unavailable")
        return raised.value


def test_a_session_is_opened_at_its_mounts_first_use_and_kept() -> None:
    opener = Opener()
    clocked = Clocked(opener, max_expires="15m")
    assert opener.calls == []
    assert [clocked.at(0), clocked.at(10), clocked.at(1000)] == ["STS.docs.1"] * 3
    assert [clocked.at(1000, "/images/"), clocked.at(1001)] == ["STS.images.2", "STS.docs.1"]
    assert opener.calls == [("/docs/", START), ("/images/", START + 1000)]


@pytest.mark.parametrize(
    ("duration", "life", "max_expires", "due"),
    [
        # when max_expires no longer fits into what is left
        ("1h", HOUR, "15m", HOUR - 900 + 1),
        # but not before 15 minutes
        ("1h", HOUR, "1h", 900),
        ("12h", 12 * HOUR, "12h", 900),
        # or before a quarter of its life, if that is shorter
        ("15m", 900, "15m", 225),
        # of its real life, which STS decides
        ("1h", 1000, "1h", 250),
    ],
)
def test_a_session_is_renewed_when_max_expires_no_longer_fits_but_not_too_young(
    duration: str, life: int, max_expires: str, due: int
) -> None:
    opener = Opener(life)
    clocked = Clocked(opener, duration, max_expires=max_expires)
    assert [clocked.at(0), clocked.at(due - 1)] == ["STS.docs.1"] * 2
    assert [clocked.at(due), clocked.at(due + 1)] == ["STS.docs.2"] * 2
    assert opener.times == [0, due]


def test_a_kept_session_is_known_without_the_functions_own_credentials() -> None:
    clocked = Clocked(Opener(), max_expires="15m")
    key_id = clocked.at(0)
    mount = mount_at(clocked.config)
    own = Mock(side_effect=Problem("no_credentials"))
    for seconds in (0, 2699):
        assert (
            clocked.sessions.get(
                clocked.config, mount, own, START + seconds
            ).credentials.access_key_id
            == key_id
        )
    for seconds in (2701, HOUR):
        with pytest.raises(Problem, match="no credentials"):
            clocked.sessions.get(clocked.config, mount, own, START + seconds)
    assert own.call_count == 2


def test_all_links_of_a_window_of_cache_have_one_session() -> None:
    opener = Opener()
    clocked = Clocked(opener, max_expires="1h", cache="10m")
    begin = -START % 600
    times = [begin + 10, begin + 909, begin + 1199, begin + 1200, begin + 1799]
    assert [clocked.at(seconds)[-1] for seconds in times] == ["1", "1", "1", "2", "2"]


def test_a_session_of_short_links_is_renewed_while_the_old_one_serves() -> None:
    clocked = Clocked(Opener(), max_expires="30s")
    assert [clocked.at(seconds) for seconds in (0, HOUR - 120, HOUR - 119)] == [
        "STS.docs.1"
    ] * 2 + ["STS.docs.2"]


# --- STS fails ----------------------------------------------------------------------------------------------------


def test_while_sts_fails_the_old_session_serves_as_long_as_it_lives() -> None:
    opener = Opener()
    clocked = Clocked(opener)
    clocked.at(0)
    opener.failure = "Throttling.User"
    assert [clocked.at(seconds) for seconds in (900, 2000, HOUR - MIN_LIFE)] == ["STS.docs.1"] * 3
    assert len(opener.calls) == 4
    problem = clocked.refusal(HOUR - MIN_LIFE + 1)
    # The last attempt was a second ago; the third one in a row waits for 4 seconds.
    assert problem.headers["Retry-After"] == "3"
    assert problem.cause == "AssumeRole: Throttling.User"
    assert len(opener.calls) == 4
    opener.failure = ""
    assert clocked.at(HOUR) == "STS.docs.2"


def test_a_failing_sts_is_asked_after_1_2_4_to_60_seconds() -> None:
    opener = Opener()
    opener.failure = "status_500"
    clocked = Clocked(opener)
    for tick in range(4000):
        clocked.refusal(tick / 10)
    waits = [
        round(later - earlier, 1)
        for earlier, later in zip(opener.times, opener.times[1:], strict=False)
    ]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    for minute in range(1200):  # a day of failures is still a 503
        clocked.refusal(500 + minute * 61)
    assert len(opener.calls) == len(waits) + 1201
    opener.failure = ""
    assert clocked.at(100_000) == "STS.docs.1"


def test_the_pause_begins_when_a_slow_call_ends() -> None:
    opener = Opener()
    opener.failure = "TimeoutError"
    clocked = Clocked(opener)

    def take_two_seconds() -> None:
        clocked.elapsed += 2

    opener.during = take_two_seconds
    assert clocked.refusal(0).headers["Retry-After"] == "3"
    for seconds in (0.5, 1, 2, 2.9):
        clocked.refusal(seconds)
    assert len(opener.calls) == 1
    clocked.refusal(3)
    assert len(opener.calls) == 2


def test_a_clock_that_was_corrected_backwards_ends_the_pause() -> None:
    """STS refuses a clock that is ahead; what it said then is not for the right time."""
    opener = Opener()
    clocked = Clocked(opener)
    opener.failure = "InvalidTimeStamp.Expired"
    assert clocked.refusal(HOUR).headers["Retry-After"] == "1"
    opener.failure = ""
    assert clocked.at(0) == "STS.docs.1"


def test_a_sts_that_throttles_is_left_alone_by_all_mounts_and_one_that_refuses_a_mount_is_not() -> (
    None
):
    opener = Opener()
    clocked = Clocked(opener)
    opener.failure = "NoPermission"
    clocked.refusal(0)
    opener.failure = "Throttling.User"
    with pytest.raises(Problem):
        clocked.at(0.2, "/images/")
    assert [path for path, _ in opener.calls] == ["/docs/", "/images/"]
    calls = len(opener.calls)
    # Now the first mount's own pause is over, and that of all mounts is not.
    clocked.refusal(1.1)
    assert len(opener.calls) == calls
    opener.failure = ""
    assert clocked.at(1.3) == "STS.docs.1"


# --- the law ------------------------------------------------------------------------------------------------------


# Fractions that a time since 1970 has exactly.
@given(
    st.lists(
        st.tuples(st.integers(0, 6000).map(lambda quarters: quarters / 4), st.booleans()),
        max_size=40,
    ),
    st.sampled_from(("15m", "1h", "12h")),
    st.integers(0, 64).map(lambda parts: parts / 64),
)
def test_whatever_sts_does_a_link_has_a_session_that_serves_and_no_call_comes_within_the_pause(
    steps: list[tuple[float, bool]], duration: str, jitter: float
) -> None:
    life = {"15m": 900, "1h": HOUR, "12h": 12 * HOUR}[duration]
    opener = Opener(life)
    clocked = Clocked(opener, duration, max_expires="1h")
    clocked.sessions = Sessions(opener, lambda: jitter, lambda: 0.0)
    now = 0.0
    failures = 0
    blocked_until = -1.0
    opened_at: float | None = None
    for step, fails in steps:
        now += step
        opener.failure = "status_500" if fails else ""
        calls = len(opener.calls)
        serves = opened_at is not None and opened_at + life - now >= MIN_LIFE
        due = opened_at is None or (
            now - opened_at >= min(900, life / 4) and opened_at + life - now < HOUR
        )
        expected = (due or not serves) and now >= blocked_until
        try:
            clocked.at(now)
        except Problem:
            assert not serves
            assert fails or not expected
        else:
            assert serves or (expected and not fails)
        assert len(opener.calls) - calls == expected
        if expected and fails:
            failures += 1
            blocked_until = now + min(60, 2 ** (failures - 1)) * (0.5 + jitter / 2)
        elif expected:
            opened_at = now
            failures = 0
            blocked_until = -1.0


# --- names --------------------------------------------------------------------------------------------------------


def test_the_name_of_a_session_has_the_mounts_path_and_six_digits_of_its_hash() -> None:
    for path, shown in (
        ("docs/2026 q3/", "docs-2026-q3"),
        ("报告/", "--"),
        ("", ""),
        ("a" * 500 + "/", "a" * 46),
    ):
        assert re.fullmatch(f"fc-presign-{shown}-[0-9a-f]{{6}}", session_name(f"/{path}"))


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_every_name_is_valid_for_sts_and_different_for_each_path(paths: list[str]) -> None:
    first, second = (session_name(f"/{path}/") for path in paths)
    assert re.fullmatch(r"[A-Za-z0-9.@_-]{2,64}", first)
    assert first != second


@pytest.mark.parametrize(
    ("clock", "key_id"), [(0.0, "STS.docs.1"), (HOUR, "STS.docs.2"), (-HOUR, "STS.docs.1")]
)
def test_a_batch_that_takes_long_gets_no_link_of_an_ended_session(
    clock: float, key_id: str
) -> None:
    """The time of an invocation is that of its begin; a clock behind it is not used."""
    instance = new_instance(DOCS, START, Sessions(Opener()))
    invocation = Invocation(instance, context(), START, {})
    assert mount_credentials(invocation, mount_at(DOCS)).credentials.access_key_id == "STS.docs.1"
    instance.clock = Clock(now=lambda: START + clock)
    assert mount_credentials(invocation, mount_at(DOCS)).credentials.access_key_id == key_id


# --- links -----------------------------------------------------------------------------------------------------------


def create(
    requested: int, maximum: int, session: float, *, window: int = 0, now: float = START
) -> IssuedLink:
    """A link of a session that ends `session` seconds after `START`."""
    loaded = config("12h", max_expires=maximum, expires=1)._replace(credential_life=60)
    access = Access(
        loaded.mounts.find("/docs/a.txt"),
        RoleCredentials(KEYS, START + session, is_session=True),
        (),
    )
    invocation = Invocation(new_instance(loaded), None, now, {})
    return create_link(
        invocation, access, "GET", expires=str(requested), signed=Signed(window=window)
    )


def test_a_link_of_a_cached_window_ends_with_the_session_too() -> None:
    window = 600
    now = START - START % window + 599
    issued = create(43_200, 43_200, now - START + 1000, window=window, now=now)
    assert issued.link.expires_at.timestamp() == now + 1000
    assert (issued.link.expires_in, issued.clamped_by) == (1000, "credentials")


def test_a_session_with_less_than_a_minute_signs_nothing() -> None:
    for left in (59, 0, -1):
        with pytest.raises(Problem, match="expire in less than a minute"):
            create(60, 60, left)


def test_without_the_table_the_functions_role_signs() -> None:
    opener = Opener()
    instance = new_instance(config()._replace(assume_role=None), START, Sessions(opener))
    role = mount_credentials(Invocation(instance, context(), START, {}), mount_at(instance.config))
    assert (role.credentials, role.is_session) == (KEYS, False)
    assert opener.calls == []


# --- many threads: one of them opens or renews, and no two mounts are mixed ------------------------------------------

CONFIG = config(max_expires="1h")
THREADS = 50
TIMEOUT = 30  # seconds


def key_id(sessions: Sessions, now: float, path: str = "/docs/") -> str:
    return sessions.get(
        CONFIG, mount_at(CONFIG, path), lambda: FUNCTION, now
    ).credentials.access_key_id


def in_threads(
    request: Callable[[int], Any], while_they_run: Callable[[], object] = lambda: None
) -> list[Any]:
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


@pytest.mark.parametrize(
    ("failure", "answer"), [("", "STS.docs.1"), ("TimeoutError", "credentials_unavailable")]
)
def test_the_first_use_by_many_threads_is_one_call_also_if_that_fails(
    failure: str, answer: str
) -> None:
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
    opener = Opener()
    asked = threading.Event()
    release = threading.Event()
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


@pytest.mark.parametrize(
    ("failure", "key"), [("Throttling.User", "STS.docs.1"), ("", "STS.docs.2")]
)
def test_a_request_that_found_renewal_due_leaves_it_to_another_one_that_has_tried(
    failure: str, key: str
) -> None:
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
            role: RoleCredentials = sessions.get(
                CONFIG, mount, lambda: FUNCTION, START + step * 100
            )
            name = mount.path.strip("/")
            for value in role.credentials[:3]:
                assert f".{name}." in str(value)
            assert (
                role.credentials.access_key_id.partition(".")[2]
                in role.credentials.access_key_secret
            )

    in_threads(request)
    assert {path for path, _ in opener.calls} == {"/docs/", "/images/"}
