"""docs/upload.js as it stands, on a page of another origin in a real Chromium: parts that fail, links that end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import oss2
import pytest
from playwright.sync_api import Browser, Page, Request, Response, Route

from tests.e2e.system import System
from tests.e2e.uploads_system import KEY, stored

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.uploads_fixtures")

PART = 100 * 1024
SIZE = 11 * PART + 77
CONTENT = b"".join(b"%06d" % n for n in range(SIZE // 6 + 1))[:SIZE]
UPLOAD = """async ([service, key, path, size, upload, tries]) => {
    const { uploadFile } = await import("/upload.js");
    const text = Array.from({ length: size / 6 + 1 }, (_, n) => String(n).padStart(6, "0")).join("").slice(0, size);
    const file = new File([text], "big.txt", { type: "text/plain" }), progress = [];
    let error = null;
    try {
        await uploadFile(service, key, path, file, upload, (part) => progress.push(part), 4, tries);
    } catch (fault) {
        error = fault.message;
    }
    return { upload, progress, error };
}"""


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """A page of another origin."""
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    found = context.new_page()
    found.goto(site)
    yield found
    context.close()


class Traffic:
    """What went to OSS: the status of each part's PUTs, and how many were under way at once."""

    def __init__(self, page: Page, oss: str) -> None:
        self.oss = oss
        self.statuses: dict[int, list[int]] = {}
        self.most = self._now = 0
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)
        page.on("response", self._answer)

    def _is_part(self, request: Request) -> bool:
        return request.url.startswith(self.oss) and request.method == "PUT"

    def _begin(self, request: Request) -> None:
        self._now += self._is_part(request)
        self.most = max(self.most, self._now)

    def _end(self, request: Request) -> None:
        self._now -= self._is_part(request)

    def _answer(self, response: Response) -> None:
        if self._is_part(response.request):
            self.statuses.setdefault(number_of(response.url), []).append(response.status)


def number_of(url: str) -> int:
    """A part's number."""
    return int(url.partition("partNumber=")[2].partition("&")[0])


def upload(system: System, page: Page, path: str, kept: dict[str, Any] | None = None, tries: int = 5) -> dict[str, Any]:
    """Runs the script; what it kept, the progress it told, and its error."""
    wish = [system.stack.http_url, KEY, path, SIZE, kept or {"partSize": PART}, tries]
    found: dict[str, Any] = page.evaluate(UPLOAD, wish)
    return found


def test_a_file_is_sent_in_parallel_with_progress(uploading: System, page: Page) -> None:
    traffic = Traffic(page, uploading.stack.oss_url)
    done = upload(uploading, page, "/in/script/季度 big.txt")
    assert done["error"] is None
    assert stored(uploading)["inbox/script/季度 big.txt"] == CONTENT
    assert traffic.statuses == {number: [200] for number in range(1, 13)}
    assert traffic.most > 1
    assert done["progress"][-1] == 1
    assert any(0 < value < 1 for value in done["progress"])
    assert all(0 <= value <= 1 for value in done["progress"])
    head = uploading.operator().head_object("inbox/script/季度 big.txt")
    assert head.headers["Content-Type"] == "text/plain"


def test_a_part_that_fails_once_is_sent_again(uploading: System, page: Page) -> None:
    traffic = Traffic(page, uploading.stack.oss_url)
    lose(page, "partNumber=5&", once=True)
    done = upload(uploading, page, "/in/script/failed-once.txt")
    assert done["error"] is None
    assert stored(uploading)["inbox/script/failed-once.txt"] == CONTENT
    assert traffic.statuses == {number: [200] for number in range(1, 13)}


def test_links_that_end_in_the_middle_are_renewed(uploading: System, page: Page) -> None:
    traffic = Traffic(page, uploading.stack.oss_url)
    # Slower than links of two seconds live.
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300 * 1024}
    slow.send("Network.emulateNetworkConditions", limits)
    done = upload(uploading, page, "/brief/big.txt")
    assert done["error"] is None
    assert stored(uploading, "brief/")["brief/big.txt"] == CONTENT
    assert all(statuses[-1] == 200 for statuses in traffic.statuses.values())
    assert 403 in {status for statuses in traffic.statuses.values() for status in statuses}


def test_after_a_break_only_what_is_missing_is_sent(uploading: System, page: Page) -> None:
    lost = lose(page, "partNumber=7&", once=False)
    broken = upload(uploading, page, "/in/script/resumed.txt", tries=1)
    assert broken["error"] == "The connection was lost"
    assert "inbox/script/resumed.txt" not in stored(uploading)
    kept = json.loads(json.dumps(broken["upload"]))
    assert 0 < len(kept["etags"]) < 12
    page.unroute_all()
    traffic = Traffic(page, uploading.stack.oss_url)
    done = upload(uploading, page, "/in/script/resumed.txt", kept)
    assert done["error"] is None
    assert stored(uploading)["inbox/script/resumed.txt"] == CONTENT
    assert traffic.statuses == {number: [200] for number in range(1, 13) if str(number) not in kept["etags"]}
    assert done["progress"][-1] == 1
    assert lost


def test_what_the_service_refuses_is_told(uploading: System, page: Page) -> None:
    uploading.put("inbox/script/there.txt", b"older")
    done = upload(uploading, page, "/in/script/there.txt")
    assert done["error"] == "There is an object at this path already, and nothing is overwritten."
    assert upload(uploading, page, "/none/a.txt")["error"] == "There is nothing at this address."


def test_a_part_that_never_arrives_ends_the_upload(uploading: System, page: Page) -> None:
    lost = lose(page, "partNumber=3&", once=False)
    done = upload(uploading, page, "/in/script/never.txt", tries=3)
    assert done["error"] == "The connection was lost"
    assert len(lost) == 3


def test_the_bucket_must_admit_the_page(uploading: System, page: Page, site: str) -> None:
    """The CORS rule of docs/uploads.md is enough, and without ETag exposed it is not."""
    bucket = uploading.operator()
    rule = {"allowed_origins": [site], "allowed_methods": ["PUT", "POST"], "allowed_headers": ["*"]}
    try:
        for exposed, error in ((["ETag"], None), ([], "OSS answered 400")):
            cors = oss2.models.BucketCors([oss2.models.CorsRule(**rule, expose_headers=exposed)])
            bucket.put_bucket_cors(cors)
            assert upload(uploading, page, f"/in/script/cors-{len(exposed)}.txt")["error"] == error
    finally:
        bucket.delete_bucket_cors()


def lose(page: Page, piece: str, *, once: bool) -> list[str]:
    """Has requests with a piece in their address lose their connection; the addresses that did."""
    lost: list[str] = []

    def handle(route: Route) -> None:
        if piece in route.request.url and route.request.method == "PUT" and not (once and lost):
            lost.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.fallback()

    page.route("**/*", handle)
    return lost
