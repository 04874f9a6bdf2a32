"""Upload shares: a form with one exact key for each file, and no more or larger files than the share allows."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.core.cloud import oss
from handler.core.config import Location
from handler.core.request import Request
from handler.core.shares import uses
from handler.web import app
from handler.web.endpoints.upload_page import MAX_NAME, safe_name
from handler.web.response import Response
from tests.fault_proxy import fault_proxy
from tests.handler.client import context
from tests.handler.keys_fixtures import watch_requests
from tests.handler.upload_fixtures import MEGABYTE, conditions, submit_form
from tests.local_oss import BUCKET
from tests.memory_oss import MemoryOss
from tests.system import HTML, JSON, WRITER, System, share_id

NONCE = "nonce-EXAMPLE-000000000"
UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f/\\$\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class TestForm:
    def test_a_file_gets_a_form_for_one_exact_key(self, uploads: System) -> None:
        url = uploads.create_upload_share()
        response = uploads.request_form(url, name="季度 q3.txt")
        assert response.status == 200
        assert set(response.json) == {"url", "fields", "expires_at", "number", "nonce"}
        key = f"inbox/{share_id(url)}/1-季度 q3.txt"
        form_conditions = conditions(response.json)
        assert ["eq", "$key", key] in form_conditions
        assert ["content-length-range", 0, 5] in form_conditions
        assert ["eq", "$x-oss-content-type", "text/plain"] in form_conditions
        assert {"x-oss-forbid-overwrite": "true"} in form_conditions
        assert submit_form(response.json, b"hello").status == 200
        assert uploads.stored(key) == b"hello"
        assert (response.line["key"], response.line["share"]) == (key, share_id(url))

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            *(({"size": size}, "too_large") for size in (1001, -1)),
            *(({"type": each}, "bad_content_type") for each in ("text", "text/plain; boundary=x")),
            *(
                ({"nonce": nonce}, "bad_body")
                for nonce in ("short", "x" * 65, "nonce-EXAMPLE-00000000/")
            ),
            *(
                (each, "bad_body")
                for each in (
                    {"size": None},
                    {"size": "5"},
                    {"name": None},
                    {"name": 5},
                    {"again": 1},
                )
            ),
            *(
                (each, "bad_body")
                for each in ({"number": 1}, {"path": "/in/a"}, {"max_size": 2000})
            ),
        ],
    )
    def test_an_invalid_request_does_not_count(
        self, in_memory: System, oss: MemoryOss, params: dict[str, object], code: str
    ) -> None:
        url = in_memory.create_upload_share()
        response = in_memory.request_form(url, **params)
        assert (response.status, response.code) == (400, code)
        assert in_memory.files_left(url) == 3

    @pytest.mark.parametrize(
        ("allowed", "content_type", "accepted"),
        [
            *((None, content_type, True) for content_type in ("video/mp4", "")),
            *(
                ("text/", content_type, True)
                for content_type in ("text/plain", "text/plain; charset=utf-8")
            ),
            *(("text/", content_type, False) for content_type in ("", "image/png")),
            *(
                ("text/plain", f"text/{name}", name == "plain")
                for name in ("plain", "plainer", "html")
            ),
        ],
    )
    def test_the_type_is_enforced(
        self, uploads: System, allowed: str | None, content_type: str, accepted: bool
    ) -> None:
        url = uploads.create_upload_share(content_type=allowed)
        response = uploads.request_form(url, type=content_type)
        assert response.status == (200 if accepted else 400)
        if not accepted:
            assert response.code == "wrong_type"
            return
        content_type = content_type or "application/octet-stream"
        assert submit_form(response.json, b"hello", x_oss_content_type="application/x-other") == (
            403,
            "AccessDenied",
        )
        assert submit_form(response.json, b"hello").status == 200
        assert (
            uploads.stored_headers(f"inbox/{share_id(url)}/1-a.txt")["content-type"] == content_type
        )


class TestNumbers:
    def test_a_retry_gets_the_same_number(self, uploads: System) -> None:
        url = uploads.create_upload_share()
        uploads.request_form(url, name="other.txt")
        first = uploads.request_form(url, nonce=NONCE).json
        uploads.request_form(url, name="another.txt")
        again = uploads.request_form(url, nonce=NONCE, again=True)
        assert (first["number"], again.json["number"]) == (2, 2)
        assert again.json["fields"]["key"] == first["fields"]["key"]
        assert uploads.files_left(url) == 0

    def test_a_number_is_for_one_name(self, uploads: System) -> None:
        """Otherwise one number would be valid for any number of keys."""
        url = uploads.create_upload_share(max_files=3)
        numbers = [
            uploads.request_form(url, nonce=NONCE, name=f"{n}.txt", again=True).json.get("number")
            for n in range(5)
        ]
        assert numbers == [1, 2, 3, None, None]


class TestLimits:
    def test_a_lower_limit_of_the_mount_holds_for_existing_shares(self, uploads: System) -> None:
        url = uploads.create_upload_share(max_size=1000)
        narrower = uploads.with_mount("/in/", max_size=4)
        assert uploads.request_form(url).status == 200
        assert narrower.request_form(url).code == "too_large"
        assert narrower.open(url, headers=JSON).json["max_size"] == 4
        assert "4 B" in narrower.open(url, headers=HTML).body

    @pytest.mark.parametrize(
        "upload",
        [
            *({"max_size": size} for size in (MEGABYTE + 1, -1)),
            *({"max_files": number} for number in (0, 101, True)),
            {"more": 1},
        ],
    )
    def test_invalid_limits_are_refused(self, in_memory: System, upload: dict[str, object]) -> None:
        assert (
            in_memory.request_share(WRITER, path="/in/", method="POST", upload=upload).status == 400
        )

    @pytest.mark.parametrize("path", ["/in/a.txt", "/both/", "/in/" + "a" * 800 + "/"])
    def test_an_invalid_prefix_is_refused(self, in_memory: System, path: str) -> None:
        assert (
            in_memory.request_share(WRITER, path=path, method="POST", upload={"max_size": 5}).status
            == 400
        )

    def test_a_form_does_not_outlive_its_share(self, in_memory: System) -> None:
        params = {"path": "/in/", "method": "POST", "expires": "90", "upload": {"max_size": 5}}
        url = in_memory.post("/-/shares", params, WRITER).json["url"]
        assert in_memory.request_form(url).line["expires_in"] == 90
        later = in_memory.later(60)
        assert later.request_form(url, nonce=NONCE).code == "share_full"
        assert later.later(30).request_form(url).code == "share_expired"


class TestNames:
    @pytest.mark.parametrize(
        ("name", "safe"),
        [
            *((name, name) for name in ("q3.pdf", "季度 报告.pdf")),
            *((name, "file") for name in ("..", "", " . ")),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("C:\\a.txt", "C:_a.txt"),
            ("${filename}", "_{filename}"),
            ("a\x00\n\x7fb", "a___b"),
            ("a\u202etxt.exe", "a_txt.exe"),
            ("a\ud800b", "a?b"),
            ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
            ("x" + "é" * 150 + "a.pdf", "é" * 97 + "a.pdf"),
        ],
    )
    def test_a_name_is_made_safe(self, name: str, safe: str) -> None:
        assert safe_name(name) == safe

    @given(name=st.text(st.characters(), max_size=300))
    def test_every_safe_name_is_one_harmless_segment(self, name: str) -> None:
        safe = safe_name(name)
        assert 0 < len(safe.encode()) <= MAX_NAME
        assert not UNSAFE.search(safe)
        assert safe not in (".", "..")
        assert safe == safe.strip(". ")
        assert safe_name(safe) == safe

    def test_a_name_that_no_file_has_is_refused(self, uploads: System) -> None:
        url = uploads.create_upload_share()
        sent = [uploads.request_form(url, name="é" * length) for length in (1024, 1025)]
        assert [response.status for response in sent] == [200, 400]
        assert sent[1].code == "bad_body"
        assert sent[1].json["detail"] == (
            'Invalid request body: "name" must have at most 1,024 characters.'
        )

    def test_a_hostile_name_becomes_one_object_below_the_share(self, uploads: System) -> None:
        names = ("${filename}", "../a", "a\x00b", "\ud800", "<script>", "'\"&", "x" * 500)
        url = uploads.create_upload_share(max_files=len(names))
        for number, name in enumerate(names, 1):
            form = uploads.request_form(url, name=name).json
            assert submit_form(form, b"hello", "../../other.txt").status == 200
            assert uploads.stored(f"inbox/{share_id(url)}/{number}-{safe_name(name)}") == b"hello"


class TestPage:
    def test_the_content_security_policy_allows_nothing_else(self, uploads: System) -> None:
        response = uploads.open(uploads.create_upload_share(), headers=HTML)
        policy = response.headers["Content-Security-Policy"]
        directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))
        (nonce,) = re.findall(r'<script nonce="([A-Za-z0-9_-]{22})">', response.body)
        assert directives["script-src"] == f"'nonce-{nonce}'"
        assert directives["connect-src"] == f"'self' {uploads.oss.url}"
        closed = ("default-src", "form-action", "base-uri", "frame-ancestors")
        assert {directives[name] for name in closed} == {"'none'"}
        assert not {"unsafe", "*"} & {*policy.split()}
        assert not re.search(r'\son[a-z]+="|\sstyle="|javascript:', response.body)


# The value that each field has, and one that would cost money or mislead.
FIELDS = {
    "x-oss-storage-class": ("Standard", "DeepColdArchive"),
    "x-oss-server-side-encryption": ("AES256", "KMS"),
    "content-disposition": ("attachment", 'inline; filename="invoice.html"'),
    "content-encoding": ("identity", "gzip"),
    "cache-control": ("no-cache", "public, max-age=31536000"),
}


class TestArrivals:
    """Only files that arrived count, and those that can still arrive."""

    @staticmethod
    def expire_claims(service: System, url: str, seconds: float = uses.HELD + 1) -> None:
        """Makes the claims of a share older."""
        for key in service.oss.keys(f".links/state/uses/{share_id(url)}/"):
            service.oss.change(key, seconds_older=seconds)

    def test_only_files_that_arrived_and_forms_that_may_be_used_fill_a_share(
        self, uploads: System
    ) -> None:
        url = uploads.create_upload_share(max_files=3)
        forms = [uploads.request_form(url).json for _ in range(3)]
        assert [form["number"] for form in forms] == [1, 2, 3]
        assert uploads.request_form(url).code == "share_full"
        self.expire_claims(uploads, url)
        assert uploads.files_left(url) == 3
        assert submit_form(forms[0], b"late").status == 200
        form = uploads.request_form(url).json
        assert form["number"] == 4
        assert submit_form(form, b"hello").status == 200
        assert uploads.stored(f"inbox/{share_id(url)}/4-a.txt") == b"hello"
        self.expire_claims(uploads, url)
        assert uploads.files_left(url) == 1
        assert [uploads.request_form(url).status for _ in range(2)] == [200, 410]
        self.expire_claims(uploads, url)
        assert submit_form(uploads.request_form(url).json, b"hello").status == 200
        self.expire_claims(uploads, url)
        assert uploads.request_form(url).code == "share_full"
        assert uploads.files_left(url) == 0
        uploads.delete(f"inbox/{share_id(url)}/1-a.txt")  # by its owner
        assert uploads.request_form(url).json["number"] == 7

    def test_of_many_that_claim_again_each_gets_a_number_of_its_own(self, uploads: System) -> None:
        url = uploads.create_upload_share(max_files=5)
        for _ in range(5):
            uploads.request_form(url)
        self.expire_claims(uploads, url)
        with ThreadPoolExecutor(8) as threads:
            forms = list(
                threads.map(lambda n: request_form(uploads, url, f"{NONCE}{n}"), range(20))
            )
        assert sorted(json.loads(form.body)["number"] for form in forms if form.status == 200) == [
            6,
            7,
            8,
            9,
            10,
        ]
        # Nothing was deleted.
        assert len(uploads.oss.keys(f".links/state/uses/{share_id(url)}/")) == 10

    def test_all_forms_of_a_number_expire_before_another_can_take_its_place(
        self, uploads: System
    ) -> None:
        url = uploads.create_upload_share(max_files=1)
        uploads.request_form(url, nonce=NONCE)
        self.expire_claims(uploads, url, uses.FORMS - 100)
        again = uploads.request_form(url, nonce=NONCE, again=True)
        assert again.json["number"] == 1
        assert 90 <= again.line["expires_in"] <= 100
        self.expire_claims(uploads, url, 90)
        assert uploads.request_form(url).code == "share_full"
        # Its own sender waits, too: an upload that began with the form may still arrive.
        assert uploads.request_form(url, nonce=NONCE, again=True).code == "share_full"
        self.expire_claims(uploads, url, uses.HELD - uses.FORMS + 11)
        assert uploads.request_form(url, nonce=NONCE, again=True).json["number"] == 2
        assert uploads.request_form(url, nonce=NONCE, again=True).json["number"] == 2
        assert uploads.request_form(url).code == "share_full"
        long = uploads.with_mount("/in/", expires=7200, max_expires=7200)
        assert long.request_form(long.create_upload_share()).line["expires_in"] == uses.FORMS

    def test_a_retry_of_a_file_that_arrived_does_not_count_twice(self, uploads: System) -> None:
        url = uploads.create_upload_share(max_files=2)
        form = uploads.request_form(url, nonce=NONCE).json
        submit_form(form, b"hello")
        self.expire_claims(uploads, url)
        assert submit_form(form, b"other") == (409, "FileAlreadyExists")
        again = uploads.request_form(url, nonce=NONCE, again=True).json
        assert again == {"number": form["number"], "nonce": NONCE}
        assert uploads.files_left(url) == 1
        uploads.delete(form["fields"]["key"])  # by the owner, who has it
        assert uploads.request_form(url, nonce=NONCE, again=True).json["number"] == 2

    def test_no_form_stores_what_arrived_twice(self, uploads: System) -> None:
        url = uploads.create_upload_share(max_files=2)
        form = uploads.request_form(url, nonce=NONCE).json
        submit_form(form, b"hello")
        for _ in range(2):
            again = uploads.request_form(url, nonce=NONCE, again=True).json
            assert again == {"number": form["number"], "nonce": NONCE}
            uploads.delete(form["fields"]["key"])  # by its owner, who has it

    @pytest.mark.parametrize(
        ("names", "arrived"),
        [
            (("", "notes.txt", "thumbnails/1-a.txt", "1.txt", "0-a.txt", "-1-a.txt", "b.txt"), 0),
            (
                (
                    "0",
                    "0-a.txt",
                    "00",
                    "0a.txt",
                    "0~",
                    "0\U0010ffff!",
                    "0/1-a.txt",
                    "1-a.txt",
                    "2-b.txt",
                ),
                2,
            ),
        ],
    )
    def test_other_objects_in_the_folder_neither_count_nor_cost_nor_hide_what_arrived(
        self, names: tuple[str, ...], arrived: int, uploads: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("signer.common.listing.PAGE", 2)
        monkeypatch.setattr(uses, "PAGE", 2)
        url = uploads.create_upload_share(max_files=3)
        for name in names:
            uploads.put(f"inbox/{share_id(url)}/{name}", b"by the owner")
        requests = watch_requests(monkeypatch)
        assert uploads.files_left(url) == 3 - arrived
        assert len(requests) == 4  # both ends, the claims, the files

    def test_the_sender_sees_how_many_files_arrived(self, uploads: System) -> None:
        url = uploads.create_upload_share(max_files=3)
        submit_form(uploads.request_form(url).json, b"hello")
        uploads.request_form(url)
        share = uploads.request(f"/-/shares/{share_id(url)}", key=WRITER).json
        assert (share["uses"], share["max_uses"]) == (1, 3)
        moved = uploads.with_mount("/in/", target=Location(BUCKET, "moved/"))
        assert moved.request(f"/-/shares/{share_id(url)}", key=WRITER).json["uses"] is None

    @pytest.mark.parametrize("max_files", [1, 30])
    def test_a_full_share_costs_at_most_seven_requests(
        self, uploads: System, monkeypatch: pytest.MonkeyPatch, max_files: int
    ) -> None:
        url = uploads.create_upload_share(max_files=max_files)
        uploads.request_form(url, nonce=NONCE)
        for number in range(1, max_files + 1):
            uploads.put(f"inbox/{share_id(url)}/{number}-a.txt", b"hello")
            uploads.put(f".links/state/uses/{share_id(url)}/{number + 1}", b"of another")
        requests = watch_requests(monkeypatch)
        for params, status in (
            ({"nonce": NONCE, "again": True}, 200),
            ({"nonce": NONCE[::-1], "again": True}, 410),
            ({}, 410),
        ):
            requests.clear()
            assert uploads.restarted().request_form(url, **params).status == status
            assert len(requests) <= 7, requests

    def test_any_number_of_expired_claims_costs_no_more(
        self, uploads: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("signer.common.listing.PAGE", 12)
        monkeypatch.setattr(uses, "PAGE", 12)
        monkeypatch.setattr(uses, "_PLAIN", 10)
        url = uploads.create_upload_share(max_files=2)
        for number in range(1, 26):
            name = str(number) if number <= 10 else str(number - 10**9)
            uploads.put(f".links/state/uses/{share_id(url)}/{name}", b"of another")
        self.expire_claims(uploads, url)
        requests = watch_requests(monkeypatch)
        for number in (26, 27):
            requests.clear()
            assert uploads.request_form(url).json["number"] == number
            assert len(requests) <= 6, requests
        assert uploads.request_form(url).code == "share_full"

    def test_where_etags_are_no_md5_the_content_of_the_newest_number_tells_whose_it_is(
        self, uploads: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = uploads.create_upload_share(max_files=50)
        for number in range(1, 11):
            uploads.request_form(url, nonce=f"{NONCE}{number}")
            uploads.oss.change(f".links/state/uses/{share_id(url)}/{number}", etag=f"{number:032X}")
        requests = watch_requests(monkeypatch)
        # An older number counts as another's.
        for repeated, number in ((10, 10), (9, 11), (0, 12)):
            requests.clear()
            response = uploads.restarted().request_form(url, nonce=f"{NONCE}{repeated}", again=True)
            assert response.json["number"] == number
            assert len(requests) <= 7, requests
            uploads.oss.change(f".links/state/uses/{share_id(url)}/{number}", etag=f"{number:032X}")


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 10))]
)
def test_with_an_unreliable_oss_no_place_is_given_twice_and_no_retry_loses_one(
    uploads: System, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    url = uploads.create_upload_share(max_files=3)
    nonces = [f"{NONCE}{number}" for number in range(8)]
    with fault_proxy(uploads.oss.url) as proxy:
        proxy.shuffle(seed)
        flaky = uploads.at(proxy.url)
        monkeypatch.setattr(oss, "TIMEOUT", (5.0, 0.2))
        numbers: dict[str, int] = {}
        for settled in (False, True):
            if settled:
                proxy.disarm()
                monkeypatch.setattr(oss, "TIMEOUT", (30.0, 30.0))
            with ThreadPoolExecutor(8) as threads:
                for nonce, response in zip(
                    nonces * 2,
                    threads.map(lambda nonce: request_form(flaky, url, nonce), nonces * 2),
                    strict=True,
                ):
                    assert response.status in ((200, 410) if settled else (200, 410, 503))
                    if response.status == 200:
                        number = json.loads(response.body)["number"]
                        assert numbers.setdefault(nonce, number) == number
    assert sorted(numbers.values()) == [1, 2, 3]


def request_form(service: System, url: str, nonce: str, size: int = 5) -> Response:
    """The response to a request for a form again, without patches, which threads cannot share."""
    parts = urlsplit(url)
    body = json.dumps(
        {"name": "a.txt", "size": size, "type": "text/plain", "nonce": nonce, "again": True}
    ).encode()
    request = Request("POST", parts.path, dict(parse_qsl(parts.query)), {}, body, "")
    return app.answer(request, lambda: service.instance, context(), request_id="req-EXAMPLE")


class TestFixedFields:
    """People without an account choose nothing that costs money or misleads."""

    @pytest.mark.parametrize("name", FIELDS)
    def test_a_field_has_one_value(self, uploads: System, name: str) -> None:
        value, other = FIELDS[name]
        url = uploads.create_upload_share()
        form = uploads.request_form(url).json
        assert {name: value} in conditions(form)
        assert submit_form(form, b"hello", **{name.replace("-", "_"): other}) == (
            403,
            "AccessDenied",
        )
        assert uploads.stored(f"inbox/{share_id(url)}/1-a.txt") is None
        assert submit_form(form, b"hello").status == 200
        assert uploads.stored_headers(f"inbox/{share_id(url)}/1-a.txt")[name] == value

    def test_every_condition_is_on_a_field_that_the_form_has(self, uploads: System) -> None:
        """Whether OSS checks a condition on an absent field is not documented."""
        form = uploads.request_form(uploads.create_upload_share()).json
        limited = {"bucket", "content-length-range"}
        for condition in conditions(form):
            operator, field = (
                (condition[0], condition[1]) if isinstance(condition, list) else ("eq", *condition)
            )
            limited.add(operator if operator == "content-length-range" else field.removeprefix("$"))
        assert limited == {"bucket", "content-length-range", *form["fields"]} - {
            "policy",
            "x-oss-signature",
        }
