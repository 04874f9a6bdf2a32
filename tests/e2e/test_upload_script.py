"""handler/web/templates/send.js with the JSON routes, on a page of another origin in Chromium, as a page with a key."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.e2e.system import KEY, ROOT, System

PART = 100 * 1024
SEND = """async ([service, key, path, size]) => {
    const post = async (route, params) => {
        const headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` };
        const response = await fetch(service + route, { method: "POST", headers, body: JSON.stringify(params) });
        return response.json();
    };
    const text = Array.from({ length: size / 6 + 1 }, (_, n) => String(n).padStart(6, "0")).join("").slice(0, size);
    const file = new File([text], "big.txt", { type: "text/plain" }), progress = [];
    let upload, now = 0, most = 0;
    const { open, send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.open = function (...asked) {
        this.addEventListener("load", () => { now -= 1; });
        open.apply(this, asked);
    };
    XMLHttpRequest.prototype.send = function (body) { now += 1; most = Math.max(most, now); send.call(this, body); };
    const uploads = {
        async begin() {
            upload = await post("/-/uploads", { path, size, part_size: 102400, content_type: file.type });
            return { upload };
        },
        links: async (id, from, count) => (await post(`/-/uploads/${id}/parts`, { path, from, count })).parts,
        async complete(id, etags) {
            const part = ([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`;
            const parts = Object.entries(etags).map(part).join("");
            const body = `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`;
            const { url, headers } = upload.complete;
            return (await fetch(url, { method: "POST", headers, body })).ok ? [] : Promise.reject("gone");
        },
    };
    const error = await sendFile(file, uploads, (bytes) => progress.push(bytes)).then(() => null, String);
    return { progress, error, most };
}"""


def send(system: System, page: Page, path: str, size: int) -> dict[str, Any]:
    page.add_script_tag(content=(ROOT / "handler/web/templates/send.js").read_text("utf-8"))
    result: dict[str, Any] = page.evaluate(SEND, [system.stack.http_url, KEY, path, size])
    return result


def test_a_file_is_sent_three_parts_at_a_time_with_links_for_a_hundred(
    world: System, page: Page, site: str
) -> None:
    asked: list[object] = []
    page.on(
        "request",
        lambda request: asked.append(request.post_data_json) if "/parts" in request.url else None,
    )
    size = 101 * PART + 7
    with world.allowing(site):
        result = send(world, page, "/in/script/季度 big.txt", size)
    assert result["error"] is None
    content = b"".join(b"%06d" % n for n in range(size // 6 + 1))[:size]
    assert world.stored_objects("inbox/script/")["inbox/script/季度 big.txt"] == content
    assert result["most"] == 3
    assert result["progress"][-1] == size == max(result["progress"])
    assert [params.get("count") for params in asked if isinstance(params, dict)] == [100]
