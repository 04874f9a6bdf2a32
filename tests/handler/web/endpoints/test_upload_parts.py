"""Large files of an upload share: the one upload of a number, its parts, and its end by the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from handler.core.cloud import oss, parts
from handler.core.config import Location
from handler.core.shares import uses
from handler.web.endpoints import multipart, upload_page
from signer.emulator.oss.storage import Uploads
from signer.sizes import MAX_UPLOAD
from tests.handler.client import Answered
from tests.handler.upload_fixtures import CONTENT, PART, send_parts
from tests.handler.web.endpoints import test_upload_page as limits
from tests.local_oss import BUCKET
from tests.system import JSON, WRITER, System, share_id

NONCE = "nonce-EXAMPLE-000000000"
GIGABYTE = 1024**3
expire_claims = limits.TestArrivals.expire_claims


@pytest.fixture
def large(uploads: System, monkeypatch: pytest.MonkeyPatch) -> System:
    """The service where a file above 1,000 bytes is large, and a part has 100 KB."""
    monkeypatch.setattr(upload_page, "MAX_FORM", 1000)
    monkeypatch.setattr(multipart, "DEFAULT_PART", PART)
    return uploads


def share(service: System, **upload: object) -> str:
    return service.create_upload_share(**{"max_size": 1024 * 1024, **upload})


def begin(service: System, url: str, **params: object) -> Answered:
    return service.request_form(url, **{"size": len(CONTENT), "nonce": NONCE, **params})


def go_on(service: System, url: str, upload_id: str = "1", /, **params: object) -> Answered:
    body = {"nonce": NONCE, "upload_id": upload_id, **params}
    return service.post("/-/s/", body, query=dict(parse_qsl(urlsplit(url).query)))


def complete(service: System, url: str, upload_id: str = "1") -> Answered:
    return go_on(service, url, upload_id, complete=True)


def put_part(service: System, url: str, number: int, content: bytes) -> None:
    """Sends a part as nobody with a link can: of any length."""
    key, oss_id = unfinished(service, url)[0]
    query = {"partNumber": str(number), "uploadId": oss_id}
    assert service.oss.client.request("PUT", Location(BUCKET, key), query=query, body=content).ok


def unfinished(service: System, url: str) -> list[tuple[str, str]]:
    """The keys and OSS's ids of uploads of a share that OSS keeps."""
    return [
        (each.key, each.id)
        for each in Uploads(service.oss.bucket()).all()
        if f"/{share_id(url)}/" in each.key
    ]


def stored(service: System, url: str, name: str = "1-a.txt") -> bytes | None:
    return service.stored(f"inbox/{share_id(url)}/{name}")


class TestFile:
    def test_its_parts_become_the_object_with_the_headers_of_a_form(self, large: System) -> None:
        url = share(large)
        response = begin(large, url)
        assert set(response.json) == {"number", "nonce", "upload"}
        upload = response.json["upload"]
        assert set(upload) == {"upload_id", "part_size", "part_count", "parts"}
        assert (upload["part_size"], upload["part_count"]) == (PART, 3)
        assert [part["headers"]["Content-Length"] for part in upload["parts"]] == [
            str(PART),
            str(PART),
            "7",
        ]
        send_parts(upload)
        done = complete(large, url)
        assert (done.status, done.json) == (200, {"number": 1})
        assert done.line["key"] == f"inbox/{share_id(url)}/1-a.txt"
        assert stored(large, url) == CONTENT
        headers = large.stored_headers(f"inbox/{share_id(url)}/1-a.txt")
        assert {name: headers[name] for name in limits.FIELDS} == {
            name: value for name, (value, _) in limits.FIELDS.items()
        }
        assert headers["content-type"] == "text/plain"
        assert complete(large, url).status == 200
        assert large.files_left(url) == 2

    @pytest.mark.parametrize(
        ("size", "part_size", "count"),
        [
            (64 * 1024**2, None, 0),
            (64 * 1024**2 + 1, 8 * 1024**2, 9),
            (5 * GIGABYTE + 1, 8 * 1024**2, 641),
            (MAX_UPLOAD, 5 * GIGABYTE, 10_000),
        ],
    )
    def test_from_64_megabytes_to_48_8_terabytes(
        self, in_memory: System, size: int, part_size: int | None, count: int
    ) -> None:
        roomy = in_memory.with_mount("/in/", max_size=MAX_UPLOAD + 1)
        url = roomy.create_upload_share(max_size=None)
        assert roomy.open(url, headers=JSON).json["max_size"] == MAX_UPLOAD
        answer = begin(roomy, url, size=size).json
        assert ("fields" in answer) is (part_size is None)
        if part_size is not None:
            assert (answer["upload"]["part_size"], answer["upload"]["part_count"]) == (
                part_size,
                count,
            )
            last = go_on(roomy, url, **{"from": count, "count": 1}).json["upload"]["parts"]
            assert [part["part_number"] for part in last] == [count]
        assert begin(roomy, url, size=MAX_UPLOAD + 1).code == "too_large"
        too_large = {"max_size": MAX_UPLOAD + 1}
        assert (
            roomy.request_share(WRITER, path="/in/", method="POST", upload=too_large).code
            == "too_large"
        )


class TestNonce:
    def test_again_finds_the_upload_and_completing_names_what_is_missing(
        self, large: System
    ) -> None:
        url = share(large)
        send_parts(begin(large, url).json["upload"], 2)
        again = begin(large.restarted(), url, again=True).json
        assert (again["number"], again["upload"]["upload_id"]) == (1, "1")
        assert len(unfinished(large, url)) == 1
        response = complete(large, url)
        assert (response.status, response.code, response.json["parts"]) == (
            409,
            "parts_missing",
            [1, 3],
        )
        put_part(large, url, 3, b"short")
        assert complete(large, url).json["parts"] == [1, 3]
        send_parts(again["upload"], 1, 3)
        assert complete(large, url).status == 200
        assert stored(large, url) == CONTENT

    def test_nobody_without_the_nonce_goes_on(self, large: System) -> None:
        url, other = share(large), share(large)
        send_parts(begin(large, url).json["upload"])
        for params in (
            {"nonce": NONCE[::-1]},
            {"nonce": None},
            {"upload_id": "2"},
            {"upload_id": "01"},
            {"upload_id": "a"},
        ):
            for more in ({}, {"complete": True}):
                assert (go_on(large, url, **{**params, **more})).code == "not_found"
        assert complete(large, other).code == "not_found"
        assert stored(large, url) is None

    @pytest.mark.parametrize(
        "change", [{"size": len(CONTENT) + 1}, {"type": "image/png"}, {"name": "b.txt"}]
    )
    def test_another_size_type_or_name_is_another_file(
        self, large: System, change: dict[str, object]
    ) -> None:
        url = share(large)
        begin(large, url)
        other = begin(large, url, again=True, **change).json
        assert other["number"] == 2
        assert begin(large, url, again=True).json["number"] == 1

    def test_a_share_that_ended_completes_nothing(self, large: System) -> None:
        urls = [share(large) for _ in range(3)]
        for url in urls:
            send_parts(begin(large, url).json["upload"])
        large.revoke(urls[0], WRITER)
        late = large.later(8 * 86_400)
        smaller = large.with_mount("/in/", max_size=1000)
        for service, url, code in zip(
            (large, late, smaller),
            urls,
            ("share_revoked", "share_expired", "too_large"),
            strict=True,
        ):
            assert [complete(service, url).code, go_on(service, url).code] == [code, code]
            assert stored(large, url) is None


class TestParts:
    @pytest.mark.parametrize(("number", "size"), [(1, PART + 1), (3, PART), (4, 1)])
    def test_more_than_was_announced_ends_the_upload(
        self, large: System, number: int, size: int
    ) -> None:
        url = share(large)
        send_parts(begin(large, url).json["upload"])
        put_part(large, url, number, bytes(size))
        assert complete(large, url).code == "too_large"
        assert unfinished(large, url) == []
        assert complete(large, url).code == "not_found"
        assert begin(large, url, again=True).json["number"] == 2

    def test_a_part_that_is_replaced_while_it_is_completed_makes_no_object(
        self, large: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = share(large)
        send_parts(begin(large, url).json["upload"])
        listed = parts.MultipartUpload.arrived

        def replaced(upload: parts.MultipartUpload) -> Iterator[dict[int, tuple[int, str]]]:
            yield from listed(upload)
            put_part(large, url, 1, bytes(PART))

        with monkeypatch.context() as patched:
            patched.setattr(parts.MultipartUpload, "arrived", replaced)
            assert complete(large, url).code == "oss_unavailable"
        assert stored(large, url) is None

    @pytest.mark.parametrize(
        ("document", "status", "requests"),
        [
            (None, 200, 2),
            (b"", 503, 1),
            (b"<R><Part><Size>1</Size></Part><IsTruncated>false</IsTruncated></R>", 503, 1),
            (
                b"<R><IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker></R>",
                503,
                1,
            ),
        ],
    )
    def test_a_list_of_parts_has_pages_and_what_is_none_ends_nothing(
        self,
        large: System,
        monkeypatch: pytest.MonkeyPatch,
        document: bytes | None,
        status: int,
        requests: int,
    ) -> None:
        url, asked = share(large), list[str]()
        send_parts(begin(large, url).json["upload"])
        request = oss.OssClient.request

        def changed(
            client: oss.OssClient, method: str, place: Location, **options: Any
        ) -> oss.OssResponse:
            query = options.get("query") or {}
            if "max-parts" not in query:
                return request(client, method, place, **options)
            asked.append(query["part-number-marker"])
            if document is not None:
                return oss.OssResponse(200, {}, document, "")
            return request(
                client, method, place, **{**options, "query": {**query, "max-parts": "2"}}
            )

        monkeypatch.setattr(oss.OssClient, "request", changed)
        assert complete(large, url).status == status
        assert asked == ["0", "2"][:requests]
        assert len(unfinished(large, url)) == (status != 200)


class TestTime:
    def test_with_less_than_ten_seconds_left_the_same_request_follows(
        self, large: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = share(large)
        send_parts(begin(large, url).json["upload"])
        for timeout, status in ((9.9, 202), (10, 200)):
            monkeypatch.setattr(
                "handler.core.context.timeout", lambda context, timeout=timeout: timeout
            )
            response = complete(large, url)
            assert (response.status, response.json) == (status, {"number": 1})
            assert stored(large, url) == (CONTENT if status == 200 else None)

    @pytest.mark.parametrize("is_carried_out", [True, False])
    def test_without_an_answer_of_oss_the_same_request_follows(
        self, large: System, monkeypatch: pytest.MonkeyPatch, is_carried_out: bool
    ) -> None:
        url = share(large)
        send_parts(begin(large, url).json["upload"])
        real = parts.MultipartUpload.complete

        def lost(upload: parts.MultipartUpload, listed: Any) -> bool:
            if is_carried_out:
                real(upload, listed)
            raise oss.OssUnavailable("OSS did not answer in time.")

        with monkeypatch.context() as patched:
            patched.setattr(parts.MultipartUpload, "complete", lost)
            assert complete(large, url).status == 202
        assert complete(large, url).status == 200
        assert stored(large, url) == CONTENT


class TestPlaces:
    def test_one_that_oss_no_longer_knows_is_a_404_and_is_begun_again(self, large: System) -> None:
        url = share(large)
        send_parts(begin(large, url).json["upload"])
        ((key, oss_id),) = unfinished(large, url)
        query = {"uploadId": oss_id}
        assert large.oss.client.request("DELETE", Location(BUCKET, key), query=query).ok
        refused = complete(large, url)
        assert (refused.status, refused.code) == (404, "not_found")
        assert stored(large, url) is None
        again = begin(large, url, again=True).json
        assert (again["number"], len(unfinished(large, url))) == (2, 1)
        send_parts(again["upload"])
        assert complete(large, url, "2").status == 200
        assert stored(large, url, "2-a.txt") == CONTENT

    def test_links_that_are_renewed_renew_the_claim(self, large: System) -> None:
        url = share(large, max_files=1)
        send_parts(begin(large, url).json["upload"], 1)
        for _ in range(5):
            expire_claims(large, url, uses.FORMS - uses.MIN_FORM - 10)
            assert go_on(large, url).line["expires_in"] == 900
            assert begin(large, url, nonce=NONCE[::-1]).code == "share_full"
        send_parts(go_on(large, url).json["upload"], 2, 3)
        assert complete(large, url).status == 200

    def test_an_upload_that_lapsed_goes_on_in_one_place(self, large: System) -> None:
        url = share(large, max_files=2)
        send_parts(begin(large, url).json["upload"], 1)
        expire_claims(large, url)
        send_parts(begin(large, url, again=True).json["upload"], 2, 3)
        assert begin(large, url, nonce=NONCE[::-1]).status == 200
        assert complete(large, url).status == 200
        assert stored(large, url) == CONTENT

    @pytest.mark.parametrize("is_md5", [True, False])
    def test_all_that_were_sent_are_completed_after_they_lapsed(
        self, large: System, is_md5: bool
    ) -> None:
        url = share(large, max_files=2)
        folder = f".links/state/uses/{share_id(url)}/"
        nonces = {"1": NONCE, "2": NONCE[::-1]}
        for nonce in nonces.values():
            send_parts(begin(large, url, nonce=nonce).json["upload"])
        expire_claims(large, url)
        for upload_id, nonce in nonces.items():
            assert go_on(large, url, upload_id, nonce=nonce, complete=True).status == 200
            if not is_md5:  # as in an encrypted bucket
                for number, key in enumerate(large.oss.keys(folder)):
                    large.oss.change(key, etag=f"{number:032X}")
        assert len(large.oss.keys(f"inbox/{share_id(url)}/")) == 2

    def test_nobodys_parts_are_aborted_for_a_place_that_nobody_has(self, large: System) -> None:
        url = share(large, max_files=4)
        nonces = [f"{NONCE}{number}" for number in range(4)]
        for nonce in nonces[:3]:
            send_parts(begin(large, url, nonce=nonce).json["upload"], 1)
        expire_claims(large, url)
        assert begin(large, url, nonce=nonces[2], again=True).status == 200
        assert begin(large, url, nonce=nonces[3]).status == 200
        assert len(unfinished(large, url)) == 4

    def test_a_completion_that_is_repeated_after_the_file_was_moved_is_a_200(
        self, large: System
    ) -> None:
        url = share(large, max_files=1)
        send_parts(begin(large, url).json["upload"])
        assert complete(large, url).status == 200
        large.delete(f"inbox/{share_id(url)}/1-a.txt")
        expire_claims(large, url)
        other = begin(large, url, nonce=NONCE[::-1])
        assert other.json["number"] == 2
        expire_claims(large, url)
        assert complete(large, url).status == 200
        assert [key.rpartition("/")[2] for key, _ in unfinished(large, url)] == ["2-a.txt"]

    def test_parts_are_missing_only_where_the_object_is(
        self, large: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another request completes the upload while its parts are listed: the list may be empty."""
        url = share(large)
        send_parts(begin(large, url).json["upload"])
        listed = parts.MultipartUpload.arrived

        def meanwhile(upload: parts.MultipartUpload) -> Iterator[dict[int, tuple[int, str]]]:
            monkeypatch.setattr(parts.MultipartUpload, "arrived", listed)
            assert complete(large, url).status == 200
            return iter([{}])

        monkeypatch.setattr(parts.MultipartUpload, "arrived", meanwhile)
        assert complete(large, url).status == 200

    @pytest.mark.parametrize("age", [1450, 1700])
    @pytest.mark.parametrize(("files", "left"), [(1, 0), (2, 1)])
    def test_a_claim_that_still_counts_requires_no_other_place(
        self, large: System, age: int, files: int, left: int
    ) -> None:
        url = share(large, max_files=files)
        send_parts(begin(large, url).json["upload"])
        expire_claims(large, url, age)
        assert go_on(large, url).status == 200
        expire_claims(large, url, age)
        assert complete(large, url).status == 200
        assert large.files_left(url) == left

    def test_where_others_took_its_place_it_ends(self, large: System) -> None:
        url = share(large, max_files=1)
        send_parts(begin(large, url).json["upload"])
        expire_claims(large, url)
        assert begin(large, url, nonce=NONCE[::-1]).json["number"] == 2
        assert [key.rpartition("/")[2] for key, _ in unfinished(large, url)] == ["2-a.txt"]
        assert [response.code for response in (go_on(large, url), complete(large, url))] == [
            "not_found"
        ] * 2
        assert begin(large, url, again=True).code == "share_full"

    def test_no_more_than_max_files_are_unfinished_or_arrive_however_often_one_begins(
        self, large: System
    ) -> None:
        url = share(large, max_files=3)
        for number in range(24):
            nonce = f"{NONCE}{number}"
            begun = begin(large, url, nonce=nonce, again=number % 2 == 0)
            if begun.status == 200:
                send_parts(begun.json["upload"], *((1,) if number % 5 else ()))
                go_on(large, url, begun.json["upload"]["upload_id"], nonce=nonce, complete=True)
            if number % 4 == 3:
                expire_claims(large, url)
            files = large.oss.keys(f"inbox/{share_id(url)}/")
            assert len(files) + len(unfinished(large, url)) <= 3
        assert len(files) == 3

    @pytest.mark.parametrize("times", [16, pytest.param(1000, marks=pytest.mark.long)])
    def test_of_many_at_once_one_upload_stays(self, large: System, times: int) -> None:
        url = share(large)
        with ThreadPoolExecutor(8) as threads:
            responses = list(
                threads.map(
                    lambda _: limits.request_form(large, url, NONCE, len(CONTENT)), range(times)
                )
            )
        answers = [json.loads(response.body) for response in responses]
        assert {
            (each.status, answer["number"]) for each, answer in zip(responses, answers, strict=True)
        } == {(200, 1)}
        ids = {
            part["url"].partition("uploadId=")[2][:32]
            for each in answers
            for part in each["upload"]["parts"]
        }
        assert ids == {oss_id for _, oss_id in unfinished(large, url)}
        assert len(ids) == 1
