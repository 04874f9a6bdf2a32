"""No link ever reaches the keys document, whichever mount covers it and however its path is written."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.handler.client import Answered, ask, make_config
from tests.handler.keys_fixtures import READER, config_with, document

LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"

[[mount]]
path = "/"
target = "oss://examplebucket/"
access = "anonymous"
whole_bucket = true
unknown_query = "ignore"
query = ["versionId", "response-content-type"]

[[mount]]
path = "/near/"
target = "oss://examplebucket/.links/"
access = "anonymous"

[[mount]]
path = "/deep/.links/"
target = "oss://examplebucket/.links/"
access = "anonymous"
"""

RESERVED = [
    "/.links/keys.json",
    "/%2elinks/keys.json",
    "/%2Elinks/keys.json",
    "/.links%2fkeys.json",
    "/.links%2Fkeys.json",
    "/.links/keys%2ejson",
    "/.links/%6b%65%79%73.json",
    "/%2e%6c%69%6e%6b%73%2f%6b%65%79%73%2e%6a%73%6f%6e",
    "/.links/keys.json.lock",
    "/.links/keys.json%2elock",
    "/.links/keys.json.0123456789ab",
    "/.links/keys.json/",
    "/.links/keys.json/x",
    "/.links/state/shares/x.json",
    "/.links/state/index/x",
    "/near/keys.json",
    "/near/%6beys.json",
    "/near/keys.json.lock",
    "/near/state/shares/x.json",
    "/%6eear/keys.json",
    "/deep/.links/keys.json",
]
# Names of other objects, which look the same to a program that decodes twice, folds case or normalises Unicode.
OTHERS = [
    "/%252elinks/keys.json",
    "/.links%252fkeys.json",
    "/.LINKS/keys.json",
    "/.links/KEYS.JSON",
    "/.links/key%EF%BD%93.json",
    "/.links/keys%E2%80%A4json",
    "/.links%5Ckeys.json",
    "/.links;/keys.json",
    "/%20.links/keys.json",
    "/.links/%20keys.json",
]

CONFIG = make_config(LINKS)


def key_of(answered: Answered) -> str:
    """The key in the link, as OSS decodes it: once."""
    return unquote(urlsplit(answered.headers["Location"]).path)[1:]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", RESERVED)
def test_a_link_to_the_document_is_a_404(path: str, method: str) -> None:
    answered = ask(path, method, config=CONFIG)
    assert answered.status == 404
    assert "Location" not in answered.headers


@pytest.mark.parametrize("path", OTHERS)
def test_a_path_that_only_looks_like_the_document_is_another_object(path: str) -> None:
    answered = ask(path, config=CONFIG)
    assert answered.status == 302
    assert key_of(answered) == unquote(path)[1:]
    assert not key_of(answered).startswith((".links/keys.json", ".links/state/"))


def test_an_api_key_for_every_path_does_not_reach_it(tmp_path: Path) -> None:
    entry = {**document()["api"][0], "paths": ["/"], "methods": ["GET", "PUT", "POST", "SHARE"]}
    config = config_with(document(api=[entry]), tmp_path, LINKS)
    for path in RESERVED:
        assert ask(path, headers={"Authorization": f"Bearer {READER}"}, config=config).status == 404
    assert ask("/near/other.json", headers={"Authorization": f"Bearer {READER}"}, config=config).status == 200
