"""What `make live` prints, refuses, replays, hides and deletes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import live.__main__ as command
from handler.cloud.http_client import HttpResponse
from live import answers, cases, plan, side
from tests.live.conftest import run
from tests.live.online import KEY, REGION, ROLE, Online, online

FEW = ("bucket/settings/", "content/put/", "content/parts/initiate", "open/upload/initiate", "versions/versions/")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[cases.Case]:
    """Only cases that leave something: objects, uploads, versions."""
    chosen = [case for case in cases.load() if case.name.startswith(FEW)]
    monkeypatch.setattr(command, "load", lambda *parts: chosen)
    return chosen


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Online]:
    with online(tmp_path / "oss", is_listing_allowed=True) as running:
        yield running


def test_the_dry_run_needs_no_key_sends_nothing_and_prints_what_a_run_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(side, "make_side", lambda *options: pytest.fail("sent"))
    assert command.main([]) == 0
    printed = capsys.readouterr().out
    assert "Region cn-hongkong. The bucket fcp-live-<16 random>" in printed
    assert json.dumps(plan.policies("")["the run"], indent=2) in printed
    assert "sts:AssumeRole" not in printed
    for kind, count in plan.kinds(cases.load()).items():
        assert f"{count:>6} {kind}\n" in printed
    assert command.main(["--sts", "--role-arn", ROLE, "--kms", "--region", "cn-beijing"]) == 0
    printed = capsys.readouterr().out
    for policy in plan.policies(ROLE, kms=True).values():
        assert json.dumps(policy, indent=2) in printed
    assert "Region cn-beijing" in printed


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--yes"], {"CI": "true"}, "LIVE_IN_CI=1"),
        (["--sweep"], {"CI": "true"}, "LIVE_IN_CI=1"),
        (["--yes"], {"LIVE_OSS_ENDPOINT": "https://oss.example.com"}, "of this machine"),
        (["--yes"], {"LIVE_STS_ENDPOINT": "http://127.0.0.1.example.com"}, "of this machine"),
        (["--yes", "--sts"], {}, "ROLE_ARN="),
        (["--yes", "--sts", "--role-arn", "fcp-live"], {}, "ROLE_ARN="),
        (["--yes"], {"OSS_ACCESS_KEY_SECRET": ""}, "OSS_ACCESS_KEY_ID is set"),
    ],
)
def test_a_run_that_must_not_start_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    variables: dict[str, str],
    message: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(command, "run", lambda *options: pytest.fail("started"))
    monkeypatch.setattr(side.Side, "ask", lambda *options: pytest.fail("sent"))
    assert command.main([*arguments, "--folder", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


def test_a_run_in_ci_that_is_wanted_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("LIVE_IN_CI", "1")
    monkeypatch.setattr(command, "run", lambda *options: 0)
    assert command.main(["--yes", "--folder", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    "request_",
    [
        {"host": "examplebucket.oss-cn-hongkong.aliyuncs.com"},
        {"host": "oss-cn-hongkong.aliyuncs.com"},
        {"host": "fcp-live-ffffffffffffffff.oss-cn-hongkong.aliyuncs.com"},
        {"method": "PUT", "headers": {"x-oss-copy-source": "/examplebucket/a"}},
    ],
)
def test_nothing_is_sent_to_another_bucket(service: Online, request_: dict[str, Any]) -> None:
    live = side.make_side(REGION, "fcp-live-0123456789abcdef", KEY, "", {"oss": service.url})
    with pytest.raises(RuntimeError, match="another bucket"):
        live.ask({"key": "a", "sign": "header", **request_})
    assert service.requests == 0


def test_a_run_ends_at_its_limit(
    service: Online, few: list[cases.Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_side = side.make_side

    def limited(*options: Any) -> side.Side:
        made = make_side(*options)
        made.limit = 12
        return made

    monkeypatch.setattr(side, "make_side", limited)
    assert run(service, tmp_path, "--yes") == 1
    assert service.buckets == []


def test_a_bucket_that_is_not_ours_is_left_alone(service: Online, few: list[cases.Case], tmp_path: Path) -> None:
    def taken(response: Any) -> None:
        response.status_code = 409

    service.changes["set-up"] = taken
    assert run(service, tmp_path, "--yes") == 1
    assert service.requests == 1
    assert not list((tmp_path / ".runs").iterdir())


def test_what_is_left_is_named_with_the_command_that_removes_it(
    service: Online,
    few: list[cases.Case],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(side, "_empty", lambda *options: None)  # so that the bucket cannot be deleted
        assert run(service, tmp_path, "--yes") == 2
    (name,) = service.buckets
    assert f"Bucket {name} in {REGION} may be left: make live-sweep deletes it." in capsys.readouterr().err
    assert (tmp_path / ".runs" / name).read_text() == REGION
    assert run(service, tmp_path, "--sweep") == 0
    assert service.buckets == []
    assert not list((tmp_path / ".runs").iterdir())
    assert service.outside == []


def test_the_account_is_listed_only_if_asked_for(
    service: Online,
    few: list[cases.Case],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(side, "_empty", lambda *options: None)
        run(service, tmp_path / "lost", "--yes")
    assert run(service, tmp_path, "--sweep") == 0
    assert len(service.buckets) == 1
    assert run(service, tmp_path, "--sweep", "--account") == 0
    assert "oss:ListBuckets on acs:oss:*:*:*" in capsys.readouterr().out
    assert (service.buckets, service.outside) == ([], [f"oss-{REGION}.aliyuncs.com"])


def test_a_replay_without_a_recording_compares_with_a_second_local_oss(
    few: list[cases.Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--replay", "--folder", str(tmp_path)]) == 0
    assert f"same: {len(few)}, differs: 0, only live: 0, only here: 0" in capsys.readouterr().out
    (tmp_path / "recorded").mkdir()
    recording = {"region": REGION, "date": "2026-11-28", "answers": {few[0].name: {"status": 400}}}
    (tmp_path / "recorded" / f"{REGION}.json").write_text(json.dumps(recording))
    assert command.main(["--replay", "--folder", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert f"differs: 1, only live: 0, only here: {len(few) - 1}" in printed.out
    assert printed.err == f"{few[0].name} differs: correct the local OSS, or list it in expected.toml.\n"


def test_a_501_that_no_case_expects_is_a_difference() -> None:
    case = cases.Case("a", "b", {}, False, False)
    assert answers.compare(case, {"status": 501}, {"status": 200}).verdict == "differs"
    assert answers.compare(case._replace(only_live=True), {"status": 501}, {"status": 200}).verdict == "only live"
    assert answers.compare(case._replace(only_live=True), {"status": 200}, {"status": 404}).verdict == "differs"
    assert answers.compare(case, {"status": 200}, None).verdict == "only here"


# What must not be shown: a token, a URL, a string to sign, IDs of an account, an owner, a request and a host.
SECRETS = (
    "CAISEXAMPLE+token/1234567890==",
    "https://fcp-live-0123456789abcdef.oss-cn-hongkong.aliyuncs.com/a?x-oss-signature=0f1e2d3c",
    "OSS4-HMAC-SHA256\n20261128T000000Z\n20261128/cn-hongkong/oss/aliyun_v4_request\n0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "LTAI5tAnotherEXAMPLE99",
    "secretEXAMPLEsecretEXAMPLE",
    "1234567890123456",
    "5F0A1B2C3D4E5F6071829304",
)
HEADERS = ("content-type", "content-range", "content-md5", "etag", "location", "vary", "x-oss-ec", "x-oss-version-id")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_any_field_is_not_written(secret: str) -> None:
    fields = (
        "Code",
        "EC",
        "Message",
        "HostId",
        "RequestId",
        "OSSAccessKeyId",
        "StringToSign",
        "Owner",
        "X" + secret[:6],
    )
    line = secret.replace("\n", " ")
    responses = [
        HttpResponse(403, {name: line}, b"") for name in (*HEADERS, "access-control-allow-origin", "set-cookie")
    ]
    for name in fields:
        document = f"<Error><{name}>{secret}</{name}></Error>" if name.isalnum() else f"<Error>{secret}</Error>"
        responses.append(HttpResponse(403, {}, document.replace("&", "&amp;").encode()))
        responses.append(HttpResponse(400, {}, json.dumps({name: f"at {secret}"}).encode()))
    responses += [HttpResponse(200, {line[:60].replace(" ", "-"): "1"}, b""), HttpResponse(200, {}, secret.encode())]
    for response in responses:
        kept = json.dumps(answers.keep(response, {"fcp-live-0123456789abcdef": "bucket"}, ()), ensure_ascii=False)
        try:
            answers.check(kept, {secret, line})
        except ValueError:
            continue  # not written
        assert line not in kept
        assert secret not in kept


def test_a_secret_is_found_in_each_form() -> None:
    for form in ("CAIS+a/b==", "cais+A/B==", "CAIS%2Ba%2Fb%3D%3D"):
        with pytest.raises(ValueError, match="held a secret"):
            answers.check(f"a {form} b", {"CAIS+a/b=="})
    assert answers.check("CAIS a b", {"CAIS+a/b==", "a"}) == "CAIS a b"
