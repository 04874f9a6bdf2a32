"""Each path through the HTTP service on which it asks OSS: how to reach it, and what must hold after a fault.

An attempt meets the fault; a second one, in a new instance, does not, and must succeed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from shutil import rmtree
from typing import Any, NamedTuple
from unittest.mock import patch

import requests

from handler.web.endpoints import multipart, upload_page
from signer.times import parse_rfc3339
from tests.faults.service import CALLER, Service
from tests.handler.client import Answered
from tests.handler.upload_fixtures import PART, follow_link, submit_form
from tests.system import HTML, JSON, share_id

NONCE = "nonce-EXAMPLE-000000000"
UNAVAILABLE = ("state_unavailable", "keys_unavailable", "oss_unavailable")


class Path(NamedTuple):
    """`codes` are those with which a fault may be answered, and `missing` those after a 404 of OSS, which may be true.

    `check` gets what was prepared, the response to the fault, and the later one, which may have the code `later`.
    """

    prepare: Callable[[Service], Any]
    attempt: Callable[[Service, Any], Answered]
    check: Callable[[Service, Any, Answered, Answered], None]
    codes: tuple[str, ...]
    missing: tuple[str, ...] = ()
    later: str = ""


def get(url: str) -> bytes:
    response = requests.get(url, timeout=30)
    assert response.status_code == 200, response.text
    return response.content


def opens(service: Service, name: str, first: Answered, last: Answered) -> None:
    for response in (first, last):
        if response.status in (200, 302, 303):
            location = response.headers.get("Location") or response.json["url"]
            assert get(location) == b"content"


# --- links of mounts with `check` -----------------------------------------------------------------------------------


def _check_signed(service: Service, names: list[str], first: Answered, last: Answered) -> None:
    assert [get(link["url"]) for link in last.json["links"]] == [b"content"] * len(names)
    if first.status == 200:
        opened = [get(link["url"]) for link in first.json["links"] if "url" in link]
        assert opened == [b"content"] * (len(names) - len(errors_of(first)))


# --- shares ---------------------------------------------------------------------------------------------------------


def _made(**params: Any) -> Path:
    def prepare(service: Service) -> str:
        service.delete(".links/state/probe")  # as in a new bucket
        return service.new_object("reports")

    def attempt(service: Service, name: str) -> Answered:
        return service.request_share(path=f"/reports/{name}", **params)

    def check(service: Service, name: str, first: Answered, last: Answered) -> None:
        records = service.state_names("shares/")
        for record in records:
            assert json.loads(service.read(f".links/state/{record}"))["version"] == 1
        for response in (first, last):
            if response.status == 201:
                assert get_share(service, response.json["url"]) == b"content"

    return Path(prepare, attempt, check, UNAVAILABLE, ("no_such_object",))


def get_share(service: Service, url: str) -> bytes:
    response = service.share(url, "POST", JSON)
    assert response.status == 200, response
    return get(response.json["url"])


def shared(**params: Any) -> Callable[[Service], str]:
    """The address of a new share of a new object."""

    return lambda service: service.create_share(
        path=f"/reports/{service.new_object('reports')}", **params
    )


def _check_page(service: Service, url: str, first: Answered, last: Answered) -> None:
    assert last.status == 200
    assert service.state_names(f"uses/{share_id(url)}/") == []
    assert get_share(service, url) == b"content"


def _used(*, is_repeat: bool = False, **body: str) -> Path:
    def prepare(service: Service) -> str:
        url = shared(max_uses=2)(service)
        if is_repeat:
            assert service.share(url, "POST", JSON, **body).status == 200
        return url

    def check(service: Service, url: str, first: Answered, last: Answered) -> None:
        opens(service, url, first, last)
        uses = len(service.state_names(f"uses/{share_id(url)}/"))
        if "nonce" in body:
            assert uses == 1, "the same nonce counts once"
        else:
            # Counted once for each response with a link, and at most once more if a response was lost.
            assert [first.status, last.status].count(200) <= uses <= 2

    return Path(
        prepare,
        lambda service, url: service.share(url, "POST", JSON, **body),
        check,
        UNAVAILABLE,
        ("no_such_object",),
    )


def _check_last_use(service: Service, url: str, first: Answered, last: Answered) -> None:
    """It is granted once at most, and used up if nobody got it."""
    assert len(service.state_names(f"uses/{share_id(url)}/")) == 1
    assert [response.status for response in (first, last)].count(200) <= 1
    assert last.status == 200 or first.status != 200 or last.code == "share_used_up"


def _shown(service: Service, url: str) -> Answered:
    return service.request(f"/-/shares/{share_id(url)}", key=CALLER)


def _check_shown(service: Service, url: str, first: Answered, last: Answered) -> None:
    for response in (first, last):
        if response.status == 200:
            assert (response.json["max_uses"], response.json["uses"], response.json["state"]) == (
                1,
                0,
                "active",
            )


def _check_listed(service: Service, url: str, first: Answered, last: Answered) -> None:
    assert [each["state"] in ("active", "used_up", "revoked") for each in last.json["shares"]] == [
        True
    ]


def _extended(service: Service, url: str) -> Answered:
    return service.extend(url, "20d")


def _check_extended(service: Service, url: str, first: Answered, last: Answered) -> None:
    """The end is the new one, also where only its answer was lost; uses stay."""
    shown = _shown(service, url).json
    end = parse_rfc3339(shown["expires_at"])
    assert end is not None
    assert 19 * 86_400 < end - time.time() <= 20 * 86_400
    assert (shown["state"], shown["max_uses"], shown["uses"]) == ("active", 1, 0)
    assert get_share(service, url) == b"content"


def _revoked(service: Service, url: str) -> Answered:
    return service.revoke(url)


def _check_revoked(service: Service, url: str, first: Answered, last: Answered) -> None:
    assert last.status == 204
    assert service.share(url, "POST").code == _extended(service, url).code == "share_revoked"


# --- uploads --------------------------------------------------------------------------------------------------------


def _path_in(service: Service) -> str:
    clear_uploads(service)
    return f"/in/{service.new_name()}"


def _check_put(service: Service, path: str, first: Answered, last: Answered) -> None:
    links = [
        link
        for response in (first, last)
        if response.status == 200
        for link in response.json["links"]
    ]
    # Each of the links is for one upload, and the second finds the object of the first.
    assert [follow_link(link, b"12345").status for link in links] == [200, 409][: len(links)]


def _check_form(service: Service, path: str, first: Answered, last: Answered) -> None:
    forms = [response.json for response in (first, last) if response.status == 200]
    assert [submit_form(form, b"12345").status for form in forms] == [200, 409][: len(forms)]


def _started(service: Service, path: str) -> Answered:
    return service.post("/-/uploads", {"path": path, "size": PART + 5, "part_size": PART}, CALLER)


def _check_started(service: Service, path: str, first: Answered, last: Answered) -> None:
    before = len(service.upload_folders())
    assert before <= 2, "each attempt begins at most one upload"
    if first.status == 201:
        assert follow_link(first.json["abort"]).status == 204
    send_parts(service, path, last.json)
    assert len(service.upload_folders()) == before - 1 - (first.status == 201)


def send_parts(service: Service, path: str, upload: dict[str, Any]) -> None:
    """Sends an upload as a program does, and reads the object."""
    content = bytes(range(256)) * (PART // 256) + b"12345"
    etags = []
    for part in upload["parts"]:
        chunk = content[(part["part_number"] - 1) * PART : part["part_number"] * PART]
        response = requests.put(part["url"], data=chunk, headers=part["headers"], timeout=30)
        assert response.status_code == 200, response.text
        etags.append(response.headers["ETag"])
    parts = "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>"
        for n, etag in enumerate(etags, 1)
    )
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    assert follow_link(upload["complete"], body).status == 200
    assert service.read(f"inbox/{path.rpartition('/')[2]}") == content


def clear_uploads(service: Service) -> None:
    """Removes what a lost response left, as the lifecycle rule of docs/uploads.md does."""
    for upload in service.upload_folders():
        rmtree(upload)


def _started_upload(service: Service) -> tuple[str, dict[str, Any]]:
    path = _path_in(service)
    upload: dict[str, Any] = _started(service, path).json
    return path, upload


def _more_parts(service: Service, started: tuple[str, dict[str, Any]]) -> Answered:
    path, upload = started
    return service.post(f"/-/uploads/{upload['upload_id']}/parts", {"path": path}, CALLER)


def _check_more(
    service: Service, started: tuple[str, dict[str, Any]], first: Answered, last: Answered
) -> None:
    send_parts(service, started[0], last.json)


def upload_page_for(service: Service, max_size: int = 1000) -> str:
    params = {"path": "/in/", "method": "POST", "upload": {"max_size": max_size, "max_files": 2}}
    return service.create_share(**params)


def _check_upload_page(service: Service, url: str, first: Answered, last: Answered) -> None:
    assert last.status == 200
    assert service.share(url, "GET", JSON).json["files_left"] == 2


def _form_of_page(service: Service, url: str) -> Answered:
    return service.share(
        url, "POST", name="a.txt", size=5, type="text/plain", nonce=NONCE, again=True
    )


def _page_with_form(service: Service) -> str:
    url = upload_page_for(service)
    assert _form_of_page(service, url).status == 200
    return url


def _check_form_of_page(service: Service, url: str, first: Answered, last: Answered) -> None:
    assert last.json["number"] == 1, "the same nonce has the same number"
    assert len(service.state_names(f"uses/{share_id(url)}/")) == 1
    forms = [response.json for response in (first, last) if response.status == 200]
    assert [submit_form(form, b"12345").status for form in forms] == [200, 409][: len(forms)]
    assert service.share(url, "GET", JSON).json["files_left"] == 1


def _large(service: Service, url: str, **params: Any) -> Answered:
    """The response to a request about a file that is sent in parts."""
    with patch.object(upload_page, "MAX_FORM", 1000), patch.object(multipart, "DEFAULT_PART", PART):
        return service.share(url, "POST", nonce=NONCE, **params)


def _begun(service: Service, url: str) -> Answered:
    return _large(service, url, name="a.txt", size=PART + 5, type="text/plain", again=True)


def _page_of_large(service: Service) -> str:
    clear_uploads(service)
    return upload_page_for(service, PART * 2)


def _page_with_parts(service: Service) -> str:
    url = _page_of_large(service)
    _send_large(_begun(service, url))
    return url


def _send_large(response: Answered) -> None:
    for part in response.json["upload"]["parts"]:
        assert follow_link(part, bytes(int(part["headers"]["Content-Length"]))).status == 200


def _check_begun(service: Service, url: str, first: Answered, last: Answered) -> None:
    assert len(service.upload_folders()) <= 2, (
        "a begin that was lost has no parts, and nobody has its id"
    )
    assert {response.json["number"] for response in (first, last) if response.status == 200} == {1}
    _send_large(last)
    done = _large(service, url, upload_id="1", complete=True)
    _check_completed(service, url, first, done)


def _check_completed(service: Service, url: str, first: Answered, last: Answered) -> None:
    assert (last.status, last.json) == (200, {"number": 1})
    assert service.read(f"inbox/{share_id(url)}/1-a.txt") == bytes(PART + 5)
    assert service.share(url, "GET", JSON).json["files_left"] == 1


PATHS = {
    "a redirect with check": Path(
        lambda service: service.new_object("checked"),
        lambda service, name: service.request(f"/checked/{name}"),
        opens,
        ("oss_unavailable",),
        ("not_found",),
    ),
    "many links with check": Path(
        lambda service: [service.new_object("checked") for _ in range(3)],
        lambda service, names: service.post(
            "/-/sign", {"links": [{"path": f"/checked/{name}"} for name in names]}
        ),
        _check_signed,
        ("oss_unavailable",),
        ("not_found",),
    ),
    "making a share": _made(),
    "making a limited share": _made(max_uses=2),
    "the page of a share": Path(
        shared(max_uses=1),
        lambda service, url: service.share(url, "GET", HTML),
        _check_page,
        UNAVAILABLE,
        ("no_such_object",),
    ),
    "a use with a nonce": _used(nonce=NONCE),
    "a use without a nonce": _used(),
    "the same use again": _used(is_repeat=True, nonce=NONCE),
    "opening a share": Path(
        shared(), lambda service, url: service.share(url), opens, UNAVAILABLE, ("no_such_object",)
    ),
    "showing a share": Path(shared(max_uses=1), _shown, _check_shown, UNAVAILABLE),
    "listing shares": Path(
        shared(max_uses=1),
        lambda service, url: service.request("/-/shares", query={"limit": "1"}, key=CALLER),
        _check_listed,
        UNAVAILABLE,
    ),
    "extending a share": Path(
        shared(max_uses=1), _extended, _check_extended, UNAVAILABLE, later="bad_expires"
    ),
    "revoking a share": Path(shared(max_uses=1), _revoked, _check_revoked, UNAVAILABLE),
    "a PUT link": Path(
        _path_in,
        lambda service, path: service.post(
            "/-/sign", {"links": [{"path": path, "method": "PUT", "size": 5}]}, CALLER
        ),
        _check_put,
        UNAVAILABLE,
    ),
    "a form": Path(
        _path_in,
        lambda service, path: service.post("/-/form", {"path": path}, CALLER),
        _check_form,
        UNAVAILABLE,
    ),
    "beginning a multipart upload": Path(_path_in, _started, _check_started, UNAVAILABLE),
    "further parts": Path(_started_upload, _more_parts, _check_more, UNAVAILABLE),
    "an upload page": Path(
        upload_page_for,
        lambda service, url: service.share(url, "GET", HTML),
        _check_upload_page,
        UNAVAILABLE,
    ),
    "a form of an upload page": Path(
        upload_page_for, _form_of_page, _check_form_of_page, UNAVAILABLE
    ),
    "the same form again": Path(_page_with_form, _form_of_page, _check_form_of_page, UNAVAILABLE),
    "a large file of an upload page": Path(_page_of_large, _begun, _check_begun, UNAVAILABLE),
    "the same large file again": Path(_page_with_parts, _begun, _check_begun, UNAVAILABLE),
    "completing a large file": Path(
        _page_with_parts,
        lambda service, url: _large(service, url, upload_id="1", complete=True),
        _check_completed,
        UNAVAILABLE,
    ),
    "the last use": Path(
        shared(max_uses=1),
        lambda service, url: service.share(url, "POST", JSON),
        _check_last_use,
        UNAVAILABLE,
        ("no_such_object",),
        "share_used_up",
    ),
}


def errors_of(response: Answered) -> list[dict[str, Any]]:
    """The problems of a response: its own, or those of its links."""
    if response.status >= 400:  # it may be a page, or have no body
        return [{"code": response.line["code"], "status": response.status}]
    is_list = (
        response.headers.get("Content-Type", "").startswith("application/json")
        and "links" in response.json
    )
    return [link["error"] for link in response.json["links"] if "error" in link] if is_list else []
