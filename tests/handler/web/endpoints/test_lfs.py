"""The batch API of Git LFS: who may use it, what it answers, and what nobody can make it do."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jsonschema
import pytest

from handler.core.cloud.oss import OssResponse
from handler.core.config import Location
from handler.web.endpoints import lfs
from signer import verify
from tests import system
from tests.handler.client import KEYS, NOW, Answered
from tests.handler.keys_fixtures import ENDED, READER, STRANGER, api
from tests.handler.web.endpoints.test_openapi import SCHEMAS, resolved
from tests.memory_oss import MemoryOss
from tests.system import HTML, System

MEDIA_TYPE = "application/vnd.git-lfs+json"
PUSHER = "fcp_pusher_EXAMPLE_0000000000000000000000000000"
PULLER = "fcp_puller_EXAMPLE_0000000000000000000000000000"
BLIND = "fcp_blind_EXAMPLE_00000000000000000000000000000"
CONTENT = b"a model of 3 GB, in short"
OID = sha256(CONTENT).hexdigest()
ITEM = {"oid": OID, "size": len(CONTENT)}
KEY = f"lfs/team/{OID[:2]}/{OID[2:4]}/{OID}"
BATCH = "/-/lfs/lfs/team/objects/batch"
LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/lfs/"
target = "oss://examplebucket/lfs/"
methods = ["GET", "PUT"]
max_size = "1MB"
overwrite = false
expires = "5m"

[[mount]]
path = "/lfs/inner/secret/"
target = "oss://examplebucket/secret/"
methods = ["GET", "PUT"]
max_size = "1MB"

[[mount]]
path = "/replaced/"
target = "oss://examplebucket/replaced/"
methods = ["GET", "PUT"]
max_size = "1MB"

[[mount]]
path = "/written/"
target = "oss://examplebucket/written/"
methods = ["PUT"]
max_size = "1MB"

[[mount]]
path = "/open/"
target = "oss://examplebucket/open/"
access = "anonymous"
"""


@pytest.fixture
def store(oss: MemoryOss, tmp_path: Path) -> System:
    paths = ["/lfs/", "/replaced/", "/written/"]
    callers = [
        api("pusher", PUSHER, paths=paths, methods=["GET", "PUT"]),
        api("puller", PULLER, paths=paths, methods=["GET"]),
        api("blind", BLIND, paths=paths, methods=["PUT"]),
        api("reader", READER),
        api("ended", ENDED, paths=paths, expires_at="2026-03-01T06:41:11Z"),
    ]
    return system.service(tmp_path, LINKS).with_keys(api=callers)


def basic(key: str, name: str = "anybody") -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{key}'.encode()).decode()}"}


def batch(
    store: System,
    operation: object = "download",
    *objects: object,
    key: str = PUSHER,
    path: str = BATCH,
    **more: object,
) -> Answered:
    """The response to a request as git-lfs sends it; `more` are members of its body."""
    headers = {
        "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
        "Accept": MEDIA_TYPE,
        **(basic(key) if key else {}),
    }
    body = {
        "operation": operation,
        "transfers": ["basic", "ssh"],
        "ref": {"name": "refs/heads/main"},
        "objects": list(objects or (ITEM,)),
        "hash_algo": "sha256",
        **more,
    }
    return store.request(path, "POST", headers=headers, body=json.dumps(body))


def objects_of(response: Answered) -> Any:
    assert response.status == 200, response
    jsonschema.validate(response.json, resolved(SCHEMAS["LfsResponse"]))
    assert response.headers["Content-Type"] == MEDIA_TYPE
    assert {**response.json, "objects": ...} == {
        "transfer": "basic",
        "hash_algo": "sha256",
        "objects": ...,
    }
    return response.json["objects"]


def object_of(response: Answered) -> Any:
    (answer,) = objects_of(response)
    return answer


def refused(response: Answered) -> tuple[int, Any]:
    """The status and the audit line's code of a problem, which has the form of Git LFS."""
    assert response.headers["Content-Type"] == MEDIA_TYPE
    jsonschema.validate(response.json, resolved(SCHEMAS["LfsProblem"]))
    assert response.json["message"]
    assert "Basic" not in response.headers.get("WWW-Authenticate", "")
    return response.status, response.lines[-1]["code"]


class TestAnUpload:
    def test_of_a_new_object_has_a_link_that_fixes_its_length_and_type(self, store: System) -> None:
        answer = object_of(batch(store, "upload"))
        action = answer["actions"].pop("upload")
        assert answer == {**ITEM, "authenticated": True, "actions": {}}
        headers = action["header"]
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["Content-Length"] == str(len(CONTENT))
        assert headers["x-oss-forbid-overwrite"] == "true"
        assert action["expires_in"] == 300
        assert f"/{KEY}?" in action["href"]
        assert verify("PUT", action["href"], headers=headers, credentials=KEYS, now=NOW).ok
        other = {**headers, "Content-Length": "26"}
        assert not verify("PUT", action["href"], headers=other, credentials=KEYS, now=NOW).ok

    def test_of_an_object_that_is_there_needs_nothing(self, store: System, oss: MemoryOss) -> None:
        oss.fill({KEY: CONTENT})
        assert object_of(batch(store, "upload")) == ITEM

    def test_of_an_object_in_cold_storage_needs_nothing(
        self, store: System, oss: MemoryOss
    ) -> None:
        with stored_as(oss, "Archive"):
            assert object_of(batch(store, "upload")) == ITEM

    def test_of_an_empty_object_has_a_link(self, store: System) -> None:
        answer = object_of(batch(store, "upload", {"oid": sha256().hexdigest(), "size": 0}))
        assert answer["actions"]["upload"]["header"]["Content-Length"] == "0"

    def test_of_an_empty_object_that_is_there_needs_nothing(
        self, store: System, oss: MemoryOss
    ) -> None:
        empty = {"oid": sha256().hexdigest(), "size": 0}
        oss.fill({f"lfs/team/e3/b0/{empty['oid']}": b""})
        assert object_of(batch(store, "upload", empty)) == empty

    @pytest.mark.parametrize("size", [1024 * 1024 + 1, 2**63 - 1])
    def test_above_the_maximum_is_an_error_of_that_object(
        self, store: System, oss: MemoryOss, size: int
    ) -> None:
        oss.fill({KEY: CONTENT})
        answers = objects_of(batch(store, "upload", {"oid": OID, "size": size}, ITEM))
        assert [answer.get("error", {}).get("code") for answer in answers] == [422, None]
        assert "must be at most 1 MB" in answers[0]["error"]["message"]

    @pytest.mark.parametrize("path", ["replaced", "written"])
    def test_where_objects_can_be_replaced_or_not_read_is_refused_before_oss_is_asked(
        self, store: System, oss: MemoryOss, path: str
    ) -> None:
        response = batch(store, "upload", path=f"/-/lfs/{path}/objects/batch")
        assert refused(response) == (422, "lfs_not_enabled")
        assert not oss.calls


class TestADownload:
    def test_has_a_link_of_the_object(self, store: System, oss: MemoryOss) -> None:
        oss.fill({KEY: CONTENT})
        answer = object_of(batch(store))
        action = answer["actions"]["download"]
        assert answer["authenticated"] is True
        assert (action["header"], action["expires_in"]) == ({}, 300)
        assert f"/{KEY}?" in action["href"]
        assert verify("GET", action["href"], credentials=KEYS, now=NOW).ok

    def test_of_a_missing_object_is_an_error_of_that_object(
        self, store: System, oss: MemoryOss
    ) -> None:
        oss.fill({KEY: CONTENT})
        missing = {"oid": "0" * 64, "size": 3}
        answers = objects_of(batch(store, "download", missing, ITEM))
        assert answers[0]["error"]["code"] == 404
        assert "actions" in answers[1]

    def test_of_an_object_in_cold_storage_is_an_error(self, store: System, oss: MemoryOss) -> None:
        with stored_as(oss, "ColdArchive"):
            assert object_of(batch(store))["error"]["code"] == 409

    def test_of_an_anonymous_mount_needs_no_key(self, store: System, oss: MemoryOss) -> None:
        oss.fill({KEY.replace("lfs/team", "open"): CONTENT})
        path = "/-/lfs/open/objects/batch"
        assert "actions" in object_of(batch(store, key="", path=path))
        assert refused(batch(store, "upload", key="", path=path)) == (422, "lfs_not_enabled")


@pytest.mark.parametrize("operation", ["download", "upload"])
@pytest.mark.parametrize("content", [b"something else", b""])
def test_another_size_under_a_hash_is_an_error(
    store: System, oss: MemoryOss, operation: str, content: bytes
) -> None:
    oss.fill({KEY: content})
    error = object_of(batch(store, operation))["error"]
    assert error["code"] == 422
    assert error["message"].startswith("Another object is stored under this hash.")


def test_an_object_that_oss_does_not_answer_for_has_an_error_of_its_own(
    store: System, oss: MemoryOss
) -> None:
    other = {"oid": "1" * 64, "size": 3}
    with oss.refusing(KEY):
        answers = objects_of(batch(store, "upload", ITEM, other))
    assert answers[0]["error"]["code"] == 503
    assert "actions" in answers[1]


def test_objects_that_were_not_asked_for_in_time_have_an_error(store: System) -> None:
    with patch.object(lfs, "MAX_CHECK_SECONDS", 0.0):
        assert object_of(batch(store, "upload"))["error"]["code"] == 503


def test_a_size_that_oss_does_not_tell_is_an_error(store: System, oss: MemoryOss) -> None:
    with patch.object(oss, "answer", return_value=OssResponse(200, {}, b"", "")):
        assert object_of(batch(store))["error"]["code"] == 503


def test_a_thousand_times_the_same_is_one_request_to_oss(store: System, oss: MemoryOss) -> None:
    oss.fill({KEY: CONTENT})
    oss.calls.clear()
    answers = objects_of(batch(store, "download", *[ITEM] * 1000))
    assert len(answers) == 1000
    assert oss.calls["HeadObject"] == 1
    assert refused(batch(store, "download", *[ITEM] * 1001)) == (413, "too_many_links")


class TestCredentials:
    @pytest.mark.parametrize("key", [STRANGER, ENDED, "fcp_short", "no key"])
    def test_a_wrong_one_is_a_401_that_git_understands(self, store: System, key: str) -> None:
        response = batch(store, key=key)
        assert refused(response)[0] == 401
        assert response.headers["LFS-Authenticate"] == 'Basic realm="fc-presign"'

    def test_the_name_is_ignored_and_an_empty_password_is_none(
        self, store: System, oss: MemoryOss
    ) -> None:
        body = {"operation": "download", "objects": [ITEM]}
        for name, key, status in (("", PUSHER, 200), ("名", PUSHER, 200), (PUSHER, "", 401)):
            response = store.request(BATCH, "POST", headers=basic(key, name), body=json.dumps(body))
            assert response.status == status
        assert store.post(BATCH, body, PUSHER).status == 200  # Bearer

    def test_a_password_with_colons_is_whole(self, store: System) -> None:
        for password in (f"{PUSHER}:more", f"more:{PUSHER}"):
            assert refused(batch(store, key=password))[0] == 401

    def test_an_empty_password_is_anonymous(self, store: System, oss: MemoryOss) -> None:
        oss.fill({KEY.replace("lfs/team", "open"): CONTENT})
        body = json.dumps({"operation": "download", "objects": [ITEM]})
        path = "/-/lfs/open/objects/batch"
        response = store.request(path, "POST", headers=basic(""), body=body)
        assert "actions" in object_of(response)

    @pytest.mark.parametrize(
        "value",
        [
            "Basic",
            "Basic !",
            "Basic bm9jb2xvbg==",
            "Basic YTr/",  # not UTF-8
            "Basic YTpi, Basic YTpi",  # two headers
            "Basic\tYTpi",
            "Digest a=b",
        ],
    )
    def test_a_malformed_one_is_a_401(self, store: System, value: str) -> None:
        response = store.request(BATCH, "POST", headers={"Authorization": value}, body="{}")
        assert refused(response) == (401, "malformed_credential")

    def test_basic_is_for_these_routes_alone(self, store: System) -> None:
        for path in ("/-/me", "/-/shares", "/lfs/a", "/-/lfs"):
            assert store.request(path, headers=basic(PUSHER)).status == 401

    @pytest.mark.parametrize(
        ("protocol", "host", "status"),
        [
            ("http", "links.example.com", 400),
            ("http", "127.0.0.1:9000", 200),
            ("https", "links.example.com", 200),
        ],
    )
    def test_a_key_over_http_is_refused_but_on_this_machine(
        self, store: System, protocol: str, host: str, status: int
    ) -> None:
        headers = {**basic(PUSHER), "X-Forwarded-Proto": protocol}
        body = json.dumps({"operation": "download", "objects": []})
        response = store.request(BATCH, "POST", headers=headers, body=body, domain=host)
        assert response.status == status
        if status == 400:
            assert refused(response) == (400, "https_required")

    def test_is_in_no_line_of_the_log(self, store: System) -> None:
        response = batch(store, "upload")
        assert PUSHER not in response.printed + response.body
        assert basic(PUSHER)["Authorization"][6:] not in response.printed


class TestRights:
    def test_a_path_that_the_caller_may_not_see_is_a_404(self, store: System) -> None:
        assert refused(batch(store, key=READER)) == (404, "not_found")
        for folder in ("none", "-/s/name", "-/sign", ".links/state"):
            response = batch(store, path=f"/-/lfs/{folder}/objects/batch")
            assert refused(response) == (404, "not_found")
        assert refused(batch(store, key="")) == (401, "unauthorized")

    def test_a_key_for_downloads_alone_may_not_push(self, store: System) -> None:
        assert refused(batch(store, "upload", key=PULLER)) == (403, "upload_not_allowed")
        assert object_of(batch(store, key=PULLER))["error"]["code"] == 404

    def test_a_key_for_uploads_alone_may_do_nothing(self, store: System) -> None:
        assert refused(batch(store, "upload", key=BLIND)) == (403, "upload_not_allowed")
        assert refused(batch(store, key=BLIND)) == (404, "not_found")

    @pytest.mark.parametrize("path", ["lfs", "lfs/inner"])
    def test_a_path_with_another_mount_below_it_is_a_404(self, store: System, path: str) -> None:
        path = f"/-/lfs/{path}/objects/batch"
        assert refused(batch(store, "upload", path=path)) == (404, "not_found")
        # Who has no key must not learn where one is.
        assert refused(batch(store, key="", path=path)) == (401, "unauthorized")

    def test_what_belongs_to_the_service_is_no_object(self, oss: MemoryOss, tmp_path: Path) -> None:
        links = (
            'region = "cn-hangzhou"\nkeys = "oss://examplebucket/.links/keys.json"\n'
            f'state = "oss://examplebucket/{OID[:2]}/"\n'
            '[[mount]]\npath = "/all/"\ntarget = "oss://examplebucket/"\nwhole_bucket = true\n'
            'access = "anonymous"\n'
        )
        store = system.service(tmp_path, links)
        response = batch(store, key="", path="/-/lfs/all/objects/batch")
        assert refused(response) == (404, "not_found")
        assert not oss.calls["HeadObject"]


BAD_REQUESTS: tuple[dict[str, object], ...] = (
    {"operation": None},
    {"operation": "delete"},
    {"operation": ["upload"]},
    {"transfers": []},
    {"transfers": ["tus"]},
    {"transfers": "basic"},
    {"transfers": {"basic": 1}},
    {"ref": "main"},
    {"objects": None},
    {"objects": {}},
    {"objects": ["a"]},
    {"objects": [{"oid": OID}]},
    {"objects": [{"oid": OID, "size": -1}]},
    {"objects": [{"oid": OID, "size": True}]},
    {"objects": [{"oid": OID, "size": "3"}]},
    {"objects": [{"oid": OID, "size": 3.0}]},
    {"objects": [{"oid": OID.upper(), "size": 3}]},
    {"objects": [{"oid": OID[:-1], "size": 3}]},
    {"objects": [{"oid": f"{OID}\n", "size": 3}]},
    {"objects": [{"oid": "../" * 21 + "a", "size": 3}]},
    {"objects": [{"oid": 7, "size": 3}]},
)


class TestRequests:
    @pytest.mark.parametrize("change", BAD_REQUESTS, ids=json.dumps)
    def test_a_wrong_member_refuses_the_whole_request(
        self, store: System, oss: MemoryOss, change: dict[str, object]
    ) -> None:
        body = {"operation": "upload", "objects": [ITEM], **change}
        response = store.post(BATCH, body, PUSHER)
        assert refused(response) == (422, "bad_lfs_request")
        assert not oss.calls

    @pytest.mark.parametrize("size", ["9" * 4300, str(2**63), f"-{2**63}"])
    def test_an_integer_that_no_object_has_refuses_the_request_and_is_logged(
        self, store: System, oss: MemoryOss, size: str
    ) -> None:
        objects = ", ".join(f'{{"oid": "{OID}", "size": {size}}}' for _ in range(2))
        body = f'{{"operation": "download", "objects": [{objects}]}}'
        response = store.request(BATCH, "POST", headers=basic(PUSHER), body=body)
        assert refused(response) == (400, "bad_body")
        assert (response.line["status"], oss.calls.total()) == (400, 0)

    def test_another_hash_is_refused(self, store: System) -> None:
        assert refused(batch(store, hash_algo="sha512")) == (409, "lfs_hash_unknown")

    def test_what_is_absent_or_unknown_does_no_harm(self, store: System) -> None:
        body = {"operation": "upload", "objects": [{**ITEM, "more": 1}], "more": {}}
        response = store.post(BATCH, body, PUSHER)
        assert "actions" in object_of(response)

    @pytest.mark.parametrize("body", ["", "{", "[" * 30_000, "[]", "7"])
    def test_a_body_that_is_no_object_is_refused(self, store: System, body: str) -> None:
        headers = {**basic(PUSHER), "Content-Type": MEDIA_TYPE}
        response = store.request(BATCH, "POST", headers=headers, body=body)
        assert refused(response)[0] in (400, 422)

    def test_its_type_is_accepted_here_alone(self, store: System) -> None:
        headers = {"Authorization": f"Bearer {PUSHER}", "Content-Type": MEDIA_TYPE}
        response = store.request("/-/sign", "POST", headers=headers, body='{"links": []}')
        assert (response.status, response.code) == (415, "not_json")
        headers["Content-Type"] = "text/plain"
        response = store.request(BATCH, "POST", headers=headers, body="{}")
        assert refused(response) == (415, "not_json")


class TestRoutes:
    @pytest.mark.parametrize(
        ("path", "method"),
        [
            ("/-/lfs/lfs/team/locks", "GET"),
            ("/-/lfs/lfs/team/locks", "POST"),
            ("/-/lfs/lfs/team/locks/verify", "POST"),
            ("/-/lfs/lfs/team/objects", "POST"),
            ("/-/lfs/objects/batch", "POST"),
            ("/-/lfs/", "GET"),
            ("/-/lfs/lfs/team/", "GET"),
        ],
    )
    def test_another_path_is_a_404_whatever_the_credential(
        self, store: System, path: str, method: str
    ) -> None:
        for headers in ({}, basic(PUSHER), basic(STRANGER), {"Authorization": "nonsense"}):
            response = store.request(path, method, headers={**HTML, **headers})
            assert refused(response) == (404, "not_found")

    def test_another_method_is_a_405(self, store: System) -> None:
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            response = store.request(BATCH, method, headers=HTML)
            assert refused(response) == (405, "method_not_allowed")
            assert response.headers["Allow"] == "POST, OPTIONS"

    def test_a_large_body_is_a_413(self, store: System) -> None:
        response = store.request(BATCH, "POST", headers=basic(PUSHER), body=" " * (1024**2 + 1))
        assert refused(response) == (413, "body_too_large")

    @pytest.mark.parametrize(
        "path",
        [
            "/-/lfs/lfs/%zz/objects/batch",
            "/-/lfs/lfs/%2e%2e/x/objects/batch",
            "/-/lfs/lfs/team%2f..%2f..%2fsecret/objects/batch",
            "/-/lfs//objects/batch",
            "/-/lfs/lfs/\x00/objects/batch".replace("\x00", "%00"),
            f"/-/lfs/lfs/{'a' * 1100}/objects/batch",
        ],
    )
    def test_a_path_that_no_object_can_have_is_a_400(self, store: System, path: str) -> None:
        assert refused(batch(store, path=path)) == (400, "bad_path")

    def test_a_path_is_decoded_once(self, store: System) -> None:
        path = "/-/lfs/lfs/%E6%A8%A1%E5%9E%8B%20a%2Fb%2520/objects/batch"
        href = object_of(batch(store, "upload", path=path))["actions"]["upload"]["href"]
        assert f"/lfs/%E6%A8%A1%E5%9E%8B%20a/b%2520/{OID[:2]}/" in href

    def test_a_path_that_is_too_long_with_the_hash_is_an_error_of_the_object(
        self, store: System
    ) -> None:
        response = batch(store, "upload", path=f"/-/lfs/lfs/{'a' * 980}/objects/batch")
        assert object_of(response)["error"]["code"] == 400

    def test_what_the_adapter_cannot_read_has_the_form_too(self, store: System) -> None:
        event = {
            "rawPath": BATCH,
            "requestContext": {"http": {"method": "POST"}},
            "body": "!",
            "isBase64Encoded": True,
        }
        assert refused(store.send(event, NOW)) == (400, "bad_event")

    def test_a_fault_has_the_form_too(self, store: System) -> None:
        with patch("handler.web.endpoints.dispatch.answer", side_effect=RuntimeError):
            assert refused(batch(store)) == (500, "internal_error")


def test_the_log_says_who_did_what_and_has_a_line_for_each_link(
    store: System, oss: MemoryOss
) -> None:
    other = {"oid": "1" * 64, "size": 3}
    oss.fill({KEY: CONTENT})
    first, last = batch(store, "upload", ITEM, other).lines
    assert first["key"] == f"lfs/team/11/11/{'1' * 64}"
    assert (first["method"], first["expires_in"], first["caller"]) == ("PUT", 300, "api:pusher")
    assert {name: last[name] for name in ("path", "mount", "operation", "objects", "bytes")} == {
        "path": BATCH,
        "mount": "/lfs/",
        "operation": "upload",
        "objects": 2,
        "bytes": len(CONTENT) + 3,
    }
    assert (last["links"], last["caller"], last["code"]) == (1, "api:pusher", None)


def stored_as(oss: MemoryOss, storage_class: str) -> Any:
    """Whose object is in this class of storage."""
    headers = {"content-length": str(len(CONTENT)), "x-oss-storage-class": storage_class}
    answer = oss.answer

    def archived(method: str, place: Location, *rest: Any) -> OssResponse:
        if place.key == KEY:
            return OssResponse(200, headers, b"", "")
        return answer(method, place, *rest)

    return patch.object(oss, "answer", archived)
