"""The doctor names what is wrong before a deployment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from deploy import doctor
from deploy.probes import aliyun, service
from deploy.probes import oss as oss_probes
from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from local.stack import Stack
from signer.emulator import client
from tests.deploy.deployments import (
    EVENTS,
    HTTP,
    LINKS,
    XML,
    deployed,
    faults,
    install_aliyun,
    levels,
    serving,
)
from tests.deploy.project_copy import ROOT, ProjectCopy
from tests.handler.client import KEYS

DOMAIN = {"domainName": "links.example.com", "protocol": "HTTP", "route": {"path": "/*"}}
ABOUT_THE_ACCOUNT = ("account", "role", "queue", "log")


def test_an_unreadable_file_is_one_line_and_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main([str(ProjectCopy.of(tmp_path).config), "--env", "prd"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("fault   s.yaml        Environment 'prd' not found in env.yaml")


@pytest.mark.parametrize(
    ("key_id", "secret", "reason"),
    [
        ("LTAI5tEXAMPLE", "secret EXAMPLE", "access_key_secret"),
        ("STS.EXAMPLE", "secretEXAMPLE", "requires its security token"),
    ],
)
def test_credentials_that_cannot_sign_are_one_line_and_a_failure(
    key_id: str,
    secret: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", key_id)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", secret)
    assert doctor.main([str(ProjectCopy.of(tmp_path).config), "--env", "dev"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("fault   credentials   Invalid credentials")
    assert reason in line
    assert "EXAMPLE" not in line


@pytest.mark.parametrize(
    ("props", "sentence"),
    [
        ({"runtime": ...}, "runtime is missing."),
        ({"triggers": ["http"]}, "triggers[0] must be a mapping."),
        ({"environmentVariables": ["LINK_REGION"]}, "environmentVariables must be a mapping."),
    ],
)
def test_properties_that_fc3_does_not_accept_are_faults_and_nothing_else_is_examined(
    props: Mapping[str, object],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed = {
        name: value
        for name, value in {**HTTP, "code": "./build/code", **props}.items()
        if value is not ...
    }
    resources = {"links_http": {"component": "fc3@0.1.22", "props": changed}}
    monkeypatch.setattr(doctor, "render", lambda *_: {"resources": resources})
    assert doctor.main([str(ROOT / "s.yaml")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"fault   s.yaml        links_http: {sentence}" in lines
    assert {line.split()[1] for line in lines} == {"s.yaml"}


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "ftp://a.example.com",
        "https://",
        "links.example.com",
        "http://a:x",
        "",
        "https://a/b",
    ],
)
def test_an_address_that_is_not_of_a_service_is_a_usage_error(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        doctor.main(["--url", url])
    assert (
        f"argument --url: Invalid endpoint {url!r}: expected only scheme and host"
        in capsys.readouterr().err
    )


def examine(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the doctor examine it."""
    monkeypatch.setattr(doctor, "open_deployment", lambda *_: deployment)


def test_an_unreachable_host_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    links = LINKS.replace('to    = ["manifest"]', 'to    = ["manifest", "ops"]')
    examine(deployed("http://127.0.0.1:9", KEYS, links, "", HTTP, EVENTS), monkeypatch)
    monkeypatch.setattr(aliyun, "is_installed", lambda: False)
    assert doctor.main(["--url", "http://127.0.0.1:1"]) == 1
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert [
        (level, subject)
        for level, subject, _ in lines
        if subject not in ("s.yaml", "domain", "account", "personal-data")
    ] == [
        ("fault", "endpoint"),
        ("unknown", "sinks"),
        ("fault", "service"),
    ]


def test_without_the_aliyun_command_or_its_key_one_finding_says_what_was_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examine(deployed("http://127.0.0.1:9", None), monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    doctor.main([])
    install_aliyun(
        tmp_path, {"ram GetRole --RoleName links-http-dev-role": "InvalidAccessKeyId.NotFound"}
    )
    doctor.main([])
    missing, refused = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.split()[1] in ABOUT_THE_ACCOUNT
    ]
    sentence = "unknown account       Roles and their policies, the failure queue, the log project and its logstores"
    assert missing.startswith(sentence)
    assert missing.endswith("install the aliyun CLI, or compare the console with s.yaml.")
    assert refused.startswith(sentence)
    assert refused.endswith(
        "failed (InvalidAccessKeyId.NotFound): run aliyun configure, and check the network."
    )


def test_unusable_credentials_are_named_and_without_any_oss_is_not_asked(stack: Stack) -> None:
    keys = stack.credentials
    for wrong, code in (
        (keys._replace(access_key_id="STS.OTHEREXAMPLE"), "InvalidAccessKeyId"),
        (keys._replace(access_key_secret="other"), "SignatureDoesNotMatch"),
    ):
        (sentence,) = faults(oss_probes.credentials(deployed(stack.oss_url, wrong)))
        assert sentence.startswith(f"{code}: ")
        assert "set" in sentence
    deployment = deployed("http://127.0.0.1:9", None)
    (finding,) = oss_probes.credentials(deployment)
    assert (finding.level, finding.subject) == ("unknown", "credentials")
    assert "OSS_ACCESS_KEY_ID" in finding.sentence
    assert list(oss_probes.state(deployment)) == []


def test_a_bucket_that_does_not_exist_is_named(stack: Stack) -> None:
    links = LINKS.replace("oss://examplebucket/exampledir/", "oss://nosuchbucket/exampledir/")
    sentences = faults(oss_probes.credentials(deployed(stack.oss_url, stack.credentials, links)))
    assert sentences == ["Bucket nosuchbucket not found: create it, or name another in s.yaml."]


def test_a_region_that_the_endpoint_does_not_accept_is_named(stack: Stack) -> None:
    deployment = deployed(
        stack.oss_url, stack.credentials, LINKS.replace("cn-hangzhou", "cn-shanghai")
    )
    (sentence,) = faults(oss_probes.credentials(deployment))
    assert sentence.startswith(
        "examplebucket is not in cn-shanghai (AuthorizationQueryParametersError): set region in"
    )


@pytest.mark.parametrize("body", ["<LocationConstraint>oss-cn-shanghai</LocationConstraint>", None])
def test_a_bucket_in_another_region_is_named(body: str | None) -> None:
    error = (
        "<Error><Code>AccessDenied</Code><Endpoint>oss-cn-shanghai.aliyuncs.com</Endpoint></Error>"
    )
    with serving(lambda method, path: (200, {}, body) if body else (403, {}, error)) as oss:
        (sentence,) = faults(oss_probes.credentials(deployed(oss, KEYS)))
    assert "cn-shanghai" in sentence
    assert sentence.endswith("set region in s.yaml.")


def test_an_endpoint_that_does_not_answer_is_named() -> None:
    sentences = faults(oss_probes.credentials(deployed("http://127.0.0.1:9", KEYS)))
    assert sentences == [
        "127.0.0.1:9 cannot be reached (ConnectionRefusedError): check the network, the bucket and the region in "
        "s.yaml, and endpoint in links.toml."
    ]


@pytest.mark.parametrize(
    ("skew", "level"), [(0, "ok"), (300, "warning"), (-300, "warning"), (1200, "fault")]
)
def test_a_wrong_clock_is_reported_by_how_far_it_is_off(skew: int, level: str) -> None:
    with serving(
        lambda method, path: (200, {"Date": formatdate(time.time() + skew, usegmt=True)}, "")
    ) as oss:
        findings = list(oss_probes.credentials(deployed(oss, KEYS)))
    (clock,) = [finding for finding in findings if finding.subject == "clock"]
    assert clock.level == level


def test_a_state_bucket_that_has_or_had_versioning_is_a_fault(stack: Stack) -> None:
    deployment = deployed(stack.oss_url, stack.credentials)
    assert levels(oss_probes.state(deployment)) == [("ok", "state")]
    for status in ("Enabled", "Suspended"):
        body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
        with serving(lambda method, path, body=body: (200, {}, body)) as oss:  # type: ignore[misc]
            (sentence,) = faults(oss_probes.state(deployed(oss, KEYS)))
        assert sentence.startswith(f"examplebucket has versioning {status.lower()}")
    with serving(lambda method, path: (403, {}, XML.format("AccessDenied"))) as oss:
        assert levels(oss_probes.state(deployed(oss, KEYS))) == [("unknown", "state")]


@pytest.mark.parametrize(
    ("status", "etag", "expected"),
    [
        (200, '"D41D8CD98F00B204E9800998ECF8427E"', ["ok"]),
        (200, '"5B3C1A2E053D763E1B002CC607C5A0FE"', ["ok", "warning"]),
        (404, "", ["ok"]),  # no limited share was used yet
    ],
)
def test_a_state_bucket_whose_etags_are_no_md5_is_a_warning(
    status: int, etag: str, expected: list[str]
) -> None:
    probed = (status, {"ETag": etag}, "")
    with serving(
        lambda method, path: probed if "/.links/state/probe?" in path else (200, {}, "")
    ) as oss:
        assert levels(oss_probes.state(deployed(oss, KEYS))) == [
            (level, "state") for level in expected
        ]


def test_a_bucket_whose_cors_rules_allow_no_page_to_upload_is_a_fault(stack: Stack) -> None:
    origin = (
        "<AllowedOrigin>https://links.example.com</AllowedOrigin><AllowedHeader>*</AllowedHeader>"
    )
    rule = f"<CORSRule>{origin}<AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod></CORSRule>"
    document = f"<CORSConfiguration>{rule}</CORSConfiguration>".encode()
    assert (
        client.request(stack, "PUT", "examplebucket", None, document, query={"cors": ""}).status
        == 200
    )
    assert levels(oss_probes.mounts(deployed(stack.oss_url, stack.credentials))) == [
        ("ok", "endpoint"),
        ("ok", "endpoint"),
        ("ok", "cors"),
        ("ok", "cors"),
    ]
    # An upload page needs both methods, whatever the mount enables.
    for links in (
        LINKS,
        LINKS.replace('["PUT", "POST"]', '["POST"]').replace(
            "max_size", 'max_share = "1d"\nmax_size'
        ),
    ):
        with serving(lambda method, path: (403, {}, XML.format("AccessForbidden"))) as oss:
            sentences = faults(oss_probes.mounts(deployed(oss, None, links)))
        assert [sentence.partition(": add")[0] for sentence in sentences] == [
            f"/in/: pages of https://links.example.com may not {method} to examplebucket"
            for method in ("POST", "PUT")
        ]


def test_uploads_without_a_page_of_their_own_are_a_warning() -> None:
    """It can never be known with the shipped links.toml, so it must not fail the doctor."""
    links = LINKS.replace('public_url = "https://links.example.com"', "")
    (finding,) = oss_probes.mounts(deployed("http://127.0.0.1:9", None, links))
    assert finding == (
        "warning",
        "cors",
        "/in/: no CORS rule was tested: set public_url or cors in links.toml.",
    )


def test_every_probe_advises_an_account_that_needs_a_domain_of_its_own_to_use_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says it once."""
    with serving(lambda method, path: (400, {}, XML.format("PublicEndpointForbidden"))) as oss:
        examine(deployed(oss, KEYS), monkeypatch)
        monkeypatch.setattr(aliyun, "is_installed", lambda: False)
        assert doctor.main([]) == 1
        host = oss.removeprefix("http://")
    lines = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.split()[1] not in ("s.yaml", "account", "personal-data")
    ]
    assert [line.split()[:2] for line in lines] == [["ok", "domain"], ["fault", "endpoint"]]
    assert (
        f"{host} serves no objects of new accounts in mainland China (PublicEndpointForbidden)"
        in lines[1]
    )
    assert (
        "use --endpoint https://static.example.com in ARGS of make keys and make doctor" in lines[1]
    )


def test_only_the_objects_of_the_service_are_read_through_the_domain_of_endpoint() -> None:
    deployment = replace(
        deployed("http://127.0.0.1:9", KEYS), own_domain="https://static.example.com"
    )
    assert (
        deployment.object_endpoint("examplebucket").url("examplebucket", "")
        == "https://static.example.com/"
    )
    for endpoint in (
        deployment.object_endpoint("other"),
        deployment.bucket_endpoint("examplebucket"),
    ):
        assert endpoint.domain == "127.0.0.1:9"


@pytest.mark.parametrize("options", [[], ["--allow-unknown"]])
def test_what_could_not_be_examined_is_no_success_unless_that_is_allowed(
    options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings: list[Finding] = []
    monkeypatch.setattr(doctor, "findings", lambda _: iter(findings))
    assert doctor.main(options) == 0
    findings.append(Finding("unknown", "queue", "links-events-failures was not checked."))
    assert doctor.main(options) == (0 if options else 1)
    findings.append(Finding("fault", "queue", "Queue links-events-failures not found."))
    assert doctor.main(options) == 1


def test_the_fcapp_domain_is_a_warning_unless_a_file_names_a_domain() -> None:
    without = LINKS.replace('public_url = "https://links.example.com"', "")
    assert levels(service.domain(deployed("http://127.0.0.1:9", None, without))) == [
        ("warning", "domain")
    ]
    custom = deployed("http://127.0.0.1:9", None, LINKS, "", {**HTTP, "customDomain": DOMAIN})
    assert levels(service.domain(custom)) == [("ok", "domain")]
    # It was created in the console.
    (finding,) = service.domain(deployed("http://127.0.0.1:9", None))
    assert (finding.level, finding.sentence) == (
        "ok",
        "links.toml has public_url = https://links.example.com.",
    )
