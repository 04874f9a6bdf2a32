"""On a domain of yours, links show only what the mount lists, because strangers upload there; the rest is downloaded.

OSS applies the query of a link to its response: `response-content-type` and `response-content-disposition`. Uploads of
types that browsers run are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer import verify
from tests.handler.client import KEYS, NOW, ask, make_config, raw_path
from tests.handler.keys_fixtures import api
from tests.handler.notice_fixtures import created, event_function, links, notice
from tests.handler.upload_fixtures import query_of
from tests.memory_oss import MemoryOss
from tests.system import WRITER, System

TYPE, DISPOSITION = "response-content-type", "response-content-disposition"
DOWNLOAD = {DISPOSITION: "attachment"}
MOUNT = """
[[mount]]
path = "/site/"
target = "oss://examplebucket/site/"
access = "anonymous"
methods = ["GET", "PUT", "POST"]
endpoint = "https://static.example.com"
max_size = "1MB"
max_share = "30d"
inline = ["image/png", "application/pdf", "text/plain; charset=utf-8"]
query = ["versionId", "response-content-disposition", "response-cache-control"]
"""
LINKS = f"""
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"
{MOUNT}
[[mount]]
path = "/silent/"
target = "oss://examplebucket/silent/"
access = "anonymous"
methods = ["GET", "POST"]
max_size = "1MB"
unknown_query = "ignore"

[[mount]]
path = "/free/"
target = "oss://otherbucket/free/"
access = "anonymous"
methods = ["GET", "PUT", "POST"]
max_size = "1MB"
"""
CONFIG = make_config(LINKS)
SHOWN = {
    "a.png": {TYPE: "image/png"},
    "A.PNG": {TYPE: "image/png"},
    "a.html.png": {TYPE: "image/png"},
    "报告.pdf": {TYPE: "application/pdf"},
    "sub.d/a.txt": {TYPE: "text/plain; charset=utf-8"},
}
DOWNLOADED = [
    "a.html",
    "a.jpg",
    "a",
    "png",
    "a.png.html",
    "a.png.",
    "a.png/b",
    "a.png%20",
    "a.p%C5%8Bg",
    "a.png/",
]


@pytest.fixture
def service(tmp_path: Path, oss: MemoryOss) -> System:
    owner = api(
        "owner", WRITER, paths=["/site/", "/free/"], methods=["GET", "PUT", "POST", "SHARE"]
    )
    return System(tmp_path, LINKS).with_keys(api=[owner])


# --- links --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_type_of_a_listed_extension_is_signed_and_everything_else_is_downloaded(
    method: str,
) -> None:
    for name, query in {**SHOWN, **dict.fromkeys(DOWNLOADED, DOWNLOAD)}.items():
        response = ask(f"/site/{name}", method, config=CONFIG)
        assert response.query == query, name
        assert verify(method, response.url, credentials=KEYS, now=NOW, bucket="examplebucket").ok


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(NAMES | NAMES.map("{}.png".format) | st.tuples(NAMES, NAMES).map(".png".join))
def test_only_the_end_of_a_name_decides(name: str) -> None:
    response = ask(raw_path(f"/site/{name}"), config=CONFIG)
    assert response.status in (302, 400)
    if response.status == 302:
        listed = name.lower().endswith((".png", ".pdf", ".txt"))
        assert set(response.query) == ({TYPE} if listed else {DISPOSITION})


def test_a_link_of_a_mount_with_another_endpoint_is_valid_at_the_domain() -> None:
    """So the mount of the same bucket is limited, too: whoever has its link may replace the host."""
    response = ask("/silent/a.html", config=CONFIG)
    assert response.url.startswith(
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/silent/a.html?"
    )
    moved = response.url.replace("examplebucket.oss-cn-hangzhou.aliyuncs.com", "static.example.com")
    assert verify("GET", moved, credentials=KEYS, now=NOW, bucket="examplebucket").ok
    assert response.query == DOWNLOAD


# --- callers ------------------------------------------------------------------------------------------------------


OVERRIDES = [
    *((TYPE, value) for value in ("text/html", "image/png")),
    *((DISPOSITION, value) for value in ("inline", "attachment; filename=a.html", "ATTACHMENT")),
]


@pytest.mark.parametrize("name", ["a.png", "a.html"])
@pytest.mark.parametrize(("parameter", "value"), OVERRIDES)
def test_a_caller_overrides_neither(name: str, parameter: str, value: str) -> None:
    response = ask(f"/site/{name}", query={parameter: value}, config=CONFIG)
    assert (response.status, response.code) == (400, "not_signable")
    assert parameter in response.json["detail"]
    assert ask(f"/site/{name}", "HEAD", {parameter: value}, config=CONFIG).status == 400


def test_a_caller_may_repeat_what_the_mount_says_and_a_mount_that_ignores_unknown_parameters_drops_them() -> (
    None
):
    assert ask("/site/a.html", query=DOWNLOAD, config=CONFIG).query == DOWNLOAD
    assert ask("/site/a.png", query=DOWNLOAD, config=CONFIG).code == "not_signable"
    assert (
        ask("/silent/a.html", query={DISPOSITION: "inline", TYPE: "text/html"}, config=CONFIG).query
        == DOWNLOAD
    )


def test_other_parameters_are_signed_beside_it() -> None:
    query = {"versionId": "CAEQNhiB", "response-cache-control": "no-cache"}
    assert ask("/site/a.png", query=query, config=CONFIG).query == {**query, TYPE: "image/png"}
    assert ask("/site/a.html", query=query, config=CONFIG).query == {**query, **DOWNLOAD}


@pytest.mark.parametrize(("name", "limits"), [("a.png", {TYPE: "image/png"}), ("a.html", {})])
def test_a_download_has_the_name_that_a_caller_gives_it(name: str, limits: dict[str, str]) -> None:
    query = ask(f"/site/{name}", query={"download": "b.html"}, config=CONFIG).query
    assert query == {
        **limits,
        DISPOSITION: "attachment; filename=\"b.html\"; filename*=UTF-8''b.html",
    }
    assert ask(f"/site/{name}", query={"download": "b", **DOWNLOAD}, config=CONFIG).status == 400


# --- every other way to a link ------------------------------------------------------------------------------------


def test_signed_links(service: System) -> None:
    shown, downloaded, free = service.sign(
        *({"path": f"/{path}"} for path in ("site/a.png", "site/a.html", "free/a.html"))
    )
    assert query_of(shown["url"])[TYPE] == "image/png"
    assert [query_of(each["url"]).get(DISPOSITION) for each in (shown, downloaded, free)] == [
        None,
        "attachment",
        None,
    ]
    for name, query in (("a.html", {DISPOSITION: "inline"}), ("a.png", {TYPE: "text/html"})):
        (result,) = service.sign({"path": f"/site/{name}", "query": query})
        assert result["error"]["code"] == "not_signable"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_shares(service: System, method: str) -> None:
    for name, shown in (("a.png", {TYPE: "image/png"}), ("a.html", DOWNLOAD)):
        share = service.create_share(key=WRITER, path=f"/site/{name}")
        query = query_of(service.open(share, method).headers["Location"])
        assert {
            name: value for name, value in query.items() if name.startswith("response-")
        } == shown
    share = service.create_share(key=WRITER, path="/site/a.html", download="b.html")
    query = query_of(service.open(f"{share}&{DISPOSITION}=inline", method).headers["Location"])
    assert query[DISPOSITION].startswith('attachment; filename="b.html"')


def test_notices(tmp_path: Path) -> None:
    with event_function(tmp_path) as function:
        function.toml = (
            MOUNT + notice(["manifest"], mount="/site/") + notice(["manifest"], "message", "/site/")
        )
        for name in ("a.html", "a.png"):
            function.put(f"site/{name}")
            function.invoke(created(f"site/{name}"))
        function.invoke(links("/site/a.html"))
        lines = function.manifest_lines()
        shown = sorted(
            (line["key"].partition("/")[2], query_of(line["url"]).get(DISPOSITION))
            for line in lines
        )
        assert shown == [("a.html", "attachment"), ("a.html", "attachment"), ("a.png", None)]
        assert {query_of(line["url"]).get(TYPE) for line in lines} == {None, "image/png"}


# --- uploads ------------------------------------------------------------------------------------------------------

# config/test_uploaded_content has every active type.
ACTIVE = ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/javascript"]
PREFIXES = ["text/", "image/", "application/", "video/"]
Attempt = Callable[[System, str, str], dict[str, Any]]


def put(service: System, path: str, content_type: str) -> dict[str, Any]:
    (result,) = service.sign(
        {"path": path, "method": "PUT", "size": 5, "headers": {"Content-Type": content_type}}
    )
    error: dict[str, Any] = result.get("error", result)
    return error


def form(service: System, path: str, content_type: str) -> dict[str, Any]:
    document: dict[str, Any] = service.post(
        "/-/form", {"path": path, "content_type": content_type}
    ).json
    return document


def multipart(service: System, path: str, content_type: str) -> dict[str, Any]:
    document: dict[str, Any] = service.post(
        "/-/uploads", {"path": path, "size": 5, "content_type": content_type}
    ).json
    return document


@pytest.mark.parametrize("attempt", [put, form, multipart])
def test_active_types_are_refused_except_where_they_cannot_run(
    service: System, attempt: Attempt
) -> None:
    for content_type in ACTIVE:
        problem = attempt(service, "/site/a.png", content_type)
        assert (problem.get("status"), problem.get("code")) == (400, "wrong_type")
        assert content_type in problem["detail"]
    if attempt is not multipart:
        assert "url" in attempt(service, "/site/a.png", "image/png")
        assert "url" in attempt(service, "/free/a.png", "text/html")


def test_a_form_for_a_prefix_that_contains_active_types_is_refused(service: System) -> None:
    for prefix in PREFIXES:
        for path in ("/site/a.png", "/site/"):
            problem = form(service, path, prefix)
            assert (problem.get("status"), problem.get("code")) == (400, "wrong_type")
        assert "fields" in form(service, "/free/a.png", prefix)


class TestUploadShares:
    @pytest.fixture
    def drop(self, uploads: System) -> System:
        """Where /in/ accepts no active types."""
        return uploads.with_mount("/in/", inline=())

    def test_active_types_are_refused_and_take_no_place(self, drop: System) -> None:
        url = drop.create_upload_share(max_files=1)
        response = drop.request_form(url, name="a.png", type="text/html")
        assert (response.status, response.code) == (400, "wrong_type")
        assert drop.request_form(url, name="a.png", type="image/png").status == 200
        upload = {"max_files": 1, "content_type": "text/html"}
        response = drop.post(
            "/-/shares", {"path": "/in/", "method": "POST", "upload": upload}, WRITER
        )
        assert (response.status, response.code) == (400, "wrong_type")

    def test_with_a_prefix_every_file_has_one_type_and_no_active_one(self, drop: System) -> None:
        url = drop.create_upload_share(content_type="image/")
        assert drop.request_form(url, type="image/svg+xml").code == "wrong_type"
        fields = drop.request_form(url, type="image/png").json["fields"]
        assert fields["x-oss-content-type"] == "image/png"
