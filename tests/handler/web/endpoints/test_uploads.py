"""Forms with which a browser uploads one file directly to OSS, and what their policies enforce."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import Credentials, Endpoint, InvalidForm, post_form, v4
from tests.handler.client import KEYS, NOW, TOKEN
from tests.handler.upload_fixtures import MEGABYTE, submit_form
from tests.local_oss import BUCKET
from tests.memory_oss import MemoryOss
from tests.system import ALICE, EXPIRING, WRITER, System

NODE = Path(__file__).parents[3] / "node"
FORM = {"url", "fields", "expires_at", "expires_in", "clamped_by"}


def post_policy(form: dict[str, Any]) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(base64.b64decode(form["fields"]["policy"]))
    return policy


class TestForm:
    def test_an_exact_key(self, in_memory: System) -> None:
        form = in_memory.create_form(
            path="/in/季度/a.txt",
            max_size=1000,
            min_size=1,
            content_type="text/plain",
            expires="5m",
        )
        assert set(form) == FORM
        assert form["url"] == "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/"
        assert (form["expires_at"], form["expires_in"], form["clamped_by"]) == (
            "2026-03-01T06:46:11Z",
            300,
            None,
        )
        signed = {
            "x-oss-signature-version": "OSS4-HMAC-SHA256",
            "x-oss-credential": "STS.EXAMPLE/20260301/cn-hangzhou/oss/aliyun_v4_request",
            "x-oss-date": "20260301T064111Z",
            "x-oss-security-token": TOKEN,
            "x-oss-forbid-overwrite": "true",
            "x-oss-object-acl": "default",
            "success_action_status": "200",
        }
        policy = post_policy(form)
        assert policy["expiration"] == "2026-03-01T06:46:11.000Z"
        assert policy["conditions"] == [
            {"bucket": BUCKET},
            *({name: value} for name, value in signed.items()),
            ["eq", "$key", "inbox/季度/a.txt"],
            ["content-length-range", 1, 1000],
            ["eq", "$x-oss-content-type", "text/plain"],
        ]
        fields = {
            name: value
            for name, value in form["fields"].items()
            if name not in ("policy", "x-oss-signature")
        }
        assert fields == {"key": "inbox/季度/a.txt", "x-oss-content-type": "text/plain", **signed}
        key = v4.signing_key(KEYS.access_key_secret, "20260301", "cn-hangzhou", "oss")
        assert form["fields"]["x-oss-signature"] == v4.signature(key, form["fields"]["policy"])

    def test_a_prefix_lets_the_client_choose_the_rest(self, in_memory: System) -> None:
        form = in_memory.create_form(path="/in/2026/", content_type="text/")
        assert form["fields"]["key"] == "inbox/2026/${filename}"
        assert ["starts-with", "$key", "inbox/2026/"] in post_policy(form)["conditions"]
        assert ["starts-with", "$x-oss-content-type", "text/"] in post_policy(form)["conditions"]

    def test_the_default_size_is_that_of_the_mount(self, in_memory: System) -> None:
        for path, size in (("/in/a", MEGABYTE), ("/big/a", 5 * 1024**3)):
            assert ["content-length-range", 0, size] in post_policy(
                in_memory.create_form(path=path)
            )["conditions"]

    def test_a_form_does_not_outlive_its_caller(self, in_memory: System) -> None:
        form = in_memory.create_form(EXPIRING, path="/team/a.txt", expires="1h")
        assert (form["expires_in"], form["clamped_by"]) == (600, "caller")
        assert post_policy(form)["expiration"] == "2026-03-01T06:51:11.000Z"

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            *(({"max_size": size}, "too_large") for size in (MEGABYTE + 1, -1)),
            *(({"expires": each}, "bad_expires") for each in ("0", "soon")),
            *(
                ({"path": path}, "bad_body")
                for path in (None, "/in/${filename}", "/in/${filename}/")
            ),
            *(
                (each, "bad_body")
                for each in ({"max_size": "5"}, {"max_size": True}, {"max_size": 5, "min_size": 6})
            ),
            *(
                (each, "bad_body")
                for each in (
                    {"min_size": -1},
                    {"content_type": 7},
                    {"more": 1},
                    {"overwrite": True},
                )
            ),
            ({"headers": {"x-oss-object-acl": "public-read"}}, "bad_body"),
        ],
    )
    def test_an_invalid_request_is_refused(
        self, in_memory: System, params: dict[str, Any], code: str
    ) -> None:
        response = in_memory.post("/-/form", {"path": "/in/a.txt", **params})
        assert (response.status, response.code) == (400, code), response
        assert "inbox" not in response.body

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text",
            "te xt/plain",
            "text/plain;",
            "*/*",
            "text/plain\r\nx-oss-object-acl: public-read",
            "text/plain; charset=utf-8; x=y",
        ],
    )
    def test_an_invalid_type_has_one_code_at_every_route(
        self, in_memory: System, content_type: str
    ) -> None:
        wanted: dict[str, dict[str, Any]] = {
            "/-/form": {"path": "/in/a.txt", "content_type": content_type},
            "/-/uploads": {"path": "/in/a.txt", "size": 5, "content_type": content_type},
            "/-/shares": {
                "path": "/in/",
                "method": "POST",
                "upload": {"content_type": content_type},
            },
        }
        for route, params in wanted.items():
            response = in_memory.post(route, params, WRITER)
            assert (response.status, response.code) == (400, "bad_content_type"), route
        assert (
            in_memory.sign_put(headers={"Content-Type": content_type})["error"]["code"]
            == "bad_content_type"
        )

    def test_a_prefix_above_another_mount_s_target_is_refused(self, in_memory: System) -> None:
        for path in ("/both/", "/both/out/"):
            response = in_memory.post("/-/form", {"path": path})
            assert (response.status, response.code) == (400, "prefix_overlaps")
        assert in_memory.post("/-/form", {"path": "/both/in/"}).status == 200
        assert in_memory.post("/-/form", {"path": "/both/outer/"}).status == 200
        assert in_memory.post("/-/form", {"path": "/both/a.txt"}).status == 200

    def test_the_audit_line_contains_no_field_but_the_key(self, in_memory: System) -> None:
        response = in_memory.post("/-/form", {"path": "/in/a.txt"})
        assert (response.line["expires_in"], response.line["key"]) == (900, "inbox/a.txt")
        for value in response.json["fields"].values():
            assert (
                value in ("true", "200", "default", "inbox/a.txt") or value not in response.printed
            )


ROUTES: dict[str, dict[str, object]] = {
    "/-/sign": {"method": "PUT", "size": 1},
    "/-/form": {},
    "/-/uploads": {"size": 1},
}
REFUSED = [
    *((path, None, 401, "unauthorized") for path in ("/team/alice/a.txt",)),
    *(
        (path, ALICE, 404, "not_found")
        for path in ("/team/bob/a.txt", "/team/alice", "/team/", "/team", "/none/a")
    ),
    *((path, None, 404, "not_found") for path in ("/none/a", "/", "/.links/keys.json", "/-/form")),
    *(
        (path, None, 400, "bad_path")
        for path in ("in/a", "/in/../a", "/in//a", "/in/\ud800", "/in/" + "a" * 1020)
    ),
    ("/out/a.txt", None, 400, "method_not_enabled"),
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("path", "key", "status", "code"), REFUSED, ids=range(len(REFUSED)))
def test_every_route_for_uploads_refuses_the_same_and_starts_nothing(
    in_memory: System,
    oss: MemoryOss,
    route: str,
    path: str,
    key: str | None,
    status: int,
    code: str,
) -> None:
    item = {"path": path, **ROUTES[route]}
    answer = in_memory.post(route, {"links": [item]} if route == "/-/sign" else item, key).json
    problem = answer["links"][0]["error"] if route == "/-/sign" else answer
    assert (problem["status"], problem["code"]) == (status, code)
    assert oss.calls == {}
    assert "url" in in_memory.sign_put(ALICE, path="/team/alice/a.txt")


class TestAtOss:
    def test_a_file_arrives_once(self, uploads: System) -> None:
        form = uploads.create_form(path="/in/季度 q3.txt", content_type="text/plain")
        assert submit_form(form, b"hello").status == 200
        assert uploads.stored("inbox/季度 q3.txt") == b"hello"
        assert uploads.stored_headers("inbox/季度 q3.txt")["content-type"] == "text/plain"
        assert submit_form(form, b"other") == (409, "FileAlreadyExists")
        assert uploads.stored("inbox/季度 q3.txt") == b"hello"

    def test_the_name_of_the_file_completes_the_key(self, uploads: System) -> None:
        assert (
            submit_form(uploads.create_form(path="/in/named/"), b"hello", "报告.bin").status == 200
        )
        assert uploads.stored("inbox/named/报告.bin") == b"hello"

    @pytest.mark.parametrize("rest", ["a/../b.txt", "a//b.txt", "a\r\nb.txt", "./b.txt"])
    def test_no_link_leads_to_a_chosen_key_that_clients_rewrite(
        self, uploads: System, rest: str
    ) -> None:
        form = uploads.create_form(path="/both/chosen/")
        assert submit_form(form, b"x", key=f"both/chosen/{rest}").status == 200
        path = f"/both/chosen/{rest}"
        for method in ("GET", "HEAD", "PUT"):
            link = uploads.sign(
                {"path": path, "method": method, **({"size": 1} if method == "PUT" else {})}
            )[0]
            assert "url" not in link
            assert link["error"]["status"] == 400
        assert uploads.request(quote(path)).status == 400


class TestLibrary:
    def test_a_key_that_oss_would_fill_in_and_an_invalid_further_field_are_refused(self) -> None:
        odd: list[dict[str, str]] = [
            {"key": "b.txt"},
            {"x-oss-object-acl": "public-read"},
            {"Cache-Control": "no-cache"},
        ]
        odd += [{"cache-control": value} for value in ("", "no-cache\r\n", "é")]
        keys = ("${filename}", "a${filename}/", "${filename}/a")
        wrong: list[dict[str, Any]] = [
            *({"key": key} for key in keys),
            *({"fixed": fixed} for fixed in odd),
        ]
        for params in wrong:
            with pytest.raises(InvalidForm) as refused:
                library_form(**params)
            assert [refused.value.field] == [*params]

    @pytest.mark.parametrize(
        ("sizes", "field"),
        [
            ({"max_size": -1}, "max_size"),
            ({"max_size": 5 * 1024**3 + 1}, "max_size"),
            ({"max_size": True}, "max_size"),
            ({"max_size": 5, "min_size": 6}, "min_size"),
            ({"max_size": 5, "min_size": -1}, "min_size"),
            ({"max_size": 5, "min_size": "1"}, "min_size"),
        ],
    )
    def test_a_size_that_no_upload_can_have_is_refused(
        self, sizes: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(InvalidForm, match=field) as refused:
            library_form(**sizes)
        assert refused.value.field == field

    def test_further_fields_are_in_the_form_and_in_its_policy(self) -> None:
        fixed = {"cache-control": "no-cache", "x-oss-meta-source": "upload page"}
        form = library_form(fixed=fixed)
        assert fixed.items() <= form.fields.items()
        conditions = json.loads(base64.b64decode(form.fields["policy"]))["conditions"]
        assert [
            {name: value} for name, value in fixed.items() if {name: value} not in conditions
        ] == []

    @settings(max_examples=25)
    @given(
        size=st.integers(0, 5 * 1024**3),
        key=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
            lambda key: (
                key[0] not in "/\\" and "//" not in key and {".", ".."}.isdisjoint(key.split("/"))
            )
        ),
    )
    def test_every_policy_has_the_size_and_the_key_and_forbids_overwriting(
        self, size: int, key: str
    ) -> None:
        conditions = json.loads(
            base64.b64decode(library_form(key=key, max_size=size).fields["policy"])
        )["conditions"]
        assert ["content-length-range", 0, size] in conditions
        assert ["starts-with" if key.endswith("/") else "eq", "$key", key] in conditions
        assert {"x-oss-forbid-overwrite": "true"} in conditions


def library_form(**params: Any) -> Any:
    """A form that the library creates."""
    fixed = {
        "credentials": KEYS,
        "endpoint": Endpoint.public("cn-hangzhou"),
        "max_size": 5,
        "now": NOW,
    }
    return post_form(BUCKET, **{"key": "a.txt", **fixed, **params})


def test_the_signature_is_that_of_the_official_javascript_sdk() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (NODE / "node_modules" / "ali-oss").is_dir():
        pytest.skip("ali-oss is not installed: run npm ci --ignore-scripts in tests/node")
    forms, inputs = [], []
    permanent = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE+/=")
    keys = ("a.txt", "in/", '季度 "q3"/\u2028.txt', "a'<>&\\b/${x}/")
    regions, times = ("cn-hangzhou", "ap-southeast-1"), (NOW, 0.0, 951_782_399.9)
    for credentials, key, region, now in product((KEYS, permanent), keys, regions, times):
        endpoint = Endpoint.public(region)
        form = library_form(
            key=key, credentials=credentials, endpoint=endpoint, now=now, content_type="text/"
        )
        forms.append(form)
        access = {
            "accessKeyId": credentials.access_key_id,
            "accessKeySecret": credentials.access_key_secret,
        }
        policy = base64.b64decode(form.fields["policy"]).decode()
        inputs.append(
            {
                "settings": {"region": f"oss-{region}", **access},
                "policy": policy,
                "date": now * 1000,
            }
        )
    process = subprocess.run(
        [node, "form_signature.cjs"],
        cwd=NODE,
        input=json.dumps(inputs),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == [form.fields["x-oss-signature"] for form in forms]
