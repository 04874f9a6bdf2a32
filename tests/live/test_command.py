"""What `make live` prints, refuses, replays, hides and deletes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from socket import gaierror
from unittest.mock import Mock

import pytest
from werkzeug.wrappers import Response

import live.__main__ as command
from handler.core.cloud.http_client import Connections, HttpResponse
from live import answers, cases, plan, side
from signer.errors import InvalidEndpoint
from tests.live.conftest import run
from tests.live.online import KEY, REGION, ROLE, Online, online

NAME = "fcp-live-0123456789abcdef"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Online]:
    with online(tmp_path / "oss", lists_buckets=True) as running:
        yield running


def leave_bucket(service: Online, folder: Path) -> str:
    """The bucket of a run that could not delete it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side, "_empty", lambda *options: None)
        assert run(service, folder, "--yes") == 2
    (name,) = service.buckets
    return name


def test_the_dry_run_needs_no_key_sends_nothing_and_prints_what_a_run_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OSS_ACCESS_KEY_ID")
    monkeypatch.setattr(side, "make_side", lambda *options: pytest.fail("sent"))
    for arguments, region, policies in (
        ([], REGION, plan.policies("")),
        (
            ["--sts", "--role-arn", ROLE, "--kms", "--region", "cn-beijing"],
            "cn-beijing",
            plan.policies(ROLE, kms=True),
        ),
        (["--sts"], REGION, plan.policies(plan.EXAMPLE_ROLE)),
    ):
        assert command.main(arguments) == 0
        printed = capsys.readouterr().out
        assert f"Region {region}. The bucket fcp-live-<16 random>" in printed
        assert [json.dumps(policy, indent=2) in printed for policy in policies.values()] == [
            True
        ] * len(policies)
        assert ("sts:AssumeRole" in printed) == ("--sts" in arguments)
        parts = [part for part in ("sts", "kms") if f"--{part}" in arguments]
        assert all(
            f"{count:>6} {kind}\n" in printed
            for kind, count in plan.kinds(cases.load(*parts)).items()
        )


REFUSED = [
    (["--yes"], {"CI": "true"}, "LIVE_IN_CI=1"),
    (["--sweep"], {"CI": "true"}, "LIVE_IN_CI=1"),
    (["--yes"], {"LIVE_OSS_ENDPOINT": "https://oss.example.com"}, "of this machine"),
    (["--yes"], {"LIVE_STS_ENDPOINT": "http://127.0.0.1.example.com"}, "of this machine"),
    (["--yes", "--sts"], {}, "ROLE_ARN="),
    (["--yes", "--sts", "--role-arn", "fcp-live"], {}, "ROLE_ARN="),
    (["--yes"], {"OSS_ACCESS_KEY_SECRET": ""}, "OSS_ACCESS_KEY_ID is set"),
]


def test_what_must_not_start_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run", lambda *options: 0)
    monkeypatch.setattr(side.Side, "ask", lambda *options: pytest.fail("sent"))
    for arguments, variables, message in REFUSED:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            assert command.main(arguments) == 1
            assert message in capsys.readouterr().err
            patch.setenv("LIVE_IN_CI", "1")
            assert command.main(["--yes"]) == (
                0 if "CI" in variables or "ROLE_ARN" in message else 1
            )


def test_nothing_is_sent_to_another_bucket(service: Online) -> None:
    live = side.make_side(REGION, NAME, KEY, "", {"oss": service.url})
    for request in (
        {"host": "examplebucket.oss-cn-hongkong.aliyuncs.com"},
        {"host": "oss-cn-hongkong.aliyuncs.com"},
        {"host": "fcp-live-ffffffffffffffff.oss-cn-hongkong.aliyuncs.com"},
        {"method": "PUT", "headers": {"x-oss-copy-source": "/examplebucket/a"}},
    ):
        with pytest.raises(RuntimeError, match="another bucket"):
            live.ask({"key": "a", "sign": "header", **request})
    assert service.requests == 0
    with pytest.raises(InvalidEndpoint):
        side.make_side("cn-hongkong.example.com/", NAME, KEY, "", {})


@pytest.mark.parametrize("limit", [{"limit": 12}, {"bytes": side.MAX_BYTES - 2000}])
def test_a_run_ends_at_its_limit(
    service: Online, few: list[cases.Case], tmp_path: Path, limit: dict[str, int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        make = side.make_side
        patch.setattr(
            side, "make_side", lambda *options: vars(made := make(*options)).update(limit) or made
        )
        assert run(service, tmp_path, "--yes") == 1
    assert 1 < service.requests < 60
    assert service.buckets == []


def test_a_bucket_that_is_not_ours_is_left_alone(
    service: Online, few: list[cases.Case], tmp_path: Path
) -> None:
    service.changes["set-up"] = lambda response: setattr(response, "status_code", 409)
    assert run(service, tmp_path, "--yes") == 1
    assert service.requests == 1
    assert not list((tmp_path / ".runs").iterdir())


DENIED = "failed (403 AccessDenied). Is the policy that of the dry run?"
TAGS, VERSIONS, BUCKET = (
    f"{each} {DENIED}" for each in ("PUT bucket tagging", "GET bucket versions", "DELETE bucket")
)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("missing", "failure", "clean_up"),
    [
        ("PutBucketTagging", TAGS, ""),
        ("PutBucketTagging ListObjectVersions", TAGS, VERSIONS),
        ("DeleteBucket", "", BUCKET),
    ],
)
def test_why_a_run_failed_is_said_before_what_is_left(
    missing: str,
    failure: str,
    clean_up: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(plan, "_ACTIONS", " ".join({*plan._ACTIONS.split()} - {*missing.split()}))
    with online(tmp_path / "oss") as service:
        assert run(service, tmp_path, "--yes") == (2 if clean_up else 1)
        left = service.buckets
    lines = [f"make live: {failure}"] * bool(failure) + [f"The clean-up failed: {clean_up}"] * bool(
        clean_up
    )
    lines += [
        f"Bucket {name} in {REGION} may be left: make live-sweep deletes it." for name in left
    ]
    lines += ["Otherwise OSS empties it after a day, and it stays, at no cost." for _ in left]
    assert capsys.readouterr().err.splitlines() == lines
    assert len(left) == bool(clean_up)
    assert [path.name for path in (tmp_path / ".runs").iterdir()] == left


@pytest.mark.parametrize("cause", ["secret", "name", "garbage"])
def test_a_bucket_that_was_never_made_is_not_left(
    cause: str,
    service: Online,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if cause == "name":
        monkeypatch.setattr(
            Connections, "send", Mock(side_effect=gaierror("Name or service not known"))
        )
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "secretOfAnotherKeyEXAMPLE")
    service.changes |= (
        {"set-up": lambda response: Response("garbage", 403)} if cause == "garbage" else {}
    )
    assert run(service, tmp_path, "--yes") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        {
            "secret": r"make live: PUT bucket failed \(403 SignatureDoesNotMatch\)\.",
            "name": r"make live: set-up was not answered by fcp-live-\S+ \(Name or service not known\)\.",
            "garbage": r"make live: PUT bucket failed \(403\)\.",
        }[cause],
        line,
    )
    assert not list((tmp_path / ".runs").iterdir())


@pytest.mark.usefixtures("few")
def test_a_bucket_whose_making_was_not_answered_may_be_left_also_if_the_next_try_is_refused(
    service: Online, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([Response("", 500)])
    service.changes["set-up"] = lambda response: next(answers, Response("", 403))
    assert run(service, tmp_path, "--yes") == 2
    first, _, left, _ = capsys.readouterr().err.splitlines()
    assert (first, "may be left: make live-sweep" in left) == (
        "make live: PUT bucket failed (403).",
        True,
    )
    service.changes.clear()
    assert (run(service, tmp_path, "--sweep"), service.buckets) == (0, [])


def test_the_account_is_listed_only_if_asked_for(
    service: Online, few: list[cases.Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = leave_bucket(service, tmp_path)
    (tmp_path / ".runs" / left).unlink()
    assert run(service, tmp_path, "--sweep") == 0
    assert service.buckets == [left]
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
    assert (
        printed.err
        == f"{few[0].name} differs: correct the local OSS, or list it in expected.toml.\n"
    )


def test_a_501_that_no_case_expects_is_a_difference() -> None:
    case = cases.Case("a", "b", {}, is_open=False, only_live=False)
    assert answers.compare(case, {"status": 501}, {"status": 200}).verdict == "differs"
    for here, verdict in ((501, "only live"), (404, "differs")):
        assert (
            answers.compare(
                case._replace(only_live=True), {"status": here}, {"status": 200}
            ).verdict
            == verdict
        )
    assert answers.compare(case, {"status": 200}, None).verdict == "only here"


# What must not be shown: a token, a URL, a string to sign, keys, IDs of an account, an owner, a request, and a host.
SECRETS = (
    "CAISEXAMPLE+token/1234567890==",
    f"https://{NAME}.oss-cn-hongkong.aliyuncs.com/a?x-oss-signature=0f1e2d3c",
    "OSS4-HMAC-SHA256\n20261128T000000Z\n20261128/cn-hongkong/oss/aliyun_v4_request\n0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "LTAI5tAnotherEXAMPLE99",
    "secretEXAMPLEsecretEXAMPLE",
    "1234567890123456",
    "5F0A1B2C3D4E5F6071829304",
)
HEADERS = (
    "content-type",
    "content-range",
    "content-md5",
    "etag",
    "location",
    "vary",
    "x-oss-ec",
    "x-oss-version-id",
)
FIELDS = (
    "Code",
    "EC",
    "Message",
    "HostId",
    "RequestId",
    "OSSAccessKeyId",
    "StringToSign",
    "Owner",
    "Xsecret",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_any_field_is_not_written(secret: str) -> None:
    line = secret.replace("\n", " ")
    responses = [
        HttpResponse(403, {name: line}, b"")
        for name in (*HEADERS, "access-control-allow-origin", "set-cookie")
    ]
    for name in FIELDS:
        document = f"<Error><{name}>{secret.replace('&', '&amp;')}</{name}></Error>"
        responses += [
            HttpResponse(403, {}, document.encode()),
            HttpResponse(400, {}, json.dumps({name: secret}).encode()),
        ]
    responses += [
        HttpResponse(200, {line.replace(" ", "-"): "1"}, b""),
        HttpResponse(200, {}, secret.encode()),
    ]
    for response in responses:
        kept = json.dumps(answers.keep(response, {NAME: "bucket"}, ()), ensure_ascii=False)
        assert secret in kept or line in kept or answers.check(kept, {secret, line})
        if secret in kept or line in kept:
            with pytest.raises(ValueError, match="was not written"):
                answers.check(kept, {secret, line})


def test_a_secret_is_found_in_each_form() -> None:
    for form in ("CAIS+a/b==", "cais+A/B==", "CAIS%2Ba%2Fb%3D%3D"):
        with pytest.raises(ValueError, match="held a secret"):
            answers.check(f"a {form} b", {"CAIS+a/b=="})
    assert answers.check("CAIS a b", {"CAIS+a/b==", "a"}) == "CAIS a b"
