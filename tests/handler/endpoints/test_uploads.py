"""Forms by which a browser uploads one file straight into OSS, and what their policies hold it to."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import Credentials, Endpoint, InvalidForm, post_form, v4
from tests.handler.client import KEYS, NOW, TOKEN
from tests.handler.keys_fixtures import BUCKET
from tests.handler.upload_fixtures import ALICE, ENDING, MEGABYTE, WRITER, Uploads, post, uploads, uploads_with_oss

NODE = Path(__file__).parents[2] / "node"
FORM = {"url", "fields", "expires_at", "expires_in", "clamped_by"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Uploads:
    return uploads(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploads]:
    with uploads_with_oss(tmp_path_factory.mktemp("kept")) as found:
        yield found


def policy_of(form: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(form["fields"]["policy"]))
    return found


class TestForm:
    def test_an_exact_key(self, plain: Uploads) -> None:
        found = plain.form(path="/in/季度/a.txt", max_size=1000, min_size=1, content_type="text/plain", expires="5m")
        assert set(found) == FORM
        assert found["url"] == "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/"
        assert (found["expires_at"], found["expires_in"], found["clamped_by"]) == ("2026-03-01T06:46:11Z", 300, None)
        signed = {
            "x-oss-signature-version": "OSS4-HMAC-SHA256",
            "x-oss-credential": "STS.EXAMPLE/20260301/cn-hangzhou/oss/aliyun_v4_request",
            "x-oss-date": "20260301T064111Z",
            "x-oss-security-token": TOKEN,
            "x-oss-forbid-overwrite": "true",
            "x-oss-object-acl": "default",
            "success_action_status": "200",
        }
        policy = policy_of(found)
        assert policy["expiration"] == "2026-03-01T06:46:11.000Z"
        assert policy["conditions"] == [
            {"bucket": BUCKET},
            *({name: value} for name, value in signed.items()),
            ["eq", "$key", "inbox/季度/a.txt"],
            ["content-length-range", 1, 1000],
            ["eq", "$x-oss-content-type", "text/plain"],
        ]
        fields = {name: value for name, value in found["fields"].items() if name not in ("policy", "x-oss-signature")}
        assert fields == {"key": "inbox/季度/a.txt", "x-oss-content-type": "text/plain", **signed}
        key = v4.signing_key(KEYS.access_key_secret, "20260301", "cn-hangzhou", "oss")
        assert found["fields"]["x-oss-signature"] == v4.signature(key, found["fields"]["policy"])

    def test_a_prefix_lets_the_client_choose_the_rest(self, plain: Uploads) -> None:
        found = plain.form(path="/in/2026/", content_type="text/")
        assert found["fields"]["key"] == "inbox/2026/${filename}"
        assert ["starts-with", "$key", "inbox/2026/"] in policy_of(found)["conditions"]
        assert ["starts-with", "$x-oss-content-type", "text/"] in policy_of(found)["conditions"]

    def test_the_mount_s_own_path_is_a_prefix(self, plain: Uploads) -> None:
        assert ["starts-with", "$key", "inbox/"] in policy_of(plain.form(path="/in/"))["conditions"]

    def test_the_size_is_the_mount_s_where_none_is_named(self, plain: Uploads) -> None:
        assert ["content-length-range", 0, MEGABYTE] in policy_of(plain.form())["conditions"]
        assert ["content-length-range", 0, 5 * 1024**3] in policy_of(plain.form(path="/big/a"))["conditions"]

    def test_a_form_ends_with_its_caller(self, plain: Uploads) -> None:
        found = plain.form(ENDING, path="/team/a.txt", expires="1h")
        assert (found["expires_in"], found["clamped_by"]) == (600, "caller")
        assert policy_of(found)["expiration"] == "2026-03-01T06:51:11.000Z"

    @pytest.mark.parametrize(
        ("wish", "code"),
        [
            ({"max_size": MEGABYTE + 1}, "too_large"),
            ({"max_size": -1}, "too_large"),
            ({"max_size": "5"}, "bad_body"),
            ({"max_size": True}, "bad_body"),
            ({"max_size": 5, "min_size": 6}, "bad_body"),
            ({"min_size": -1}, "bad_body"),
            ({"content_type": ""}, "bad_body"),
            ({"content_type": "text"}, "bad_body"),
            ({"content_type": "text/plain\n"}, "bad_body"),
            ({"content_type": "*/*/"}, "bad_body"),
            ({"content_type": "/"}, "bad_body"),
            ({"expires": "0"}, "bad_expires"),
            ({"expires": "soon"}, "bad_expires"),
            ({"path": None}, "bad_body"),
            ({"path": "in/a.txt"}, "bad_path"),
            ({"path": "/in/../a.txt"}, "bad_path"),
            ({"path": "/in/\ud800"}, "bad_path"),
            ({"path": "/in/" + "a" * 1020}, "bad_path"),
            ({"path": "/in/${filename}"}, "bad_body"),
            ({"path": "/in/${filename}/"}, "bad_body"),
            ({"path": "/out/a.txt"}, "not_offered"),
            ({"more": 1}, "bad_body"),
            ({"overwrite": True}, "bad_body"),
            ({"headers": {"x-oss-object-acl": "public-read"}}, "bad_body"),
        ],
    )
    def test_a_wish_that_cannot_be_followed_is_refused(self, plain: Uploads, wish: dict[str, Any], code: str) -> None:
        answer = plain.post("/-/form", {"path": "/in/a.txt", **wish})
        assert (answer.status, answer.code) == (400, code), answer
        assert "inbox" not in answer.body

    @pytest.mark.parametrize("path", ["/none/a", "/", "/-/form", "/.links/keys.json"])
    def test_what_does_not_exist_has_no_form(self, plain: Uploads, path: str) -> None:
        assert plain.post("/-/form", {"path": path}).status == 404

    def test_a_key_is_needed_and_must_reach(self, plain: Uploads) -> None:
        assert plain.post("/-/form", {"path": "/team/alice/"}).status == 401
        assert plain.post("/-/form", {"path": "/team/alice/"}, ALICE).status == 200
        for wider in ("/team/", "/team/alic", "/team/bob/"):
            assert plain.post("/-/form", {"path": wider}, ALICE).status == 404
        assert plain.post("/-/form", {"path": "/team/"}, WRITER).status == 200

    def test_a_prefix_above_another_mount_s_target_is_refused(self, plain: Uploads) -> None:
        for path in ("/both/", "/both/out/"):
            answer = plain.post("/-/form", {"path": path})
            assert (answer.status, answer.code) == (400, "prefix_overlaps")
        assert plain.post("/-/form", {"path": "/both/in/"}).status == 200
        assert plain.post("/-/form", {"path": "/both/outer/"}).status == 200
        assert plain.post("/-/form", {"path": "/both/a.txt"}).status == 200

    def test_the_audit_line_has_no_field_of_it(self, plain: Uploads) -> None:
        answer = plain.post("/-/form", {"path": "/in/a.txt"})
        assert answer.line["expires_in"] == 900
        for value in answer.json["fields"].values():
            assert value in ("true", "200", "default") or value not in answer.printed


class TestAtOss:
    def test_a_file_arrives_once(self, kept: Uploads) -> None:
        found = kept.form(path="/in/季度 q3.txt", content_type="text/plain")
        assert post(found, b"hello").status == 200
        assert kept.stored("inbox/季度 q3.txt") == b"hello"
        assert kept.headers_of("inbox/季度 q3.txt")["content-type"] == "text/plain"
        assert post(found, b"other") == (409, "FileAlreadyExists")
        assert kept.stored("inbox/季度 q3.txt") == b"hello"

    def test_the_file_s_own_name_ends_the_key(self, kept: Uploads) -> None:
        assert post(kept.form(path="/in/named/"), b"hello", "报告.bin").status == 200
        assert kept.stored("inbox/named/报告.bin") == b"hello"

    @pytest.mark.parametrize(
        ("size", "code"),
        [
            (9, "EntityTooSmall"),
            (10, ""),
            (20, ""),
            (21, "EntityTooLarge"),
            (300_000, "EntityTooLarge"),
            (0, "EntityTooSmall"),
        ],
    )
    def test_sizes_are_held(self, kept: Uploads, size: int, code: str) -> None:
        found = kept.form(path=f"/in/sizes/{size}", max_size=20, min_size=10)
        assert post(found, b"x" * size) == (400 if code else 200, code)
        assert (kept.stored(f"inbox/sizes/{size}") is None) is bool(code)

    @pytest.mark.parametrize(
        "field",
        [
            {"key": "inbox/other.txt"},
            {"key": "both/out/a.txt"},
            {"key": ".links/keys.json"},
            {"key": "inbox/held.txt/more"},
            {"key": "${filename}"},
            {"x_oss_content_type": "text/html"},
            {"x_oss_content_type": None},
            {"x_oss_forbid_overwrite": "false"},
            {"x_oss_forbid_overwrite": None},
            {"x_oss_object_acl": "public-read"},
            {"x_oss_object_acl": None},
            {"success_action_status": "201"},
            {"x_oss_date": "20260301T064112Z"},
            {"x_oss_security_token": "CAIS+other/EXAMPLE=="},
            {"x_oss_security_token": None},
            {"x_oss_credential": "STS.OTHEREXAMPLE/20260301/cn-hangzhou/oss/aliyun_v4_request"},
            {"x_oss_signature_version": "OSS2"},
            {"x_oss_signature": "0" * 64},
            {"policy": "e30="},
        ],
    )
    def test_no_field_is_changed(self, kept: Uploads, field: dict[str, str | None]) -> None:
        found = kept.form(path="/in/held.txt", content_type="text/plain")
        refused = post(found, b"hello", **field)
        assert refused.status in (400, 403)
        assert refused.code
        assert kept.stored("inbox/held.txt") is None

    @pytest.mark.parametrize(
        "key", ["inbox", "both/out/a", ".links/keys.json", "inbox/chosen/../../a", "inbox/other/a"]
    )
    def test_a_chosen_key_stays_below_its_prefix(self, kept: Uploads, key: str) -> None:
        assert post(kept.form(path="/in/chosen/"), b"x", key=key).status in ((200,) if "chosen" in key else (403,))
        assert kept.stored("a") is None

    @pytest.mark.parametrize(("kind", "is_taken"), [("image/png", True), ("image/", True), ("text/html", False)])
    def test_a_type_begins_as_it_must(self, kept: Uploads, kind: str, is_taken: bool) -> None:
        found = kept.form(path=f"/in/types/{kind.replace('/', '-')}", content_type="image/")
        assert (post(found, b"x", x_oss_content_type=kind).status == 200) is is_taken

    def test_a_form_ends(self, kept: Uploads) -> None:
        earlier = kept._replace(now=kept.now - 600)
        assert post(earlier.form(path="/in/late.txt", expires="5m"), b"x") == (403, "AccessDenied")
        assert post(earlier.form(path="/in/late.txt", expires="15m"), b"x").status == 200

    def test_its_signature_reads_nothing(self, kept: Uploads) -> None:
        kept.put("inbox/read.txt", b"secret")
        found = kept.form(path="/in/read.txt")
        names = ("x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-security-token", "x-oss-signature")
        query = {name: found["fields"][name] for name in names} | {"x-oss-expires": "900"}
        import requests

        for method in ("GET", "HEAD", "PUT", "DELETE"):
            answer = requests.request(method, f"{found['url']}inbox/read.txt", params=query, timeout=30)
            assert answer.status_code == 403


class TestLibrary:
    @pytest.mark.parametrize("key", ["${filename}", "a/${filename}", "a${filename}/", "${filename}/a"])
    def test_a_key_that_oss_would_fill_in_is_refused(self, key: str) -> None:
        with pytest.raises(InvalidForm) as refused:
            form_of(key=key)
        assert refused.value.field == "key"

    @settings(max_examples=60)
    @given(
        size=st.integers(0, 5 * 1024**3),
        key=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
            lambda key: key[0] not in "/\\" and "//" not in key and {".", ".."}.isdisjoint(key.split("/"))
        ),
    )
    def test_every_policy_says_size_key_and_no_overwriting(self, size: int, key: str) -> None:
        conditions = json.loads(base64.b64decode(form_of(key=key, max_size=size).fields["policy"]))["conditions"]
        assert ["content-length-range", 0, size] in conditions
        assert ["starts-with" if key.endswith("/") else "eq", "$key", key] in conditions
        assert {"x-oss-forbid-overwrite": "true"} in conditions


def form_of(**wish: Any) -> Any:
    """A form of the library's."""
    fixed = {"credentials": KEYS, "endpoint": Endpoint.public("cn-hangzhou"), "max_size": 5, "now": NOW}
    return post_form(BUCKET, **{"key": "a.txt", **fixed, **wish})


def test_the_signature_is_that_of_the_official_javascript_sdk() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (NODE / "node_modules" / "ali-oss").is_dir():
        pytest.skip("ali-oss is not installed: run npm ci --ignore-scripts in tests/node")
    forms, asked = [], []
    permanent = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE+/=")
    for credentials in (KEYS, permanent):
        for key in ("a.txt", "in/", '季度 "q3"/\u2028.txt', "a'<>&\\b/${x}/"):
            for region in ("cn-hangzhou", "ap-southeast-1"):
                for now in (NOW, 0.0, 951_782_399.9):
                    endpoint = Endpoint.public(region)
                    form = form_of(key=key, credentials=credentials, endpoint=endpoint, now=now, content_type="text/")
                    forms.append(form)
                    asked.append(
                        {
                            "settings": {
                                "region": f"oss-{region}",
                                "accessKeyId": credentials.access_key_id,
                                "accessKeySecret": credentials.access_key_secret,
                            },
                            "policy": base64.b64decode(form.fields["policy"]).decode(),
                            "date": now * 1000,
                        }
                    )
    done = subprocess.run(
        [node, "form_signature.cjs"], cwd=NODE, input=json.dumps(asked), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [form.fields["x-oss-signature"] for form in forms]
