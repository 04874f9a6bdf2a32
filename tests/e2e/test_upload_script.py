"""docs/upload.js unchanged, on a page of another origin in Chromium: parts that fail, and links that expire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Response, Route

from handler.core.errors import Problem
from tests.e2e.system import KEY, System

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


class Traffic:
    """The requests to OSS: the statuses of the PUTs of each part, and how many were sent at the same time."""

    def __init__(self, page: Page, oss: str) -> None:
        self.oss = oss
        self.statuses: dict[int, list[int]] = {}
        self.max_parallel = self._now = 0
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)
        page.on("response", self._answer)

    def _is_part(self, request: Request) -> bool:
        return request.url.startswith(self.oss) and request.method == "PUT"

    def _begin(self, request: Request) -> None:
        self._now += self._is_part(request)
        self.max_parallel = max(self.max_parallel, self._now)

    def _end(self, request: Request) -> None:
        self._now -= self._is_part(request)

    def _answer(self, response: Response) -> None:
        if self._is_part(response.request):
            self.statuses.setdefault(number_of(response.url), []).append(response.status)


def number_of(url: str) -> int:
    return int(url.partition("partNumber=")[2].partition("&")[0])


def upload(
    system: System, page: Page, path: str, state: dict[str, Any] | None = None, tries: int = 5, size: int = SIZE
) -> dict[str, Any]:
    """Runs the script, and returns its state, its progress and its error."""
    params = [system.stack.http_url, KEY, path, size, state or {"partSize": PART}, tries]
    result: dict[str, Any] = page.evaluate(UPLOAD, params)
    return result


def test_a_file_is_sent_in_parallel_with_progress(world: System, page: Page) -> None:
    traffic = Traffic(page, world.stack.oss_url)
    result = upload(world, page, "/in/script/季度 big.txt")
    assert result["error"] is None
    assert world.stored_objects()["inbox/script/季度 big.txt"] == CONTENT
    assert traffic.statuses == {number: [200] for number in range(1, 13)}
    assert traffic.max_parallel > 1
    assert result["progress"][-1] == 1
    assert any(0 < value < 1 for value in result["progress"])
    assert all(0 <= value <= 1 for value in result["progress"])
    head = world.bucket_client().head_object("inbox/script/季度 big.txt")
    assert head.headers["Content-Type"] == "text/plain"


def test_links_beyond_the_first_hundred_come_a_hundred_at_a_time(world: System, page: Page) -> None:
    asked: list[object] = []
    routes = ("/-/uploads", "/parts")
    page.on("request", lambda request: asked.append(request.post_data_json) if request.url.endswith(routes) else None)
    result = upload(world, page, "/in/script/many.txt", size=102 * PART)
    assert result["error"] is None
    assert len(world.stored_objects()["inbox/script/many.txt"]) == 102 * PART
    counts = [params.get("count") for params in asked if isinstance(params, dict)]
    assert counts == [None, 100, 1]  # the last is for the link that completes the upload


def test_a_part_that_fails_once_is_sent_again(world: System, page: Page) -> None:
    traffic = Traffic(page, world.stack.oss_url)
    interrupt(page, "partNumber=5&", once=True)
    result = upload(world, page, "/in/script/failed-once.txt")
    assert result["error"] is None
    assert world.stored_objects()["inbox/script/failed-once.txt"] == CONTENT
    assert traffic.statuses == {number: [200] for number in range(1, 13)}


@pytest.mark.long
def test_links_that_expire_in_the_middle_are_renewed(world: System, page: Page) -> None:
    traffic = Traffic(page, world.stack.oss_url)
    # Too slow for links that expire after two seconds.
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300 * 1024}
    devtools.send("Network.emulateNetworkConditions", limits)
    result = upload(world, page, "/brief/big.txt")
    assert result["error"] is None
    assert world.stored_objects("brief/")["brief/big.txt"] == CONTENT
    assert all(statuses[-1] == 200 for statuses in traffic.statuses.values())
    assert 403 in {status for statuses in traffic.statuses.values() for status in statuses}


def test_after_a_break_only_the_missing_parts_are_sent(world: System, page: Page) -> None:
    interrupted = interrupt(page, "partNumber=7&", once=False)
    first = upload(world, page, "/in/script/resumed.txt", tries=1)
    assert first["error"] == "The connection was lost"
    assert "inbox/script/resumed.txt" not in world.stored_objects()
    state = json.loads(json.dumps(first["upload"]))
    assert 0 < len(state["etags"]) < 12
    page.unroute_all()
    traffic = Traffic(page, world.stack.oss_url)
    result = upload(world, page, "/in/script/resumed.txt", state)
    assert result["error"] is None
    assert world.stored_objects()["inbox/script/resumed.txt"] == CONTENT
    assert traffic.statuses == {number: [200] for number in range(1, 13) if str(number) not in state["etags"]}
    assert result["progress"][-1] == 1
    assert interrupted


def test_errors_of_the_service_are_reported(world: System, page: Page) -> None:
    world.put("inbox/script/there.txt", b"older")
    result = upload(world, page, "/in/script/there.txt")
    assert result["error"] == Problem("object_exists").sentence
    assert upload(world, page, "/none/a.txt")["error"] == Problem("not_found").sentence


def test_a_part_that_never_arrives_ends_the_upload(world: System, page: Page) -> None:
    interrupted = interrupt(page, "partNumber=3&", once=False)
    result = upload(world, page, "/in/script/never.txt", tries=3)
    assert result["error"] == "The connection was lost"
    assert len(interrupted) == 3


def test_the_bucket_must_allow_the_page(world: System, page: Page, site: str) -> None:
    """The CORS rule of docs/uploads.md is enough, and without ETag exposed it is not."""
    try:
        for exposed, error in ((["ETag"], None), ([], "OSS answered 400")):
            world.allow_origin(site, exposed)
            assert upload(world, page, f"/in/script/cors-{len(exposed)}.txt")["error"] == error
    finally:
        world.allow_origin("*")


def interrupt(page: Page, fragment: str, *, once: bool) -> list[str]:
    """Interrupts PUT requests whose address contains a fragment, and returns their addresses."""
    interrupted: list[str] = []

    def handle(route: Route) -> None:
        if fragment in route.request.url and route.request.method == "PUT" and not (once and interrupted):
            interrupted.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.fallback()

    page.route("**/*", handle)
    return interrupted
