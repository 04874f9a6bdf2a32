"""A visitor of a custom runtime who sends the headers in which the platform sends credentials harms nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handler import asgi
from handler.core.cloud.sessions import Session, Sessions
from handler.core.cloud.sts import StsUnavailable
from handler.core.config import Config, Mount
from handler.core.context import RoleCredentials
from handler.core.request import Request
from handler.web import app
from signer import Credentials
from tests.handler.client import KEYS, OTHER_KEYS, new_instance, variables
from tests.handler.core.sessions.opener import START, config
from tests.handler.custom_runtime import platform
from tests.handler.keys_fixtures import READER, document
from tests.handler.test_adapters import Row, served
from tests.local_oss import LocalOss, local_oss

ENVIRONMENT = variables(KEYS)
FORGED = Credentials("STS.FORGEDEXAMPLE", "forgedEXAMPLE", "CAIS+forged/EXAMPLE==")


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[LocalOss]:
    with local_oss(tmp_path) as started:
        started.put_keys(document())
        yield started


@pytest.mark.parametrize("keys", [FORGED, KEYS._replace(access_key_secret="forgedEXAMPLE")])
def test_a_request_whose_key_oss_refuses_is_answered_with_the_environments(
    keys: Credentials, oss: LocalOss
) -> None:
    raw = Row("/reports/a.pdf").head(
        "", {**platform(keys=keys), "Authorization": f"Bearer {READER}"}
    )
    response = served(raw, oss.config, ENVIRONMENT)
    assert response.signs(keys=KEYS)
    assert response.line["code"] is None
    # Without others, they are the only ones, and the problem is the one that they have.
    assert served(raw, oss.config).code == "keys_unavailable"


def test_a_complete_set_is_used_and_one_without_a_token_is_not(oss: LocalOss) -> None:
    for keys, used in ((OTHER_KEYS, OTHER_KEYS), (OTHER_KEYS._replace(security_token=""), KEYS)):
        response = served(Row("/open/a.pdf").head("", platform(keys=keys)), oss.config, ENVIRONMENT)
        assert f"x-oss-credential={used.access_key_id}%2F" in response.url


@pytest.mark.parametrize("reason", ["InvalidAccessKeyId.NotFound", "Throttling.User"])
def test_a_key_that_sts_refuses_pauses_no_mount(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    callers = []

    def open_session(loaded: Config, mount: Mount, role: RoleCredentials, now: float) -> Session:
        callers.append((mount.path, role.credentials.access_key_id))
        if role.credentials != KEYS:
            raise StsUnavailable("STS refused the session.", reason, is_general=True)
        return Session(RoleCredentials(OTHER_KEYS, now + 3600, is_session=True), now, now + 3600)

    instance = new_instance(config(), START, Sessions(open_session))
    context = asgi.context_of(platform(keys=FORGED), is_control=False)
    for path in ("/docs/a.txt", "/images/a.png", "/docs/a.txt"):
        request = Request("GET", path, {}, {}, b"", "")
        response = app.answer(request, lambda: instance, context, request_id="req-EXAMPLE")
        assert response.status == 302
    assert callers == [
        (path, keys.access_key_id) for path in ("/docs/", "/images/") for keys in (FORGED, KEYS)
    ]
    assert asgi.context_of(platform("/invoke"), is_control=True).may_be_forged is False
