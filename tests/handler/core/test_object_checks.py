"""What cannot be downloaded is told by us and not by OSS's XML: with `check = true` to all, otherwise to browsers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from handler.core.cloud import concurrency, oss
from handler.core.config import Location
from handler.web.endpoints import sign
from tests import system
from tests.fault_proxy import fault_proxy
from tests.handler.keys_fixtures import watch_requests
from tests.local_oss import BUCKET
from tests.system import System

HTML = {"Accept": "text/html"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[System]:
    """/open/ is looked at before it is linked, and lets versions be named."""
    with system.service_with_oss(tmp_path) as service:
        service.put("open/a.txt")
        yield service.with_mount("/open/", check=True, cache=None)


def archived(service: System, key: str, storage_class: str) -> None:
    headers = {"Content-Type": "text/plain", "x-oss-storage-class": storage_class}
    assert service.oss.client.request(
        "PUT", Location(BUCKET, key), headers=headers, body=b"cold"
    ).ok


def test_what_is_there_is_linked(service: System) -> None:
    for method in ("GET", "HEAD"):
        answer = service.request("/open/a.txt", method)
        assert (answer.status, answer.signs(method)) == (302, True)
    assert service.request("/open/a.txt", query={"format": "json"}).status == 200


def test_a_missing_object_is_our_404_like_any_other(service: System) -> None:
    nowhere = service.request("/nowhere/none.txt")
    for answer in (
        service.request("/open/none.txt"),
        service.request("/open/none.txt", query={"format": "json"}),
    ):
        assert (answer.status, answer.json) == (404, nowhere.json)
    assert service.request("/open/none.txt", "HEAD").status == 404
    assert service.request("/open/none.txt").line["mount"] is None


def test_without_check_nothing_is_checked(service: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        oss.OssClient, "request", lambda *args, **more: pytest.fail("OSS was asked")
    )
    assert service.with_mount("/open/", check=False).request("/open/none.txt").status == 302


@pytest.mark.parametrize("storage_class", ["Archive", "ColdArchive", "DeepColdArchive"])
def test_an_object_in_cold_storage_is_a_409_until_it_is_restored(
    service: System, storage_class: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(service, "open/cold.txt", storage_class)
    answer = service.request("/open/cold.txt")
    assert (answer.status, answer.code) == (409, "object_archived")
    assert "cold storage" in service.request("/open/cold.txt", headers=HTML).body
    readable = service.with_mount("/open/", archive_direct_read=True).request("/open/cold.txt")
    assert readable.status == (302 if storage_class == "Archive" else 409)
    archived(service, "open/cold.txt", "IA")
    assert service.request("/open/cold.txt").status == 302
    restored = 'ongoing-request="false", expiry-date="Sun, 16 Apr 2017 08:12:33 GMT"'
    for restore, status in (('ongoing-request="true"', 409), (restored, 302)):
        headers = {"x-oss-storage-class": storage_class, "x-oss-restore": restore}
        monkeypatch.setattr(
            oss.OssClient,
            "head",
            lambda *_, headers=headers: oss.OssResponse(200, headers, b"", ""),
        )
        assert service.request("/open/cold.txt").status == status


def test_the_requested_version_is_checked(service: System) -> None:
    service.oss.set_versioning("Enabled")
    stored = service.oss.client.put(
        Location(BUCKET, "open/a.txt"), b"second", content_type="text/plain"
    )
    version = stored.headers["x-oss-version-id"]
    assert service.request("/open/a.txt", query={"versionId": version}).query == {
        "versionId": version
    }
    marker = service.oss.client.delete(Location(BUCKET, "open/a.txt")).headers["x-oss-version-id"]
    assert service.request("/open/a.txt").status == 404
    assert service.request("/open/a.txt", query={"versionId": version}).status == 302
    for none in (marker, version[::-1], "no version"):
        assert service.request("/open/a.txt", query={"versionId": none}).status == 404


@pytest.mark.parametrize(
    ("target", "path", "query", "code"),
    [
        ("a-prefix-longer-than-the-path/", "/open/" + "a" * 1010, {}, "bad_path"),
        ("", "/open/%5Ca", {}, "bad_path"),
        ("open/", "/open/a.txt", {"versionId": "a\nb"}, "bad_query"),
    ],
)
def test_what_cannot_be_signed_is_a_400(
    service: System, target: str, path: str, query: dict[str, str], code: str
) -> None:
    answer = service.with_mount("/open/", target=Location(BUCKET, target)).request(
        path, query=query
    )
    assert (answer.status, answer.code) == (400, code)


def test_an_oss_that_says_nothing_of_the_object_is_a_503_and_the_log_says_why(
    service: System,
) -> None:
    silent = service.at("http://127.0.0.1:1")
    refused = service.at(service.oss.url, "cn-beijing")
    for broken, cause in (
        (silent, "OSS cannot be reached (the connection was refused)"),
        (refused, "HeadObject: 400 AuthorizationQueryParametersError"),
    ):
        answer = broken.request("/open/a.txt")
        assert (answer.status, answer.code) == (503, "oss_unavailable")
        assert answer.headers["Retry-After"]
        assert answer.line["cause"] == cause


def test_a_name_that_is_not_found_is_told_from_a_network_that_is_down(
    service: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = service.at("http://localhost:1").request("/open/a.txt")
    assert answer.line["cause"] == "OSS cannot be reached (its name was not found)"


@pytest.mark.parametrize(
    ("faults", "status", "requests", "cause"),
    [
        # Once more on a connection fault, and no more than that.
        (["reset"], 302, 2, None),
        (["reset", "reset"], 503, 2, "OSS cannot be reached (ConnectionResetError)"),
        # An answer is an answer, and a silence no connection fault.
        (["503"], 503, 1, "HeadObject: 503"),
        (["never after"], 503, 1, "OSS did not answer in time"),
    ],
)
def test_a_connection_fault_is_tried_once_more(
    service: System,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[str],
    status: int,
    requests: int,
    cause: str | None,
) -> None:
    monkeypatch.setattr(oss, "TIMEOUT", (1.0, 0.2))
    with fault_proxy(service.oss.url) as proxy:
        proxy.play(*faults)
        answer = service.at(proxy.url).request("/open/a.txt")
        assert answer.status == status
        assert len(proxy.calls) == requests
    assert answer.line.get("cause") == cause


class TestPages:
    """An anonymous mount, whose `check` is "pages" by default: /open/ also has a `cache`."""

    @pytest.fixture
    def service(self, tmp_path: Path) -> Iterator[System]:
        with system.service_with_oss(tmp_path) as service:
            service.put("open/a.txt")
            archived(service, "open/cold.txt", "Archive")
            yield service

    def test_a_browser_gets_a_page_for_what_it_cannot_download(self, service: System) -> None:
        for path, method, status, title in (
            ("/open/none.txt", "GET", 404, "File not found"),
            ("/open/cold.txt", "GET", 409, "This file is in cold storage"),
            ("/open/none.txt", "HEAD", 404, ""),
        ):
            page = service.request(path, method, headers=HTML)
            assert (page.status, page.headers["Cache-Control"]) == (status, "no-store")
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert title in page.body
        assert (
            service.request("/open/none.txt", query={"versionId": "none"}, headers=HTML).status
            == 404
        )

    def test_what_can_be_downloaded_is_redirected_as_without_it(
        self, service: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = watch_requests(monkeypatch)
        without = service.with_mount("/open/", check_pages=False).request(
            "/open/a.txt", headers=HTML
        )
        assert requests == []
        answer = service.request("/open/a.txt", headers=HTML)
        assert requests == ["open/a.txt"]
        assert (answer.status, answer.headers) == (302, without.headers)
        assert answer.headers["Cache-Control"].startswith("private, max-age=")

    def test_everything_else_is_not_checked(
        self, service: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = watch_requests(monkeypatch)
        assert service.request("/open/none.txt").status == 302
        assert (
            service.request("/open/none.txt", query={"format": "json"}, headers=HTML).status == 200
        )
        assert [link["method"] for link in service.sign({"path": "/open/none.txt"})] == ["GET"]
        assert service.request("/open/none.txt", query={"expires": "soon"}).status == 400
        assert requests == []

    @pytest.mark.parametrize("fault", ["503", "never after", "half of the headers", "reset"])
    def test_an_oss_that_says_nothing_of_the_object_keeps_nobody_from_the_link(
        self, service: System, monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        monkeypatch.setattr(oss, "PAGE_TIMEOUT", 0.3)
        with fault_proxy(service.oss.url) as proxy:
            proxy.play(fault, fault)
            started = time.monotonic()
            assert service.at(proxy.url).request("/open/none.txt", headers=HTML).status == 302
            assert time.monotonic() - started < 1.5
        for other in (service.at(service.oss.url, "cn-beijing"), service.at("http://127.0.0.1:1")):
            assert other.request("/open/none.txt", headers=HTML).status == 302
        monkeypatch.setattr(
            oss.OssClient, "head", lambda *args: oss.OssResponse(403, {}, b"", "AccessDenied")
        )
        assert service.request("/open/none.txt", headers=HTML).status == 302


class TestManyLinks:
    """`POST /-/sign` looks at each object of a mount with `check`, at several at the same time."""

    def outcomes(self, service: System, *links: Mapping[str, Any]) -> list[str]:
        """For each link its method or the code of its error."""
        return [
            result["error"]["code"] if "error" in result else result["method"]
            for result in service.sign(*links)
        ]

    def test_each_link_has_an_error_of_its_own(self, service: System) -> None:
        archived(service, "open/cold.txt", "Archive")
        links: list[Any] = [
            *({"path": f"/open/{name}"} for name in ("a.txt", "none.txt", "cold.txt")),
            *({"path": f"/open/{name}", "method": "HEAD"} for name in ("a.txt", "none.txt", "\\a")),
            {"path": "/open/a.txt", "query": {"versionId": "none"}},
            {"path": "/open/none.txt", "expires": "soon"},
        ]
        codes = [
            "GET",
            "not_found",
            "object_archived",
            "HEAD",
            "not_found",
            "not_found",
            "not_found",
            "bad_expires",
        ]
        assert self.outcomes(service, *links) == codes
        missing, nowhere = service.sign({"path": "/open/none.txt"}, {"path": "/nowhere/none.txt"})
        assert missing["error"] == nowhere["error"]

    def test_without_oss_a_checked_link_is_a_503_and_the_others_are_signed(
        self, service: System
    ) -> None:
        silent = service.at("http://127.0.0.1:1")
        unchecked = silent.with_mount("/reports/", access="anonymous")
        links = [{"path": path} for path in ("/open/a.txt", "/reports/a.txt", "/open/b.txt")]
        assert self.outcomes(unchecked, *links) == ["oss_unavailable", "GET", "oss_unavailable"]

    def test_uploads_mounts_without_check_and_what_is_refused_anyway_are_not_checked(
        self, service: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            oss.OssClient, "request", lambda *args, **more: pytest.fail("OSS was asked")
        )
        upload = {"path": "/open/new.txt", "method": "PUT", "size": 1}
        assert self.outcomes(
            service.with_mount("/open/", methods=("GET", "PUT"), max_size=1), upload
        ) == ["PUT"]
        assert self.outcomes(
            service.with_mount("/open/", check=False), {"path": "/open/none.txt"}
        ) == ["GET"]
        links = [
            {"path": "/reports/a.txt"},
            {"path": "/open/a.txt", "expires": "soon"},
            {"path": "/nowhere/a"},
        ]
        codes = ["unauthorized", "bad_expires", "not_found"]
        assert self.outcomes(service.with_mount("/reports/", check=True), *links) == codes

    def test_as_many_are_checked_together_as_there_are_threads(
        self, service: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        together = threading.Barrier(concurrency.THREADS)
        at_work: list[str] = []
        counts: list[int] = []

        def head(client: oss.OssClient, location: Location, query: object) -> oss.OssResponse:
            at_work.append(location.key)
            counts.append(len(at_work))
            together.wait(timeout=30)
            at_work.remove(location.key)
            return oss.OssResponse(200, {}, b"", "")

        monkeypatch.setattr(oss.OssClient, "head", head)
        links = [{"path": f"/open/{number}.txt"} for number in range(3 * concurrency.THREADS)]
        assert [result["method"] for result in service.sign(*links)] == ["GET"] * len(links)
        assert max(counts) == concurrency.THREADS
        assert len(counts) == len(links)

    def test_a_slow_oss_does_not_hold_a_request_for_longer_than_it_may_run(
        self, service: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sign, "MAX_CHECK_SECONDS", 0)
        monkeypatch.setattr(oss.OssClient, "head", lambda *args: pytest.fail("OSS was asked"))
        assert (
            self.outcomes(service, {"path": "/open/a.txt"}, {"path": "/open/b.txt"})
            == ["oss_unavailable"] * 2
        )
