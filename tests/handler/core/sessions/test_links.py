"""Links that a session signs end with it at the latest, and say so."""

from __future__ import annotations

import pytest

from handler.core.cloud.credentials import mount_credentials
from handler.core.cloud.sessions import Sessions
from handler.core.context import Access, Invocation, RoleCredentials
from handler.core.errors import Problem
from handler.core.links import IssuedLink, Signed, create_link
from tests.handler.client import KEYS, context, new_instance
from tests.handler.core.sessions.opener import START, Opener, config, mount_at


def create(requested: int, maximum: int, session: float, *, window: int = 0, now: float = START) -> IssuedLink:
    """A link of a session that ends `session` seconds after `START`."""
    loaded = config("12h", max_expires=maximum, expires=1)._replace(credential_life=60)
    access = Access(loaded.mounts.find("/docs/a.txt"), RoleCredentials(KEYS, START + session, is_session=True), ())
    invocation = Invocation(new_instance(loaded), None, now, {})
    return create_link(invocation, access, "GET", expires=str(requested), signed=Signed(window=window))


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


def test_without_the_table_the_functions_role_signs() -> None:
    opener = Opener()
    instance = new_instance(config()._replace(assume_role=None), START, Sessions(opener))
    role = mount_credentials(Invocation(instance, context(), START, {}), mount_at(instance.config))
    assert (role.credentials, role.is_session) == (KEYS, False)
    assert opener.calls == []
