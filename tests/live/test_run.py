"""A run of everything, against an OSS that deviates thirty times: what it reports, uses, shows and leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import live.__main__ as command
from live import answers, cases, plan
from live.side import MAX_BYTES, MAX_REQUESTS
from tests.live.conftest import Complete
from tests.live.deviations import DEVIATIONS
from tests.live.online import KEY, ROLE

CASES = cases.load("sts", "kms")


def test_each_deviation_is_in_the_report_and_nothing_else(complete: Complete) -> None:
    differing = {
        each.case.name: {name for name, _, _ in each.fields}
        for each in complete.results
        if each.fields
    }
    assert len(DEVIATIONS) == 30
    assert differing == {each.case: each.fields for each in DEVIATIONS}
    report = (complete.folder / "report.md").read_text("utf-8")
    assert set(re.findall(r"(?m)^- `(.*)` differs ", report)) == differing.keys()
    # The OSS of this test leaves the same out.
    left_out = {
        name for name, each in complete.recording["answers"].items() if each.get("status") == 501
    }
    assert {each.case.name for each in complete.results if each.verdict == ""} == left_out
    assert left_out < {case.name for case in CASES if case.only_live}
    assert {"only live", "only here"}.isdisjoint(each.verdict for each in complete.results)


def test_a_run_uses_the_rights_of_the_dry_run_and_only_its_own_bucket(complete: Complete) -> None:
    statements = plan.policies(ROLE)["the run"]["Statement"]
    left_out = {"oss:PutBucketReferer"}  # of the local OSS
    assert complete.actions | left_out == {
        action for statement in statements for action in statement["Action"]
    }
    assert (complete.denied, complete.oss.outside, complete.oss.buckets, complete.status) == (
        set(),
        [],
        [],
        0,
    )
    assert list((complete.folder / ".runs").iterdir()) == []
    match = re.search(r"after (\d+) requests and (\d+) bytes", complete.printed)
    assert match
    planned = plan.kinds(CASES).total()
    assert int(match[1]) <= planned <= MAX_REQUESTS
    assert int(match[2]) < MAX_BYTES
    assert re.search(r"less than 0\.00\d CNY", plan.text(CASES, "cn-hongkong", ROLE, kms=True))


def test_what_is_allowed_succeeds(complete: Complete) -> None:
    """So that no case is refused for a reason that it is not about."""
    puts = ("put/new", "put/named", "put/copy", "parts/complete", "form/plain")
    names = (*puts, "read/key=text.txt/GET", "list/max-keys=2")
    given = complete.recording["answers"]
    for name in [each for each in given if each.removeprefix("content/").startswith(names)]:
        assert given[name]["status"] < 300, name
    assert [given[f"sts/session/method={method}"]["status"] for method in ("GET", "PUT")] == [
        200,
        403,
    ]
    assert sorted(answer["status"] for answer in given["content/put/race"]["race"]) == [
        200,
        *[409] * 7,
    ]


def test_uploads_of_which_the_documents_say_nothing_are_held_to_what_was_signed(
    complete: Complete,
) -> None:
    expected = {
        "length/as-signed": 200,
        "length/chunks": 400,
        "length/stored": 404,
        "upload/signed-length": 400,
    }
    expected |= {"form/missing": 403, "form/empty": 204, "form/empty-sent": 403}
    given = complete.recording["answers"]
    assert {name: given[f"open/{name}"]["status"] for name in expected} == expected


def test_no_file_and_no_output_has_a_secret_of_the_run(complete: Complete) -> None:
    assert {KEY.access_key_secret, KEY.access_key_id, "1234567890123456"} < complete.secrets
    assert len(complete.secrets) > 500  # signatures, tokens, request IDs
    # The signatures of two cases of V1, and other ones if a second began between both sides.
    assert len([each for each in complete.secrets if re.fullmatch(r"[\w+/]{27}=", each)]) in (
        2,
        3,
        4,
    )
    texts = [path.read_text("utf-8") for path in complete.folder.rglob("*") if path.is_file()]
    assert len(texts) == 2
    assert all("fcp-live-" not in text for text in texts)
    texts.append(complete.printed.partition("\n")[2])  # the first line is the name of the bucket
    assert [
        secret
        for secret in complete.secrets
        for text in texts
        if len(secret) > 5 and secret in text
    ] == []


def test_a_recording_is_replayed(
    complete: Complete,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded, expected = tmp_path / "recorded", tmp_path / "expected.toml"
    recorded.mkdir()
    (recorded / "cn-hongkong.json").write_text(json.dumps(complete.recording), "utf-8")
    entry = '[[difference]]\ncase = {}\nreason = "a test"\ndate = 2026-11-28\n'
    listed = [entry.format(json.dumps(each.case)) for each in DEVIATIONS]
    assert len(answers.unexpected(complete.results, expected)) == 30
    expected.write_text("".join(listed), "utf-8")
    assert answers.unexpected(complete.results, expected) == []
    expected.write_text("".join([*listed[1:], entry.format('"content/put/copy"')]), "utf-8")
    assert answers.unexpected(complete.results, expected) == [
        "content/put/copy does not differ: remove it from expected.toml.",
        "content/put/new differs: correct the local OSS, or list it in expected.toml.",
    ]
    expected.write_text("".join(listed).replace('reason = "a test"', 'reason = ""'), "utf-8")
    assert len(answers.unexpected(complete.results, expected)) == 30
    # All of them would take a second.
    chosen = [case for case in CASES if case.name.startswith("content/")]
    monkeypatch.setattr(command, "load", lambda *parts: chosen if parts == ("sts", "kms") else [])
    differing = [each for each in listed if '"content/' in each]
    expected.write_text("".join(differing), "utf-8")
    assert command.main(["--replay", "--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert (printed.err, f"differs: {len(differing)}, only live: 0" in printed.out) == ("", True)
