"""`"overwrite": true` on PUT links: an anonymous mount must allow it, because everyone can request it."""

from __future__ import annotations

import pytest

from tests.worlds import WRITER, Service


def test_overwriting_is_allowed_on_request(in_memory: Service) -> None:
    assert "x-oss-forbid-overwrite" not in in_memory.sign_put(WRITER, path="/team/a", overwrite=True)["headers"]
    for overwrite in (None, False):
        link = in_memory.sign_put(WRITER, path="/team/a", overwrite=overwrite)
        assert link["headers"]["x-oss-forbid-overwrite"] == "true"


@pytest.mark.parametrize("key", [None, WRITER])
def test_an_anonymous_mount_allows_overwriting_only_if_it_says_so(in_memory: Service, key: str | None) -> None:
    error = in_memory.sign_put(key, overwrite=True)["error"]
    assert (error["status"], error["code"]) == (400, "not_signable")
    assert "overwrite" in error["detail"]
    assert in_memory.sign_put(key, overwrite=False)["headers"]["x-oss-forbid-overwrite"] == "true"
    allowing = in_memory.with_mount("/in/", overwrite=True)
    assert "x-oss-forbid-overwrite" not in allowing.sign_put(key, overwrite=True)["headers"]
    assert "x-oss-forbid-overwrite" in allowing.sign_put(key)["headers"]


def test_a_mount_may_forbid_overwriting_to_everyone(in_memory: Service) -> None:
    forbidding = in_memory.with_mount("/team/", overwrite=False)
    assert forbidding.sign_put(WRITER, path="/team/a", overwrite=True)["error"]["code"] == "not_signable"
