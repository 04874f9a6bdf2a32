"""Links that a CDN checks, as the service gives them: redirects, batches, shares, folders and notices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest

from handler.core.context import Invocation
from handler.core.errors import Problem
from handler.core.keys import cdn
from handler.core.outbox import Notice
from handler.notices.issuer import LinkIssuer
from handler.notices.rules import matching_notices
from handler.notices.sources.items import RequestedLink
from signer import CdnKey
from signer.cdn import fault_of
from signer.times import parse_rfc3339
from tests import system
from tests.handler.client import NOW, Answered, context
from tests.memory_oss import MemoryOss
from tests.system import System

KEY = "aliyuncdnexp1234"
ENTRY = {"type": "A", "key": KEY, "valid_for": 1800}
LINKS = """
region = "cn-hangzhou"
keys = "file:keys.json"
state = "oss://examplebucket/.links/state/"
credential_life = "1m"

[[mount]]
path = "/videos/"
target = "oss://examplebucket/videos/"
access = "anonymous"
endpoint = "https://static.example.com"
cdn = "static"
check = false
cache = "5m"
max_expires = "90d"

[[mount]]
path = "/reports/"
target = "oss://examplebucket/reports/"
endpoint = "https://static.example.com"
cdn = "static"
max_expires = "1h"
max_share = "30d"

[[notice]]
on = "message"
mount = "/reports/"
to = ["team"]
"""


def service(tmp_path: Path, entry: object = ENTRY, text: str = LINKS) -> System:
    """The service with this entry of the CDN static in its keys document; None for none."""
    return System(tmp_path, text).with_keys(**({} if entry is None else {"cdn": {"static": entry}}))


def opens(url: str, at: float, valid_for: int = 1800) -> bool:
    """Whether the CDN would accept a link at a time."""
    parts = urlsplit(url)
    assert parts.netloc == "static.example.com"
    return fault_of(CdnKey(KEY, valid_for), f"{parts.path}?{parts.query}", at) is None


def ends(answered: Answered | dict[str, Any]) -> int:
    document = answered if isinstance(answered, dict) else answered.json
    return int(parse_rfc3339(document["expires_at"]) or 0)


def test_expires_at_is_true_to_the_second(tmp_path: Path) -> None:
    running = service(tmp_path, {**ENTRY, "valid_for": 700})
    for expires in ("60", "15m", "700", "30d"):
        link = running.request("/videos/a%20b.mp4", query={"format": "json", "expires": expires})
        assert opens(link.url, ends(link) - 1, 700)
        assert not opens(link.url, ends(link), 700)
        assert link.json["expires_in"] == ends(link) - int(NOW)
        assert (link.json["method"], link.json["headers"], link.json["clamped_by"]) == (
            "GET",
            {},
            None,
        )


def test_its_path_keeps_what_clients_decode(tmp_path: Path) -> None:
    for path in (
        "/videos/a%21%24%26%27%28%29%2A%2C%3B%3D%3A%40~%2B%25%23%3F%20.mp4",
        "/videos/a!$&'()*,;=:@~+%25%23%3F%20.mp4",
    ):
        link = service(tmp_path).request(path)
        assert urlsplit(link.url).path == "/videos/a!$&'()*,;=:@~%2B%25%23%3F%20.mp4"
        assert opens(link.url, NOW)


def test_get_and_head_have_one_address_and_a_window_one_for_all(tmp_path: Path) -> None:
    running = service(tmp_path)
    addresses = {
        running.request("/videos/a.mp4", method, now=now).url
        for method in ("GET", "HEAD")
        for now in (NOW, NOW + 20)
    }
    assert len(addresses) == 1
    assert running.request("/videos/a.mp4", now=NOW + 300).url not in addresses


def test_a_key_that_is_too_long_with_its_prefix_is_a_400(tmp_path: Path) -> None:
    target = 'target = "oss://examplebucket/{}videos/"'
    running = service(tmp_path, text=LINKS.replace(target.format(""), target.format("prefix/")))
    path = f"/videos/{'a' * 1010}"
    refused = running.request(path)
    assert (refused.status, refused.code) == (400, "bad_path")
    assert "prefix/" not in refused.body
    assert running.request(path[:-7]).status == 302


def test_credentials_limit_no_link_of_a_cdn(tmp_path: Path) -> None:
    link = service(tmp_path).request("/videos/a.mp4", query={"format": "json", "expires": "365d"})
    assert (link.json["expires_in"] > 90 * 86_400 - 300, link.json["clamped_by"]) == (True, "mount")


def test_what_would_have_to_be_signed_is_refused_also_in_a_batch(tmp_path: Path) -> None:
    running = service(tmp_path)
    for parameter in ("download", "versionId", "response-content-type"):
        for value in ("", "name.mp4"):
            refusal = running.request("/videos/a.mp4", query={parameter: value})
            assert (refusal.status, refusal.code) == (400, "not_signable")
            assert parameter in refusal.json["detail"]
    items = [{"path": "/reports/a.pdf"}, {"path": "/reports/a.pdf", "download": "b.pdf"}]
    link, refused = running.sign(*items, key=system.MAKER)
    assert opens(link["url"], ends(link) - 1)
    assert refused["error"]["code"] == "not_signable"


@pytest.mark.parametrize("entry", [None, "text", {**ENTRY, "key": "short"}])
def test_a_key_that_is_missing_or_malformed_is_said_at_the_request(
    tmp_path: Path, entry: object
) -> None:
    other = {} if entry is None else {"static": entry}
    running = service(
        tmp_path, text=LINKS.replace('cdn = "static"\nmax_expires = "1h"', 'cdn = "other"')
    )
    running = running.with_keys(cdn={"other": ENTRY, **other})
    refused = running.request("/videos/a.mp4")
    assert (refused.status, refused.code) == (503, "cdn_key_missing")
    # Nothing else of the keys document is affected.
    assert running.request("/reports/a.pdf", key=system.OTHER).code == "not_found"
    assert opens(running.request("/reports/a.pdf", key=system.MAKER).url, NOW)


def test_the_key_is_read_once_for_all_links_and_stays_in_the_keys_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Mock(wraps=cdn.read_cdn_key)
    monkeypatch.setattr(cdn, "read_cdn_key", read)
    running = service(tmp_path)
    for name in "abc":
        answered = running.request(f"/videos/{name}.mp4")
        assert KEY not in answered.body + answered.printed + json.dumps(answered.headers)
        assert urlsplit(answered.url).query.rpartition("-")[2] not in answered.printed
    assert read.call_count == 1


def test_a_share_opens_links_of_the_cdn_that_do_not_outlive_it(
    tmp_path: Path, oss: MemoryOss
) -> None:
    running = service(tmp_path, text=f'public_url = "{system.HOST}"\n{LINKS}')
    address = running.create_share(expires="600")
    opened = running.open(address, headers=system.JSON, now=NOW + 100)
    assert ends(opened) == int(NOW) + 600
    assert opened.json["clamped_by"] == "share"
    assert opens(opened.url, NOW + 599)
    refused = running.request_share(download="b.pdf")
    assert (refused.status, refused.code) == (409, "download_not_signed")


def test_a_share_with_a_name_that_was_made_before_the_cdn_still_opens(
    tmp_path: Path, oss: MemoryOss
) -> None:
    text = f'public_url = "{system.HOST}"\n{LINKS}'
    before = service(tmp_path, text=text.replace('cdn = "static"\nmax_expires = "1h"', ""))
    address = before.create_share(download="b.pdf")
    opened = service(tmp_path, text=text).open(address)
    assert (opened.status, opens(opened.url, NOW)) == (302, True)


def test_a_notice_has_a_link_of_the_cdn_and_a_message_no_download_name(tmp_path: Path) -> None:
    running = service(tmp_path)
    invocation = Invocation(running.instance, context(), NOW, {})
    notice = Notice(
        "created",
        "/reports/",
        "examplebucket",
        "reports/a.pdf",
        "mark",
        "team",
        version="3.EXAMPLE",
    )
    sent = LinkIssuer(invocation).link(notice)
    assert sent is not None
    assert opens(sent.url, NOW)
    with pytest.raises(Problem) as refused:  # one that waits since before the CDN
        LinkIssuer(invocation).link(notice._replace(download="b.pdf"))
    assert refused.value.code == "download_not_signed"
    asked = RequestedLink("message", "origin", "/reports/a.pdf", None, "b.pdf", NOW)
    with pytest.raises(Problem, match="download"):
        list(matching_notices(running.config, asked))


def test_a_link_of_a_cdn_opens_no_session(tmp_path: Path) -> None:
    role = '[assume_role]\nrole = "acs:ram::1000000000000001:role/links-signer"\n'
    # Nothing answers at this address.
    running = System(tmp_path, LINKS + role, LINK_STS_ENDPOINT="http://127.0.0.1:9").with_keys(
        cdn={"static": ENTRY}
    )
    assert running.request("/videos/a.mp4").status == 302
