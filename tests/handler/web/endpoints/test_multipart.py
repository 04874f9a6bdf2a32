"""Multipart uploads: started here, sent to OSS part by part, resumed, completed and aborted."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest

from handler.core.cloud.oss import OssResponse, OssUnavailable
from handler.core.config import InvalidConfig
from handler.core.context import Instance
from handler.core.request import Request
from handler.web import app
from tests.handler.client import Answered, context
from tests.handler.upload_fixtures import CONTENT, MEGABYTE, PART, follow_link, send_parts
from tests.system import ALICE, WRITER, System, service, share_key

GIGABYTE = 1024**3
ROUTE = "/-/uploads/{id}/parts"
PREFLIGHT = {
    "Origin": "https://app.example.com",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~"


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """The service with an OSS that starts every upload and receives no other request."""
    body = b"<InitiateMultipartUploadResult><UploadId>0004B9894A22E5B1888A1E29F823EXAM</UploadId>"
    response = OssResponse(200, {}, body + b"</InitiateMultipartUploadResult>", "")
    monkeypatch.setattr("handler.core.cloud.oss.OssClient.request", lambda *_, **__: response)
    return service(tmp_path)


def parts_of(
    service: System, upload: dict[str, Any], key: str | None = None, /, **params: object
) -> Answered:
    """The response to a request for the parts of an upload."""
    return service.post(
        f"/-/uploads/{quote(upload['upload_id'], safe='~')}/parts",
        {"path": "/in/big.bin", **params},
        key,
    )


def assert_hides_id(answer: Answered, upload_id: str) -> None:
    """Neither OSS's own id nor the signature is printed."""
    for piece in upload_id.split("~"):
        assert len(piece) < 8 or piece not in answer.printed


def complete_document(etags: dict[int, str]) -> bytes:
    """The XML document that completes an upload."""
    parts = "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>"
        for n, tag in sorted(etags.items())
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


class TestUpload:
    def test_parts_become_the_object_also_after_a_break(self, uploads: System) -> None:
        path = "/in/季度 big.bin"
        upload = uploads.start_upload(path=path, content_type="text/plain")
        assert upload["part_count"] == 3
        assert [part["part_number"] for part in upload["parts"]] == [1, 2, 3]
        assert [part["headers"]["Content-Length"] for part in upload["parts"]] == [
            str(PART),
            str(PART),
            "7",
        ]
        etags = send_parts(upload, 1)
        again = parts_of(uploads, upload, path=path, **{"from": 2}).json
        assert (again["upload_id"], again["part_count"]) == (upload["upload_id"], 3)
        assert [part["part_number"] for part in again["parts"]] == [2, 3]
        etags |= send_parts(again, 3) | send_parts(again, 2)
        assert follow_link(again["complete"], complete_document(etags)).status == 200
        assert uploads.stored("inbox/季度 big.bin") == CONTENT
        assert uploads.stored_headers("inbox/季度 big.bin")["content-type"] == "text/plain"

    def test_an_existing_object_is_reported_at_the_start_and_one_stored_in_the_meantime_not_replaced(
        self, uploads: System
    ) -> None:
        upload = uploads.start_upload(path="/in/raced.bin")
        document = complete_document(send_parts(upload))
        uploads.put("inbox/raced.bin", b"first")
        assert follow_link(upload["complete"], document) == (409, "FileAlreadyExists")
        allowing = follow_link(upload["complete"], document, x_oss_forbid_overwrite=None)
        assert allowing == (403, "SignatureDoesNotMatch")
        assert uploads.stored("inbox/raced.bin") == b"first"
        response = uploads.post("/-/uploads", {"path": "/in/raced.bin", "size": 5})
        assert (response.status, response.code) == (409, "object_exists")


class TestResuming:
    def test_an_id_with_one_character_changed_is_refused(self, started: System) -> None:
        upload = started.start_upload()
        upload_id = upload["upload_id"]
        for position in range(len(upload_id)):
            # Only the last character has several spellings of the same bytes.
            for letter in LETTERS if position == len(upload_id) - 1 else "A~":
                altered = f"{upload_id[:position]}{letter}{upload_id[position + 1 :]}"
                if altered != upload_id:
                    response = parts_of(started, {"upload_id": altered}, **{"from": 1, "count": 1})
                    assert (response.status, response.code) == (404, "not_found"), position

    def test_an_invalid_id_is_refused(self, started: System) -> None:
        upload_id = started.start_upload()["upload_id"]
        for altered in (
            "{}=",
            "{}A",
            "A{}",
            "~{}",
            "{}~",
            "~~~",
            "{}%0a",
            "{}%00",
            "{}%2F",
            "{}%C3%A9",
            "a",
            "a~b~c~d",
        ):
            response = started.post(
                f"/-/uploads/{altered.format(upload_id)}/parts", {"path": "/in/big.bin"}
            )
            assert response.status in (400, 404), altered

    def test_an_id_is_only_for_its_path(self, started: System) -> None:
        upload = started.start_upload(WRITER, path="/team/alice/a.bin")
        for path, key in (
            ("/team/alice/b.bin", WRITER),
            ("/both/a.bin", WRITER),
            ("/in/a.bin", None),
        ):
            assert parts_of(started, upload, key, path=path).status == 404
        assert parts_of(started, upload, WRITER, path="/team/alice/a.bin").status == 200

    def test_resuming_repeats_all_checks(self, started: System) -> None:
        upload = started.start_upload(WRITER, path="/team/alice/a.bin")
        assert parts_of(started, upload, path="/team/alice/a.bin").status == 401
        assert parts_of(started, upload, ALICE, path="/team/alice/a.bin").status == 200
        upload = started.start_upload(WRITER, path="/team/bob/a.bin")
        assert parts_of(started, upload, ALICE, path="/team/bob/a.bin").status == 404
        without_put = started.with_mount("/in/", methods=("POST",))
        assert parts_of(without_put, started.start_upload()).code == "method_not_enabled"
        smaller = started.with_mount("/in/", max_size=PART)
        assert parts_of(smaller, started.start_upload()).code == "too_large"

    def test_an_id_outlives_a_new_share_key_but_not_the_retirement_of_its_own(
        self, started: System
    ) -> None:
        older = started.with_keys(share=[share_key("a")])
        upload = older.start_upload()
        assert (
            parts_of(older.with_keys(share=[share_key("a"), share_key("b")]), upload).status == 200
        )
        assert parts_of(older.with_keys(share=[share_key("b")]), upload).status == 404

    def test_without_share_keys_the_secret_of_the_role_signs_the_id(self, started: System) -> None:
        keyless = started.with_keys(share=[])
        assert parts_of(keyless, keyless.start_upload()).status == 200

    def test_parts_that_do_not_exist_are_refused_and_sizes_cannot_be_changed_later(
        self, started: System
    ) -> None:
        upload = started.start_upload()
        odd: list[dict[str, Any]] = [
            {"from": 0},
            {"from": 4},
            {"count": 0},
            {"count": 1001},
            {"from": "1"},
        ]
        odd += ({member: 1} for member in ("size", "part_size", "content_type"))
        for params in odd:
            response = parts_of(started, upload, **params)
            assert (response.status, response.code) == (400, "bad_body"), params

    @pytest.mark.parametrize(
        ("method", "path", "headers", "status"),
        [
            *(("OPTIONS", "/-/uploads/{}/parts", headers, 204) for headers in ({}, PREFLIGHT)),
            *(
                ("GET", "/-/uploads/{}/parts", headers, 405)
                for headers in ({}, {"Accept": "text/html"})
            ),
            ("DELETE", "/-/uploads/{}/parts", {}, 405),
            ("POST", "/-/uploads/{}/parts", {"Authorization": "Bearer fcp_unknown"}, 401),
            *(("POST", f"/-/uploads/{path}", {}, 404) for path in ("{}", "{}/", "a/{}/parts")),
            *(
                ("POST", f"/-/uploads{path}", {}, 400)
                for path in ("/{}/parts", "/{}/parts%ff", "/{}//parts", "%2F{}/parts")
            ),
        ],
    )
    def test_below_uploads_the_audit_line_names_the_route_whatever_the_response(
        self, started: System, method: str, path: str, headers: Mapping[str, str], status: int
    ) -> None:
        upload = started.start_upload()
        for answer in (
            started.request(path.format(upload["upload_id"]), method, headers=headers),
            parts_of(started, upload),
        ):
            assert answer.status in (status, 200)
            assert answer.line["path"] == ROUTE
            assert_hides_id(answer, upload["upload_id"])

    def test_so_it_does_while_the_configuration_is_invalid(self, started: System) -> None:
        upload_id = started.start_upload()["upload_id"]

        def invalid() -> Instance:
            raise InvalidConfig("mount 1: missing path.")

        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            request = Request("POST", f"/-/uploads/{upload_id}/parts", {}, {}, b"", "")
            response = app.answer(request, invalid, context(), request_id="req-EXAMPLE")
        assert response.status == 500
        assert json.loads(out.getvalue())["path"] == ROUTE

    @pytest.mark.parametrize(
        "path", ["/links/-/uploads/{}/parts", "/-/upload/{}", "/-//uploads/{}/parts", "/in/{}"]
    )
    def test_an_id_at_a_wrong_address_is_not_logged_either(
        self, started: System, path: str
    ) -> None:
        upload_id = started.start_upload()["upload_id"]
        for written in (upload_id, upload_id.replace("~", "%7E").replace("A", "%41")):
            assert_hides_id(started.request(path.format(written), "GET"), upload_id)


class TestSizes:
    @pytest.fixture
    def unstarted(self, in_memory: System, monkeypatch: pytest.MonkeyPatch) -> System:
        monkeypatch.setattr(
            "handler.core.cloud.oss.OssClient.request",
            lambda *_, **__: pytest.fail("it was started"),
        )
        return in_memory

    @pytest.mark.parametrize(("count", "first"), [(None, 100), (1, 1), (1000, 1000)])
    def test_the_first_hundred_links_come_at_once_and_others_on_request(
        self, started: System, count: int | None, first: int
    ) -> None:
        upload = started.start_upload(path="/big/a", size=2500 * PART, part_size=PART, count=count)
        assert upload["part_count"] == 2500
        assert [part["part_number"] for part in upload["parts"]] == list(range(1, first + 1))
        response = parts_of(started, upload, path="/big/a", **{"from": 2001})
        assert [part["part_number"] for part in response.json["parts"]] == list(range(2001, 2501))
        last = parts_of(started, upload, path="/big/a", **{"from": 2500, "count": 1000}).json[
            "parts"
        ]
        assert [part["part_number"] for part in last] == [2500]

    @pytest.mark.parametrize(
        ("size", "part_size", "count"),
        [
            *(
                (size, PART, count)
                for size, count in (
                    (0, 1),
                    (1, 1),
                    (PART, 1),
                    (PART + 1, 2),
                    (10_000 * PART, 10_000),
                )
            ),
            *((PART, part_size, None) for part_size in (PART - 1, 0, -1)),
            (10_000 * PART + 1, PART, None),
            *((5 * GIGABYTE + more, 5 * GIGABYTE, 1 + more) for more in (0, 1)),
            (5 * GIGABYTE, 5 * GIGABYTE + 1, None),
            (45_000 * GIGABYTE, 5 * GIGABYTE, 9000),
            (45_000 * GIGABYTE, None, 10_000),
            (8 * MEGABYTE + 1, None, 2),
        ],
    )
    def test_ten_thousand_parts_of_a_hundred_kilobytes_to_five_gigabytes(
        self, started: System, size: int, part_size: int | None, count: int | None
    ) -> None:
        response = started.post(
            "/-/uploads", {"path": "/big/a", "size": size, "part_size": part_size}
        )
        if count is None:
            assert (response.status, response.code) == (400, "bad_body")
            return
        assert response.json["part_count"] == count
        last = parts_of(started, response.json, path="/big/a", **{"from": count, "count": 1}).json[
            "parts"
        ][0]
        first = response.json["parts"][0]
        assert (
            int(first["headers"]["Content-Length"]) * (count - 1)
            + int(last["headers"]["Content-Length"])
            == size
        )

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            *(({"size": size}, "too_large") for size in (MEGABYTE + 1, -1)),
            *(({"size": size}, "bad_body") for size in (None, "5", True)),
            *(({"count": count}, "bad_body") for count in (0, 1001)),
            ({"path": None}, "bad_body"),
            ({"expires": "0"}, "bad_expires"),
            ({"overwrite": True}, "bad_body"),
            ({"headers": {"x-oss-object-acl": "public-read"}}, "bad_body"),
        ],
    )
    def test_an_invalid_request_starts_nothing(
        self, unstarted: System, params: dict[str, object], code: str
    ) -> None:
        response = unstarted.post("/-/uploads", {"path": "/in/a", "size": 5, **params})
        assert (response.status, response.code) == (400, code)


class TestOssFails:
    @pytest.mark.parametrize(
        "oss_response",
        [
            OssResponse(403, {}, b"<Code>AccessDenied</Code>", "AccessDenied"),
            OssResponse(200, {}, b"", ""),
            OssResponse(200, {}, b"<UploadId></UploadId>", ""),
            OssResponse(200, {}, b"<UploadId>" + b"a" * 201 + b"</UploadId>", ""),
            OssUnavailable("OSS cannot be reached."),
        ],
    )
    def test_an_invalid_response_of_oss_is_a_503(
        self, in_memory: System, oss_response: OssResponse | OssUnavailable
    ) -> None:
        with patch("handler.core.cloud.oss.OssClient.request", side_effect=[oss_response]):
            response = in_memory.post("/-/uploads", {"path": "/in/a", "size": 5})
        assert (response.status, response.code) == (503, "oss_unavailable")
