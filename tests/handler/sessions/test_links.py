"""Links that a session signs end with it at the latest, and say so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.cloud.credentials import mount_credentials
from handler.cloud.sessions import Sessions
from handler.context import Access, ExpiryLimit, Invocation, RoleCredentials
from handler.errors import Problem
from handler.links import IssuedLink, Signed, create_link
from tests.handler.client import KEYS, context, new_instance
from tests.handler.sessions.opener import FUNCTION, HOUR, START, Opener, config, mount_at


def create(
    requested: int, maximum: int, session: float, *limits: ExpiryLimit, window: int = 0, now: float = START
) -> IssuedLink:
    """A link of a session that ends `session` seconds after `START`."""
    loaded = config("12h", max_expires=maximum, expires=1)._replace(credential_life=60)
    access = Access(loaded.mounts.find("/docs/a.txt"), RoleCredentials(KEYS, START + session, is_session=True), limits)
    invocation = Invocation(new_instance(loaded), None, now, {})
    return create_link(invocation, access, "GET", expires=str(requested), signed=Signed(window=window))


SECONDS = st.integers(60, 43_200)


@given(SECONDS, SECONDS, SECONDS, SECONDS, SECONDS)
def test_a_link_ends_at_the_earliest_of_request_mount_share_caller_and_session(
    requested: int, maximum: int, share: int, caller: int, session: int
) -> None:
    issued = create(requested, maximum, session, ExpiryLimit("share", share), ExpiryLimit("caller", caller))
    order = [(None, requested), ("mount", maximum), ("share", share), ("caller", caller), ("credentials", session)]
    shortest = min(seconds for _, seconds in order)
    assert issued.link.expires_in == shortest
    assert issued.clamped_by == next(source for source, seconds in order if seconds == shortest)
    # credentials exactly where the session, and nothing else, made it shorter; credential_life is of no account.
    assert (issued.clamped_by == "credentials") is (session < min(requested, maximum, share, caller))
    assert issued.link.expires_at.timestamp() <= START + session


def test_a_link_may_be_valid_for_twelve_hours() -> None:
    issued = create(43_200, 43_200, 43_200)
    assert (issued.link.expires_in, issued.clamped_by) == (43_200, None)


def test_a_link_of_a_cached_window_ends_with_the_session_too() -> None:
    window = 600
    now = START - START % window + 599
    issued = create(43_200, 43_200, now - START + 1000, window=window, now=now)
    assert issued.link.expires_at.timestamp() == now + 1000
    assert (issued.link.expires_in, issued.clamped_by) == (1000, "credentials")


@pytest.mark.parametrize("left", [59, 0, -1])
def test_a_session_with_less_than_a_minute_signs_nothing(left: int) -> None:
    with pytest.raises(Problem) as raised:
        create(60, 60, left)
    assert raised.value.code == "credentials_expiring"


def test_until_a_session_is_renewed_links_shrink_truthfully(monkeypatch: pytest.MonkeyPatch) -> None:
    opener = Opener()
    sessions = Sessions(opener)
    loaded = config(max_expires="1h", expires="1h")
    mount = mount_at(loaded)

    def link_at(seconds: float) -> tuple[int, str | None]:
        role = sessions.get(loaded, mount, FUNCTION, START + seconds)
        access = Access(loaded.mounts.find("/docs/a.txt"), role, ())
        issued = create_link(Invocation(new_instance(loaded), None, START + seconds, {}), access, "GET")
        return issued.link.expires_in, issued.clamped_by

    assert link_at(0) == (HOUR, None)
    assert link_at(1) == (HOUR - 1, "credentials")
    assert link_at(899) == (HOUR - 899, "credentials")
    assert link_at(900) == (HOUR, None)
    opener.failure = "Throttling.User"
    assert link_at(900 + 3000) == (600, "credentials")
    assert link_at(900 + HOUR - 60) == (60, "credentials")


def test_without_the_table_the_functions_role_signs() -> None:
    opener = Opener()
    instance = new_instance(config()._replace(assume_role=None), START, Sessions(opener))
    role = mount_credentials(Invocation(instance, context(), START, {}), mount_at(instance.config))
    assert (role.credentials, role.is_session) == (KEYS, False)
    assert opener.calls == []
