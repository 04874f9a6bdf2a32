"""Shares in the world of `tests.worlds`: what their addresses and pages contain."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from tests.handler.client import Answered
from tests.handler.keys_fixtures import READER as READER
from tests.worlds import FORM as FORM
from tests.worlds import HOST as HOST
from tests.worlds import LINKS as LINKS
from tests.worlds import MAKER as MAKER
from tests.worlds import OTHER as OTHER
from tests.worlds import Service, service, service_with_oss
from tests.worlds import keys as keys
from tests.worlds import share_key as share_key

ShareService = Service
share_service = service
share_service_with_oss = service_with_oss
DAY = 86_400


def token(url: str) -> str:
    """The token in the address of a share."""
    return urlsplit(url).query.removeprefix("share=")


def share_id(url: str) -> str:
    """The id of the record in a token that has one."""
    return token(url)[20:32]


def path(url: str) -> str:
    """The decoded path of an address."""
    return unquote(urlsplit(url).path)


def nonce_of(page: Answered) -> str:
    """The nonce in the form of a page."""
    match = re.search(r'name="nonce" value="([A-Za-z0-9_-]+)"', page.body)
    assert match is not None
    return match[1]
