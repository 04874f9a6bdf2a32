"""The doctor follows links of a deployed service as its visitors would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.probes import service
from deploy.probes.deployment import CANARY
from deploy.probes.findings import fault
from local.stack import Stack
from tests.deploy.deployments import XML, Reply, answering, deployed, deployed_here, faults, levels


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed_here(tmp_path_factory.mktemp("deployed")) as running:
        yield running


def test_links_are_followed_as_visitors_would(stack: Stack) -> None:
    deployment = deployed(stack.oss_url, None)
    found = list(service.canaries(deployment, stack.http_url, {}))
    assert [(finding.level, finding.subject) for finding in found] == [
        ("ok", "canary"),
        ("ok", "forgery"),
        ("ok", "head"),
        ("unknown", "canary"),
        ("unknown", "canary"),
    ]
    assert f"there is no {CANARY}" in found[0].sentence
    assert "LINK_API_KEY" in found[3].sentence


SERVICE = {
    "no role": (503, "no_credentials", "the function has no credentials"),
    "no keys": (503, "keys_unavailable", "look at the keys document"),
    "other": (500, "internal_error", "no link was given (500 internal_error)"),
}


@pytest.mark.parametrize("name", SERVICE)
def test_a_service_that_gives_no_link_is_told_by_its_code(name: str) -> None:
    status, code, sentence = SERVICE[name]
    body = f'{{"code": "{code}"}}'
    with answering(lambda method, path: (status, {"Content-Type": "application/problem+json"}, body)) as url:
        found = faults(service.canaries(deployed(url, None), url, {}))
    assert sentence in found[0]


OSS = {
    "AccessDenied": (403, "the function's role may not read oss://examplebucket/exampledir/: run make policies."),
    "PublicEndpointForbidden": (400, "bind a domain to the bucket"),
    "SignatureDoesNotMatch": (403, "refused the link (403 SignatureDoesNotMatch): see docs/explain.md."),
}


@pytest.mark.parametrize("code", OSS)
def test_a_link_that_oss_refuses_is_told_by_its_code(code: str) -> None:
    status, sentence = OSS[code]

    def reply(method: str, path: str) -> Reply:
        if path.startswith("/exampledir/"):
            return 200, {"Content-Type": "application/json"}, f'{{"url": "{url}/examplebucket/a?signature=0"}}'
        return status, {"Content-Type": "application/xml"}, XML.format(code)

    with answering(reply) as url:
        found = faults(service.canaries(deployed(url, None), url, {}))
    assert sentence in found[0]


def test_a_bucket_that_takes_forged_links_is_a_fault() -> None:
    def reply(method: str, path: str) -> Reply:
        if path.startswith("/exampledir/"):
            return 200, {"Content-Type": "application/json"}, f'{{"url": "{url}/examplebucket/a?signature=0"}}'
        return 200, {}, "public"

    with answering(reply) as url:
        found = faults(service.canaries(deployed(url, None), url, {}))
    assert "/exampledir/: a forged link is answered 200: make the bucket private." in found


def test_a_trigger_without_head_is_a_fault(stack: Stack) -> None:
    with answering(lambda method, path: (403 if method == "HEAD" else 404, {}, "")) as url:
        found = faults(service.canaries(deployed(stack.oss_url, None), url, {}))
    assert found[-1] == "/exampledir/: HEAD never reaches the function: add it to the trigger's methods in s.yaml."


@pytest.mark.parametrize("values", ["https://a.example.com\n*", "https://a.example.com, *"])
def test_two_allowed_origins_on_one_answer_are_a_fault(values: str) -> None:
    with answering(lambda method, path: (200, {"Access-Control-Allow-Origin": values}, "")) as url:
        (sentence,) = faults(service.health(deployed(url, None), url))
    assert sentence.startswith("An answer carries 2 Access-Control-Allow-Origin values")


def test_a_service_that_makes_browsers_download_is_a_warning() -> None:
    with answering(lambda method, path: (200, {"Content-Disposition": "attachment"}, "")) as url:
        assert levels(service.health(deployed(url, None), url)) == [
            ("ok", "service"),
            ("ok", "cors"),
            ("warning", "domain"),
        ]


def test_a_service_that_is_not_there_or_broken_is_a_fault() -> None:
    deployment = deployed("http://127.0.0.1:9", None)
    assert levels(service.health(deployment, "http://127.0.0.1:9")) == [("fault", "service")]
    with answering(lambda method, path: (502, {}, "")) as url:
        assert levels(service.health(deployment, url)) == [("fault", "service")]


@pytest.mark.parametrize(
    ("script", "level"),
    [
        ('echo \'{"items": 0, "links": 0}\'', "ok"),
        ('echo \'{"errorMessage": "x", "links": 0}\'', "fault"),
        ("exit 1", "fault"),
    ],
)
def test_the_function_of_events_is_called_with_no_link_to_make(
    script: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{script}\n')
    (tmp_path / "s").chmod(0o755)
    monkeypatch.setattr(service, "serverless_devs", lambda: tmp_path / "s")
    good = deployed("http://127.0.0.1:9", None)
    deployment = replace(good, policy=good.policy._replace(oss_endpoint=None), events=("links_events", {}))
    assert levels(service.notices(deployment, tmp_path / "s.yaml", "prod")) == [(level, "notices")]
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:3] == ["links_events", "invoke", "--event-file"]
    assert asked[4:] == ["--template", f"{tmp_path}/s.yaml", "--env", "prod"]


def test_a_finding_shows_no_secret() -> None:
    assert "abc" not in str(fault("canary", "https://a.example.com/?x-oss-signature=abc&x-oss-credential=abc"))
