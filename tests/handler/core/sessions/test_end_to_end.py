"""The service with a local STS and a local OSS that enforces rights: what signs each request, and what it may do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from handler.core.cloud.sessions import session_name
from handler.core.config.rights import policy
from handler.core.context import Invocation
from handler.core.outbox import Notice
from handler.notices.issuer import LinkIssuer
from local.rights import role_statements
from signer import Credentials
from signer.emulator.ram import Principal
from tests.handler.client import KEYS, context
from tests.handler.core.sessions.opener import FUNCTION_SESSION, ROLE, Issued, LocalSts, local_sts
from tests.handler.upload_fixtures import follow_link, send_parts, submit_form
from tests.handler.web.endpoints.test_multipart import complete_document
from tests.local_oss import BUCKET, local_oss
from tests.system import LINKS, WRITER, System

OPERATOR = Credentials("LTAI5tEXAMPLE", "operatorEXAMPLE")
TABLES = f"""
[[mount]]
path = "/all/"
target = "oss://examplebucket/"
query = ["versionId"]

[assume_role]
role = "{ROLE}"
"""


class Sent(NamedTuple):
    """A request that OSS received: `key` is "" for the bucket, `key_id` that of the access key."""

    method: str
    key: str
    query: dict[str, list[str]]
    key_id: str


class Running(NamedTuple):
    service: System
    sts: LocalSts
    sent: list[Sent]

    def key_id(self, path: str) -> str:
        """The access key ID of the session of a mount."""
        return self.session(path).access_key_id

    def session(self, path: str) -> Credentials:
        issued = self.sts.issued.added
        names = [
            principal for principal in issued if principal.arn.endswith(f"/{session_name(path)}")
        ]
        return names[-1].credentials._replace(expires_at=None)

    def signers(self, method: str, prefix: str = "") -> set[str]:
        """The access key IDs of the requests that OSS received for keys, or lists, with this prefix."""
        return {
            sent.key_id
            for sent in self.sent
            if sent.method == method
            and (sent.key or sent.query.get("prefix", [""])[0]).startswith(prefix)
        }


class Recorder:
    """OSS, which writes down what it receives."""

    def __init__(self, app: Any, sent: list[Sent]) -> None:
        self.app, self.sent = app, sent

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        credential = query.get("x-oss-credential", [""])[0]
        key = environ["PATH_INFO"].removeprefix(f"/{BUCKET}").lstrip("/")
        self.sent.append(Sent(environ["REQUEST_METHOD"], key, query, credential.partition("/")[0]))
        result: Iterable[bytes] = self.app(environ, start_response)
        return result


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sessions")
    principals = Issued()
    sent = list[Sent]()
    principals.add(Principal.of(OPERATOR))
    oss = local_oss(folder / "oss", principals, through=lambda app: Recorder(app, sent))
    with oss as running, local_sts(principals) as sts:
        sts.now, operated = time.time, replace(running, credentials=OPERATOR)
        service = System(
            folder, LINKS + TABLES, operated, time.time(), LINK_STS_ENDPOINT=sts.url
        ).with_keys()
        # The function's own role has what deploy.policies gives it.
        own = policy(role_statements(service.config, web=True, events=True))
        principals.add(Principal.of(KEYS, FUNCTION_SESSION, None, [[own]]))
        yield Running(service, sts, sent)


@pytest.fixture
def running(started: Running) -> Running:
    started.sent.clear()
    started.sts.issued.added.clear()
    return started._replace(
        service=started.service.later(time.time() - started.service.now).restarted()
    )


def test_a_check_is_made_with_the_session(running: Running) -> None:
    running.service.put("checked/a.txt", b"hello")
    assert running.service.request("/checked/a.txt").status == 302
    assert running.signers("HEAD", "checked/") == {running.key_id("/checked/")}
    assert running.service.request("/checked/missing.txt").status == 404


def test_every_step_of_a_multipart_upload_is_signed_by_the_session(running: Running) -> None:
    upload, other = (
        running.service.start_upload(path=f"/in/big{time.time_ns()}.bin") for _ in range(2)
    )
    assert follow_link(upload["complete"], complete_document(send_parts(upload, 1))).status == 200
    assert follow_link(other["abort"]).status == 204
    assert {sent.key_id for sent in running.sent} == {running.key_id("/in/")}


def test_the_files_of_an_upload_share_are_counted_with_the_session_and_its_claims_with_the_role(
    running: Running,
) -> None:
    url = running.service.create_upload_share()
    form = running.service.request_form(url)
    assert form.status == 200
    session = running.key_id("/in/")
    assert form.json["fields"]["x-oss-credential"].startswith(f"{session}/")
    assert form.json["fields"]["x-oss-security-token"] == running.session("/in/").security_token
    assert submit_form(form.json, b"hello").status == 200
    assert running.service.files_left(url) == 2
    assert running.signers("GET", "inbox/") == {session}
    assert running.signers("GET", ".links/") == {KEYS.access_key_id}
    assert running.signers("PUT", ".links/") == {KEYS.access_key_id}


def test_an_opened_share_is_signed_by_the_session_and_ends_with_it(running: Running) -> None:
    running.service.put("both/a.txt", b"hello")
    params = {"path": "/both/a.txt", "expires": "1d", "page": False}
    url = running.service.post("/-/shares", params, WRITER).json["url"]
    response = running.service.open(url)
    assert response.parameters["x-oss-credential"].startswith(f"{running.key_id('/both/')}/")
    assert requests.get(response.url, timeout=30).content == b"hello"


@pytest.mark.parametrize("path", ["/both/a.txt", "/checked/a.txt"])
def test_the_link_of_a_notice_is_signed_by_the_session(path: str, running: Running) -> None:
    running.service.put(path[1:], b"hello")
    mount = path.removesuffix("a.txt")
    issuer = LinkIssuer(Invocation(running.service.instance, context(), running.service.now, {}))
    notice = Notice("created", mount, BUCKET, path[1:], "ETAG1", "link")
    linked = issuer.link(notice)
    assert linked is not None
    assert f"x-oss-credential={running.key_id(mount)}%2F" in linked.url
    assert requests.get(linked.url, timeout=30).content == b"hello"


def test_a_batch_of_links_to_two_mounts_has_the_session_of_each(running: Running) -> None:
    results = running.service.sign(
        {"path": "/both/a.txt"},
        {"path": "/in/b.txt", "method": "PUT", "size": 5},
        {"path": "/both/c.txt"},
    )
    ids = [
        parse_qs(urlsplit(result["url"]).query)["x-oss-credential"][0].partition("/")[0]
        for result in results
    ]
    assert ids == [running.key_id("/both/"), running.key_id("/in/"), running.key_id("/both/")]
    assert len(running.sts.issued.added) == 2


def test_links_of_a_cached_mount_are_equal_within_an_instance_only(running: Running) -> None:
    service = running.service.with_mount("/out/", cache=300)
    first = service.request("/out/a.txt").url
    assert service.request("/out/a.txt").url == first
    assert service.restarted().request("/out/a.txt").url != first
