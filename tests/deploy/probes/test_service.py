"""The doctor follows links of a deployed service as visitors do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.probes import service
from deploy.probes.deployment import CANARY, Deployment
from deploy.probes.findings import Finding
from local.stack import Stack
from tests.deploy.deployments import (
    EVENTS,
    HTTP,
    LINKS,
    XML,
    ServerResponse,
    configured,
    deployed,
    faults,
    levels,
    serving,
)
from tests.deploy.project_copy import ROOT, install
from tests.handler.client import LINKS as PLAIN
from tests.handler.client import make_config
from tests.handler.custom_runtime import instance


def test_links_are_followed_as_visitors_follow_them(stack: Stack) -> None:
    deployment = deployed(stack.oss_url, None)
    findings = list(service.canaries(deployment, stack.http_url, {}))
    assert [(finding.level, finding.subject) for finding in findings] == [
        ("ok", "canary"),
        ("ok", "forgery"),
        ("ok", "head"),
        ("unknown", "canary"),
        ("unknown", "canary"),
    ]
    assert f"{CANARY} does not exist" in findings[0].sentence
    assert "LINK_API_KEY" in findings[3].sentence


PROBLEM = {"Content-Type": "application/problem+json"}
HEALTHY = '{"status": "ok"}'
LOG = "read the log of the function with s links_http logs."


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (503, "no_credentials", "the function has no credentials"),
        (503, "keys_unavailable", "check the keys document"),
        (500, "internal_error", f"no link (500 internal_error): {LOG}"),
    ],
)
def test_a_service_that_returns_no_link_is_reported_by_its_code(
    status: int, code: str, sentence: str
) -> None:
    with serving(lambda method, path: (status, PROBLEM, f'{{"code": "{code}"}}')) as url:
        sentences = faults(service.canaries(deployed(url, None), url, {}))
    assert sentence in sentences[0]


@pytest.mark.parametrize(("status", "code"), [(404, ""), (401, "unknown_credential")])
def test_a_key_that_is_wrong_or_does_not_cover_a_mount_is_named(status: int, code: str) -> None:
    with serving(lambda method, path: (status, PROBLEM, f'{{"code": "{code}"}}')) as url:
        sentences = faults(
            service.canaries(deployed(url, None), url, {"LINK_API_KEY": "fcp_EXAMPLE"})
        )
    words = f"{status} {code}".rstrip()
    # HEAD would say it again.
    assert [s.partition(" set it to a valid key")[0] for s in sentences if "/outbox/" in s] == [
        f"/outbox/: LINK_API_KEY is not accepted ({words}):"
    ]


def test_a_link_to_another_host_or_bucket_than_the_files_name_is_a_fault(stack: Stack) -> None:
    """The address may be that of another environment."""
    other = LINKS.replace("oss://examplebucket/", "oss://examplebucket-prod/")
    for oss, links in (("http://127.0.0.1:9", LINKS), (stack.oss_url, other)):
        sentences = faults(service.canaries(deployed(oss, None, links), stack.http_url, {}))
        assert len(sentences) == 2
        shown = (
            f"{stack.oss_url.removeprefix('http://')}/examplebucket/exampledir/{CANARY}, and not"
        )
        for sentence in sentences:
            assert sentence.startswith(
                f"/exampledir/: the link is for {shown} below {oss}/examplebucket"
            )


MAY_NOT = "the function's role may not read oss://examplebucket/exampledir/: run the script of make policies FORMAT="


@pytest.mark.parametrize(
    ("code", "status", "sentence"),
    [
        ("AccessDenied", 403, f"{MAY_NOT}commands."),
        ("PublicEndpointForbidden", 400, "bind a domain to the bucket"),
        (
            "SignatureDoesNotMatch",
            403,
            "refused the link (403 SignatureDoesNotMatch): see docs/explain.md.",
        ),
    ],
)
def test_a_link_that_oss_refuses_is_reported_by_its_code(
    code: str, status: int, sentence: str
) -> None:
    assert (
        sentence
        in faults_of_links(status, {"Content-Type": "application/xml"}, XML.format(code))[0]
    )


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "names", [("Via", "X-Cache", "X-Swift-SaveTime"), ("x-swift-cachetime",), ()]
)
def test_a_cdn_between_the_visitor_and_oss_is_a_warning(
    names: tuple[str, ...], status: int
) -> None:
    headers = {
        "X-Oss-Request-Id": "6743A0F1",
        "X-Cached": "no",
        "Server": "AliyunOSS",
        **dict.fromkeys(names, "HIT"),
    }
    found = [
        finding for finding in findings_of_links(status, headers, "") if finding.subject == "cdn"
    ]
    assert [finding.level for finding in found] == ["warning"] * bool(names)
    assert all(
        f"(it adds {', '.join(names).lower()}): links fail" in finding.sentence for finding in found
    )


def test_a_bucket_that_accepts_forged_links_is_a_fault() -> None:
    forged = "/exampledir/: 200 for a forged link: make the bucket private."
    assert forged in faults_of_links(200, {}, "public")


def faults_of_links(*oss: Any) -> list[str]:
    return faults(iter(findings_of_links(*oss)))


def findings_of_links(*oss: Any) -> list[Finding]:
    """Of a service whose links lead to this response of OSS."""

    def respond(method: str, path: str) -> ServerResponse:
        if path.startswith("/exampledir/"):
            return (
                200,
                {"Content-Type": "application/json"},
                f'{{"url": "{url}/examplebucket/a?signature=0"}}',
            )
        return oss

    with serving(respond) as url:
        return list(service.canaries(deployed(url, None), url, {}))


def test_a_trigger_without_head_is_a_fault(stack: Stack) -> None:
    with serving(lambda method, path: (403 if method == "HEAD" else 404, {}, "")) as url:
        sentences = faults(service.canaries(deployed(stack.oss_url, None), url, {}))
    assert (
        sentences[-1]
        == "/exampledir/: HEAD does not reach the function: add it to methods in s.yaml."
    )


ORIGINS = "A response has 2 Access-Control-Allow-Origin values, and browsers refuse it"
PROGRAM = "is another program, as /-/health shows: check the address."


@pytest.mark.parametrize(
    ("status", "headers", "body", "found"),
    [
        (200, {}, HEALTHY, {"ok service": "", "ok cors": ""}),
        (
            200,
            {"Access-Control-Allow-Origin": "https://a.example.com\n*"},
            HEALTHY,
            {"fault cors": ORIGINS},
        ),
        (
            200,
            {"Access-Control-Allow-Origin": "https://a.example.com, *"},
            HEALTHY,
            {"fault cors": ORIGINS},
        ),
        (
            200,
            {"Content-Disposition": "attachment"},
            HEALTHY,
            {"ok cors": "", "warning domain": "download its pages"},
        ),
        (200, {}, "[]", {"fault service": PROGRAM}),
        (200, {}, '{"status": "UP"}', {"fault service": PROGRAM}),
        (404, {}, "Not Found", {"fault service": PROGRAM}),
    ],
)
def test_the_health_of_a_service_is_judged_by_what_browsers_make_of_it(
    status: int, headers: dict[str, str], body: str, found: dict[str, str]
) -> None:
    with serving(lambda method, path: (status, headers, body)) as url:
        findings = {
            f"{each.level} {each.subject}": each.sentence
            for each in service.health(deployed(url, None), url)
        }
    assert findings.keys() == found.keys() | ({"ok service"} if body == HEALTHY else set())
    assert all(words in findings[name] for name, words in found.items())


@pytest.mark.parametrize(
    "address", ["http://a..b/", "http://[::1", "http://a:b/", "http://a b/é", "http://", ""]
)
def test_an_address_that_cannot_be_parsed_cannot_be_reached(address: str) -> None:
    deployment = deployed("http://127.0.0.1:9", None)
    response = deployment.request("GET", address)
    assert response.status == 0
    assert response.code
    with serving(lambda method, path: (200, {}, json.dumps({"url": address}))) as url:
        sentence, *_ = faults(service.canaries(deployment, url, {}))
    assert "/exampledir/: the link is for " in sentence


def test_a_service_that_is_down_or_broken_is_a_fault() -> None:
    deployment = deployed("http://127.0.0.1:9", None)
    assert levels(service.health(deployment, "http://127.0.0.1:9")) == [("fault", "service")]
    with serving(lambda method, path: (502, {}, "")) as url:
        assert levels(service.health(deployment, url)) == [("fault", "service")]
        deployment = replace(deployment, template="deploy/custom-runtime/s.yaml")
        log = LOG.replace("logs.", "logs -t deploy/custom-runtime/s.yaml.")
        assert faults(service.health(deployment, url)) == [f"{url}/-/health answered 502: {log}"]


def public_address(public_url: str) -> list[Finding]:
    """What is found about a deployment whose files name this address."""
    config = make_config(LINKS.replace("https://links.example.com", public_url))
    return list(service.public_address(Deployment(ROOT, (configured(HTTP, config),), None)))


def test_the_service_answers_at_the_address_that_people_get() -> None:
    with serving(lambda method, path: (200, {}, HEALTHY)) as url:
        assert public_address(url) == [
            ("ok", "domain", f"The service answers at public_url, {url}.")
        ]


@pytest.mark.parametrize("body", ["<html></html>", '{"status": "UP"}'])
def test_an_address_where_nobody_or_somebody_else_answers_is_a_fault(body: str) -> None:
    with serving(lambda method, path: (200, {}, body)) as url:
        (elsewhere,) = public_address(url)
    (dead,) = public_address("http://127.0.0.1:9")
    for finding, address, answer in (
        (elsewhere, url, "200"),
        (dead, "http://127.0.0.1:9", "0 ConnectionRefusedError"),
    ):
        assert finding == (
            "fault",
            "domain",
            f"Shares, pages and notices have addresses at public_url, {address}, and the service does not answer there "
            f"({answer}): correct public_url in links.toml, or customDomain.",
        )


def test_on_a_laptop_nobody_answers_at_the_address_of_the_files(stack: Stack) -> None:
    assert list(service.public_address(deployed(stack.oss_url, None))) == []


def test_a_visitor_cannot_send_events(stack: Stack) -> None:
    assert levels(service.control_path(deployed(stack.oss_url, None), stack.http_url)) == [
        ("ok", "events")
    ]


def test_a_platform_that_passes_the_header_on_is_found(tmp_path: Path) -> None:
    """Nothing before this instance adds the headers of an HTTP trigger, so the event is run."""
    with instance(tmp_path / "instance", PLAIN) as running:
        address = f"http://127.0.0.1:{running.port}"
        (sentence,) = faults(service.control_path(deployed(address, None), address))
    assert sentence.startswith(f"{address}/invoke took an event from a visitor")


def test_a_service_that_signs_with_a_visitors_credentials_is_a_warning(
    stack: Stack, tmp_path: Path
) -> None:
    assert levels(service.credentials_headers(deployed(stack.oss_url, None), stack.http_url)) == [
        ("ok", "headers")
    ]
    with instance(tmp_path / "instance", PLAIN) as running:
        address = f"http://127.0.0.1:{running.port}"
        assert levels(service.credentials_headers(deployed(address, None, PLAIN), address)) == [
            ("warning", "headers")
        ]
    with serving(lambda method, path: (400, {}, "")) as url:
        assert levels(service.credentials_headers(deployed(url, None), url)) == [("ok", "headers")]


@pytest.mark.parametrize(
    ("status", "body", "level"),
    [
        (200, '{"items": 0, "links": 0}', "fault"),
        (404, '{"errorType": "bad_event", "errorMessage": "x"}', "fault"),
        (404, '{"code": "not_found"}', "ok"),
        (400, '{"Code": "InvalidArgument"}', "ok"),
        (502, "", "unknown"),
    ],
)
def test_a_service_that_takes_events_from_visitors_is_a_fault(
    status: int, body: str, level: str
) -> None:
    sent: list[tuple[str, str]] = []

    def respond(method: str, path: str) -> ServerResponse:
        sent.append((method, path))
        return status, {"Content-Type": "application/json"}, body

    with serving(respond) as url:
        assert levels(service.control_path(deployed(url, None), url)) == [(level, "events")]
    assert sent == [("POST", "/invoke")]


def with_s(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    install(folder / "s", script)
    monkeypatch.setattr(service, "s_command", lambda: folder / "s")
    return deployed("", None, LINKS, "", HTTP, EVENTS)


@pytest.mark.parametrize(
    ("script", "level"),
    [
        ('echo \'{"items": 0, "links": 0}\'', "ok"),
        ('echo \'{"errorMessage": "x", "links": 0}\'', "fault"),
        ("exit 1", "fault"),
    ],
)
def test_the_event_function_is_invoked_without_links_to_create(
    script: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = with_s(
        f"printf '%s\\n' \"$@\" > '{tmp_path}/arguments'\n{script}", tmp_path, monkeypatch
    )
    assert levels(service.notices(deployment, tmp_path / "s.yaml", "prod", "ci")) == [
        (level, "notices")
    ]
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[:3] == ["links_events", "invoke", "--event-file"]
    assert arguments[4:] == ["--template", f"{tmp_path}/s.yaml", "--env", "prod", "-a", "ci"]


def test_an_event_function_that_takes_too_long_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = with_s("exec tail -f /dev/null", tmp_path, monkeypatch)
    monkeypatch.setattr(service, "TIMEOUT", 0.01)
    (sentence,) = faults(service.notices(deployment, tmp_path / "s.yaml", None))
    log = LOG.replace("links_http", "links_events")
    assert sentence == f"links_events did not answer an invocation within 0.01 s: {log}"
