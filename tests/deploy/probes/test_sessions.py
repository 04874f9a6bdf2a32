"""The doctor opens a session for each mount, and says what it may do beyond it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

from deploy.model import Project
from deploy.probes.deployment import Deployment, open_deployment
from deploy.probes.findings import Finding
from deploy.probes.sessions import sessions
from deploy.signer_roles import signer_roles
from handler.core.cloud import sts as sts_client
from local.fc import s_yaml
from signer.emulator import ram, sts
from signer.emulator.server import listen, serve
from signer.times import rfc3339
from tests.deploy.deployments import EVENTS, HTTP, LINKS, deployed, levels, readable, serving
from tests.deploy.project_copy import ProjectCopy
from tests.handler.client import KEYS
from tests.local_oss import local_oss

SIGNER = "acs:ram::1000000000000001:role/links-signer"
USER = "acs:ram::1000000000000001:user/ops"
ASSUME_ROLE = f'[assume_role]\nrole = "{SIGNER}"\nduration = "2h"\n'
SCRIPT = "run the script of make policies FORMAT=commands"
GOOD = [
    "/exampledir/: its session may read objects of the mount.",
    "/exampledir/: its session may not read oss://examplebucket/fc-presign-canary.txt.",
    "/in/: its session may not read oss://examplebucket/fc-presign-canary.txt.",
    "/outbox/: its session may read objects of the mount.",
    "/outbox/: its session may not read oss://examplebucket/fc-presign-canary.txt.",
]


@dataclass
class Cloud:
    """A local OSS that knows the sessions which a local STS issues."""

    oss_url: str = ""
    sts_url: str = ""
    role: sts.Role | None = None
    before: Callable[[str], Response | None] = lambda action: None

    def deployment(self, links: str = LINKS) -> Deployment:
        return deployed(self.oss_url, KEYS, links + ASSUME_ROLE, self.sts_url)

    def change_role(self, **changes: Any) -> None:
        assert self.role is not None
        self.role = self.role._replace(**changes)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """With the role that `deploy.policies` makes, which trusts the operator, too."""
    cloud = Cloud()
    principals = ram.Principals([ram.Principal.of(KEYS, USER)])
    roles = sts.create_app(
        principals,
        lambda: {SIGNER: cloud.role} if cloud.role else {},
        before=lambda action: cloud.before(action),
    )
    with local_oss(tmp_path / "oss", principals) as oss, closing(serve(roles, listen(0))) as server:
        cloud.oss_url, cloud.sts_url = oss.url, server.url
        functions = deployed(oss.url, KEYS, LINKS + ASSUME_ROLE, server.url, HTTP, EVENTS).functions
        signer = signer_roles(functions)["links-signer"]
        policy = signer.documents()["policy"]
        cloud.role = sts.Role(
            SIGNER, frozenset({USER, *signer.trusted}), signer.max_session_duration, (policy,)
        )
        yield cloud


def bad(findings: Iterator[Finding]) -> list[Finding]:
    return [finding for finding in readable(findings) if finding.level != "ok"]


def test_each_mount_has_a_session_that_ends_as_requested_and_at_the_edge_of_the_mount(
    cloud: Cloud,
) -> None:
    findings = readable(sessions(cloud.deployment()))
    assert {(finding.level, finding.subject) for finding in findings} == {("ok", "session")}
    opened = [finding.sentence for finding in findings if "token" in finding.sentence]
    assert [sentence.partition(":")[0] for sentence in opened] == [
        "/exampledir/",
        "/in/",
        "/outbox/",
    ]
    assert all(
        ": a session of links-signer ends in 120 min, and its token has " in sentence
        for sentence in opened
    )
    assert [finding.sentence for finding in findings if "token" not in finding.sentence] == GOOD


def test_a_mount_of_the_entire_bucket_may_not_read_the_objects_of_the_service(cloud: Cloud) -> None:
    links = LINKS.replace('"oss://examplebucket/outbox/"', '"oss://examplebucket/"').partition(
        "[[sink]]"
    )[0]
    cloud.change_role(policies=(ram_policy("acs:oss:*:*:examplebucket/*"),))
    findings = readable(sessions(cloud.deployment(links)))
    assert findings[-1] == Finding(
        "ok", "session", "/outbox/: its session may not read oss://examplebucket/.links/keys.json."
    )


@pytest.mark.parametrize(
    ("more", "tried"), [("", []), ("list = true", [GOOD[1]]), ("check = true", GOOD[:2])]
)
def test_a_mount_with_cdn_has_a_session_only_for_what_the_service_itself_asks(
    more: str, tried: list[str], cloud: Cloud
) -> None:
    """It is tried at OSS, not at the CDN."""
    with_cdn = f'access = "authenticated"\nendpoint = "http://127.0.0.1:9"\ncdn = "static"\n{more}'
    findings = readable(sessions(cloud.deployment(LINKS.replace('access = "anonymous"', with_cdn))))
    sentences = [
        finding.sentence for finding in findings if finding.sentence.startswith("/exampledir/:")
    ]
    assert [sentence for sentence in sentences if "token" not in sentence] == tried
    assert len(sentences) == len(tried) + bool(tried)


def ram_policy(resource: str) -> dict[str, object]:
    return {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": resource}],
    }


@pytest.mark.parametrize(
    ("changes", "level", "sentence"),
    [
        (None, "fault", f"Role links-signer not found: {SCRIPT}."),
        (
            {"max_session_duration": 3600},
            "fault",
            f"links-signer allows no session of 7200 s: {SCRIPT}.",
        ),
        (
            {"trusted": frozenset({"acs:ram::1000000000000001:role/links-http-dev-role"})},
            "unknown",
            "links-signer was not assumed (NoPermission), because it trusts only the roles of the functions, or "
            "because your policy does not allow sts:AssumeRole on it: to try its sessions, add your RAM user to its "
            f"trust policy, run the doctor, and then {SCRIPT}, which removes the user again.",
        ),
    ],
)
def test_what_is_wrong_with_a_role_is_one_sentence_for_all_its_mounts(
    changes: dict[str, object] | None, level: str, sentence: str, cloud: Cloud
) -> None:
    cloud.change_role(**(changes or {}))
    cloud.role = cloud.role if changes else None
    assert {(finding.level, finding.sentence) for finding in sessions(cloud.deployment())} == {
        (level, sentence)
    }


def test_a_role_that_allows_too_little_for_one_mount_is_a_fault(cloud: Cloud) -> None:
    cloud.change_role(policies=(ram_policy("acs:oss:*:*:examplebucket/exampledir/*"),))
    sentence = f"/outbox/: its session may not read objects of the mount: {SCRIPT}."
    assert bad(sessions(cloud.deployment())) == [Finding("fault", "session", sentence)]


def test_a_session_that_reads_outside_its_mount_is_a_fault(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ram.Principals.add

    def add_without_session_policy(principals: ram.Principals, principal: ram.Principal) -> None:
        add(principals, principal._replace(layers=principal.layers[:1]))

    monkeypatch.setattr(ram.Principals, "add", add_without_session_policy)
    cloud.change_role(policies=(ram_policy("*"),))
    assert [
        finding.sentence.partition(", which")[0] for finding in bad(sessions(cloud.deployment()))
    ] == [
        f"{path}: its session may read oss://examplebucket/fc-presign-canary.txt"
        for path in ("/exampledir/", "/in/", "/outbox/")
    ]


def test_sts_that_refuses_for_another_reason_leaves_the_session_unknown(cloud: Cloud) -> None:
    def throttled(action: str) -> Response | None:
        raise sts.StsError("Throttling.User")

    cloud.before = throttled
    assert readable(sessions(cloud.deployment()))[0] == Finding(
        "unknown",
        "session",
        "/exampledir/: STS refused the session (Throttling.User), so it was not examined: try again.",
    )


def test_a_link_that_would_fill_the_headers_is_a_warning(cloud: Cloud) -> None:
    keys = {
        "AccessKeyId": "STS.EXAMPLE",
        "AccessKeySecret": "secretEXAMPLE",
        "SecurityToken": "C" * 4000,
    }
    answer = {"Credentials": {**keys, "Expiration": rfc3339(int(time.time()) + 7200)}}
    cloud.before = lambda action: Response(json.dumps(answer))
    (level, _, sentence), *_ = sessions(cloud.deployment())
    assert level == "warning"
    assert sentence.endswith(
        "(4000), and Function Compute allows 8 KB of headers in all: use a shorter target, or fewer methods."
    )


def test_sts_that_cannot_be_reached_is_said_once() -> None:
    (finding,) = sessions(
        deployed("http://127.0.0.1:9", KEYS, LINKS + ASSUME_ROLE, "http://127.0.0.1:9")
    )
    assert (finding.level, finding.sentence) == (
        "fault",
        "127.0.0.1:9 cannot be reached (ConnectionRefusedError): check the network, and endpoint in [assume_role] of "
        "links.toml.",
    )


def test_an_sts_inside_a_vpc_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown_host(*arguments: object) -> None:
        raise OSError

    monkeypatch.setattr(sts_client, "within", unknown_host)
    links = f'{LINKS}{ASSUME_ROLE}endpoint = "sts-vpc.cn-hangzhou.aliyuncs.com"'
    assert levels(sessions(deployed("http://127.0.0.1:9", KEYS, links))) == [("warning", "session")]


def test_without_credentials_no_role_is_assumed() -> None:
    links = LINKS + ASSUME_ROLE
    assert levels(sessions(deployed("http://127.0.0.1:9", None, links))) == [("unknown", "session")]
    assert levels(sessions(deployed("http://127.0.0.1:9", None))) == []


def test_the_doctor_asks_a_local_sts_and_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = ProjectCopy.of(tmp_path)
    with (tmp_path / "links.toml").open("a", encoding="utf-8") as links:
        links.write(ASSUME_ROLE)
    project = Project.load(copy.config, lambda path, _: s_yaml.load(path, {}), base=True)
    resources = project.environments[0].resources
    functions = [each.configured for each in resources if each.configured is not None]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    deployment = open_deployment(project, functions, {"LINK_STS_ENDPOINT": "http://127.0.0.1:9002"})
    assert deployment.config.assume_role is not None
    assert deployment.config.assume_role.url == "http://127.0.0.1:9002"
    with serving(lambda method, path: (200, {}, "own")) as address:
        assert deployment.request("GET", address).body == b"own"
