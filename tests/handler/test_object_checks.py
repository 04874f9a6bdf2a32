"""Where a mount says `check = true`, what cannot be downloaded is told by us and not by OSS's XML."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from urllib3.connection import HTTPConnection

from handler import oss
from handler.config import Location
from signer import Endpoint
from tests.handler.client import Answered
from tests.handler.flaky_oss import unsteady_oss
from tests.handler.keys_fixtures import BUCKET
from tests.handler.share_fixtures import ShareService, share_service, share_service_with_oss

HTML = {"Accept": "text/html"}


@pytest.fixture
def found(tmp_path: Path) -> Iterator[ShareService]:
    """/open/ is looked at before it is linked, and lets versions be named."""
    with share_service_with_oss(tmp_path) as kept:
        kept.put("open/a.txt")
        yield kept.with_mount("/open/", check=True, cache=None)


def archived(found: ShareService, key: str, storage_class: str) -> None:
    assert found.oss is not None
    headers = {"Content-Type": "text/plain", "x-oss-storage-class": storage_class}
    assert found.oss.store.request("PUT", Location(BUCKET, key), headers=headers, body=b"cold").ok


def test_what_is_there_is_linked(found: ShareService) -> None:
    for method in ("GET", "HEAD"):
        answer = found.request("/open/a.txt", method)
        assert (answer.status, answer.signs(method)) == (302, True)
    assert found.request("/open/a.txt", query={"format": "json"}).status == 200


class ManyHeaders(BaseHTTPRequestHandler):
    """OSS for one object with as many metadata headers as the path says."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        for number in range(int(urlsplit(self.path).path.rpartition("/")[2])):
            self.send_header(f"x-oss-meta-{number}", "v")
        self.send_header("x-oss-storage-class", "Archive")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


# OSS keeps 8 KB of metadata.
@pytest.mark.parametrize("count", [90, 110, 2048])
def test_an_object_with_many_metadata_headers_is_read_like_any_other(found: ShareService, count: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ManyHeaders)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        endpoint = Endpoint.path_style(f"http://127.0.0.1:{server.server_port}", "cn-hangzhou")
        answer = found.with_config(oss_endpoint=endpoint).request(f"/open/{count}")
        # The last header, its storage class, was read too.
        assert (answer.status, answer.code) == (409, "object_archived")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_missing_object_is_our_404_like_any_other(found: ShareService) -> None:
    nowhere = found.request("/nowhere/none.txt")
    for answer in (found.request("/open/none.txt"), found.request("/open/none.txt", query={"format": "json"})):
        assert (answer.status, answer.json) == (404, nowhere.json)
    assert found.request("/open/none.txt", "HEAD").status == 404
    assert found.request("/open/none.txt").line["mount"] is None


def test_without_check_nothing_is_looked_at(found: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oss.OssClient, "request", lambda *args, **more: pytest.fail("OSS was asked"))
    assert found.with_mount("/open/", check=False).request("/open/none.txt").status == 302


@pytest.mark.parametrize("storage_class", ["Archive", "ColdArchive", "DeepColdArchive"])
def test_an_object_in_cold_storage_is_a_409_until_it_is_restored(
    found: ShareService, storage_class: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found.oss is not None
    archived(found, "open/cold.txt", storage_class)
    answer = found.request("/open/cold.txt")
    assert (answer.status, answer.code) == (409, "object_archived")
    assert "cold storage" in found.request("/open/cold.txt", headers=HTML).body
    restored = 'ongoing-request="false", expiry-date="Sun, 16 Apr 2017 08:12:33 GMT"'
    headers = {"x-oss-storage-class": storage_class, "x-oss-restore": restored}
    monkeypatch.setattr(oss.OssClient, "head", lambda *args: oss.OssResponse(200, headers, b"", ""))
    assert found.request("/open/cold.txt").status == 302


@pytest.mark.parametrize("storage_class", ["Standard", "IA"])
def test_an_object_in_warm_storage_is_linked(found: ShareService, storage_class: str) -> None:
    archived(found, "open/warm.txt", storage_class)
    assert found.request("/open/warm.txt").status == 302


def test_a_restore_under_way_is_still_a_409(found: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"x-oss-storage-class": "Archive", "x-oss-restore": 'ongoing-request="true"'}
    monkeypatch.setattr(oss.OssClient, "head", lambda *args: oss.OssResponse(200, headers, b"", ""))
    assert found.request("/open/a.txt").code == "object_archived"


def test_the_version_that_is_asked_for_is_looked_at(found: ShareService) -> None:
    found.set_versioning("Enabled")
    assert found.oss is not None
    kept = found.oss.store.put(Location(BUCKET, "open/a.txt"), b"second", content_type="text/plain")
    version = kept.headers["x-oss-version-id"]
    assert found.request("/open/a.txt", query={"versionId": version}).query == {"versionId": version}
    marker = found.oss.store.delete(Location(BUCKET, "open/a.txt")).headers["x-oss-version-id"]
    assert found.request("/open/a.txt").status == 404
    assert found.request("/open/a.txt", query={"versionId": version}).status == 302
    for none in (marker, version[::-1], "no version"):
        assert found.request("/open/a.txt", query={"versionId": none}).status == 404


def test_an_oss_that_says_nothing_of_the_object_is_a_503(found: ShareService) -> None:
    silent = found.with_config(oss_endpoint=Endpoint.path_style("http://127.0.0.1:1", "cn-hangzhou"))
    assert found.config.oss_endpoint is not None
    refused = found.with_config(oss_endpoint=found.config.oss_endpoint._replace(region="cn-beijing"))
    for broken in (silent, refused):
        answer = broken.request("/open/a.txt")
        assert (answer.status, answer.code) == (503, "oss_unavailable")
        assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    ("fates", "status", "requests"),
    [
        (["passed"], 302, 1),
        (["delayed"], 302, 1),
        # Once more on a connection fault, and no more than that.
        (["dropped before", "passed"], 302, 2),
        (["dropped after", "passed"], 302, 2),
        (["dropped before", "dropped before", "passed"], 503, 2),
        # An answer is an answer, and a silence no connection fault.
        (["failed before", "passed"], 503, 1),
        (["stalled after", "passed"], 503, 1),
    ],
)
def test_a_connection_fault_is_tried_once_more(
    found: ShareService, monkeypatch: pytest.MonkeyPatch, fates: list[str], status: int, requests: int
) -> None:
    assert found.oss is not None
    monkeypatch.setattr(oss, "TIMEOUT", (1.0, 0.2))
    with unsteady_oss(found.oss.url, 0, fates) as (address, unsteady):
        answer = found.with_config(oss_endpoint=Endpoint.path_style(address, "cn-hangzhou")).request("/open/a.txt")
        assert answer.status == status
        assert unsteady.happened.total() == requests


def test_one_connection_serves_many_invocations(found: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int | None] = []
    connect = HTTPConnection.connect

    def counted(connection: HTTPConnection) -> None:
        opened.append(connection.port)
        connect(connection)

    assert found.oss is not None
    monkeypatch.setattr(HTTPConnection, "connect", counted)
    monkeypatch.setattr(oss, "_sessions", [])
    # The local OSS ends each connection itself, the proxy before it none.
    with unsteady_oss(found.oss.url, 0, ["passed"] * 10) as (address, _):
        through = found.with_config(oss_endpoint=Endpoint.path_style(address, "cn-hangzhou"))
        for path, status in [("/open/a.txt", 302), ("/open/none.txt", 404)] * 5:
            assert through.request(path).status == status
    assert len(opened) == 1


def test_it_is_looked_at_through_the_internal_endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hosts: list[str] = []

    def head(store: oss.OssClient, *args: object) -> oss.OssResponse:
        hosts.append(store.endpoint.host(BUCKET))
        return oss.OssResponse(200, {}, b"", "")

    monkeypatch.setattr(oss.OssClient, "head", head)
    answer: Answered = share_service(tmp_path).with_mount("/open/", check=True).request("/open/a.txt")
    assert hosts == ["examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"]
    assert answer.url.startswith("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/")
