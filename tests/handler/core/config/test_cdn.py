"""Mounts whose links a CDN checks: what such a link cannot keep is refused, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from handler.core.config import Config
from handler.core.config.load import read
from tests.handler.core.config.tables import UPLOADS, document, refusal

CDN: dict[str, Any] = {
    "path": "/videos/",
    "target": "oss://examplebucket/videos/",
    "endpoint": "https://static.example.com",
    "cdn": "static",
}
OTHER = {"path": "/in/", "target": "oss://examplebucket/"}


def config(*mounts: dict[str, Any], environ: dict[str, str] | None = None) -> Config:
    return read(document(*mounts, keys="file:keys.json"), environ or {})


def refused(*mounts: dict[str, Any]) -> str:
    return refusal(document(*mounts, keys="file:keys.json"))


def test_a_mount_names_its_entry_of_the_keys_document() -> None:
    mount = config(CDN).mounts[0]
    assert (mount.cdn, mount.endpoint.url("examplebucket", "a.mp4")) == ("static", "https://static.example.com/a.mp4")


def test_links_may_last_for_a_year() -> None:
    assert config({**CDN, "expires": "90d", "max_expires": "365d"}).mounts[0].max_expires == 31_536_000
    assert "max_expires must be a duration from 1 to 31536000" in refused({**CDN, "max_expires": "366d"})
    plain = {name: value for name, value in CDN.items() if name != "cdn"}
    assert "max_expires must be a duration from 1 to 604800" in refused({**plain, "max_expires": "8d"})


def test_the_link_of_a_notice_may_outlast_the_credentials() -> None:
    notice = {"on": "message", "mount": "/videos/", "to": ["team"], "expires": "90d"}
    more = {"keys": "file:keys.json", "state": "oss://examplebucket/.links/state/", "notice": [notice]}
    assert read(document({**CDN, "max_expires": "365d"}, **more), {}).notices[0].expires == 7_776_000
    plain = {**CDN, "max_expires": "7d"}
    del plain["cdn"]
    notice["expires"] = "7d"
    assert "exceeds credential_life" in refusal(document(plain, **more))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"endpoint": "public"}, "cdn requires endpoint: the domain of the CDN"),
        ({"endpoint": "https://oss-cn-hangzhou.aliyuncs.com"}, "cdn requires endpoint: the domain of the CDN"),
        ({"cdn": "a/b"}, "cdn must be 1 to 64 letters"),
        ({"cdn": ""}, "cdn is required"),
        ({**UPLOADS}, "a link of a CDN does not sign its method"),
        ({"methods": ["GET", "POST"], "max_size": "1MB"}, "a link of a CDN does not sign its method"),
        ({"query": ["versionId"]}, "query is about requests to OSS: a CDN does not sign it"),
        ({"process": ["style/small"], "query": ["x-oss-process"]}, "a CDN does not sign it"),
        ({"traffic_limit": "1MB"}, "traffic_limit is about requests to OSS: a CDN does not sign it"),
        ({"inline": ["image/png"]}, "inline is about requests to OSS: a CDN does not sign it"),
    ],
)
def test_what_a_cdn_does_not_keep_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    assert reason in refused({**CDN, **changes})


def test_links_of_a_cdn_require_a_keys_document() -> None:
    assert "cdn requires keys" in refusal(document(CDN))


def test_uploads_to_its_objects_require_a_cdn_that_sends_no_query() -> None:
    for target in ("oss://examplebucket/", "oss://examplebucket/videos/", "oss://examplebucket/videos/in/"):
        uploads = {**OTHER, **UPLOADS, "target": target}
        assert "uploads to the mount /in/ reach its objects" in refused(CDN, uploads)
        assert config({**CDN, "cdn_ignores_query": True}, uploads).mounts
    assert config(CDN, {**OTHER, **UPLOADS, "target": "oss://examplebucket/others/"}).mounts
    assert config(CDN, {**OTHER, **UPLOADS, "target": "oss://anotherbucket/videos/"}).mounts


def test_only_links_of_a_cdn_may_ignore_the_query() -> None:
    assert "cdn_ignores_query requires cdn" in refused({**OTHER, "cdn_ignores_query": True})


def test_on_a_laptop_only_the_links_of_the_cdn_go_to_its_stand_in() -> None:
    environ = {
        "LINK_OSS_ENDPOINT": "http://127.0.0.1:9001",
        "LINK_CDN_ENDPOINT": "other=http://127.0.0.1:9005, static=http://127.0.0.1:9004",
    }
    mounts = config(CDN, OTHER, environ=environ).mounts.by_path
    assert mounts["/videos/"].endpoint.url("examplebucket", "a.mp4") == "http://127.0.0.1:9004/a.mp4"
    assert mounts["/videos/"].own_endpoint.url("examplebucket", "a") == "http://127.0.0.1:9001/examplebucket/a"
    assert mounts["/in/"].endpoint.domain == "127.0.0.1:9001"

    for address in ("https://cdn.example.com", ""):
        sentence = refusal(document(CDN, keys="file:keys.json"), {"LINK_CDN_ENDPOINT": f"static={address}"})
        assert "LINK_CDN_ENDPOINT" in sentence
