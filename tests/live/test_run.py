"""A run of everything, against an OSS that deviates thirty times: what it reports, uses, shows and leaves."""

from __future__ import annotations

import json
import re

import pytest

import live.__main__ as command
from live import answers, cases, plan
from live.side import MAX_BYTES, MAX_REQUESTS
from tests.live.conftest import Complete
from tests.live.deviations import DEVIATIONS, Deviation
from tests.live.online import KEY, ROLE


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.case)
def test_a_deviation_is_in_the_report(complete: Complete, deviation: Deviation) -> None:
    (result,) = (result for result in complete.results if result.case.name == deviation.case)
    assert (result.verdict, {name for name, _, _ in result.fields}) == ("differs", deviation.fields)
    assert f"- `{deviation.case}` differs" in (complete.folder / "report.md").read_text("utf-8")


def test_nothing_else_differs(complete: Complete) -> None:
    assert len({deviation.case for deviation in DEVIATIONS}) == 30
    verdicts = {result.case.name: result.verdict for result in complete.results}
    assert {name for name, verdict in verdicts.items() if verdict == "differs"} == {each.case for each in DEVIATIONS}
    only_live = {case.name for case in cases.load("sts", "kms") if case.only_live} - {
        "open/link/unknown-parameter",
        "bucket/more/lifecycle-delete",
    }
    assert {name for name, verdict in verdicts.items() if verdict == "only live"} == only_live
    assert "only here" not in verdicts.values()


def test_a_run_uses_the_rights_of_the_dry_run_and_no_other(complete: Complete) -> None:
    policy = plan.policies(ROLE)["the run"]
    granted = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert complete.actions == granted
    assert complete.denied == []


def test_a_run_asks_only_for_what_is_its_own_and_deletes_it(complete: Complete) -> None:
    assert complete.status == 0
    assert complete.oss.outside == []
    assert complete.oss.buckets == []
    assert list((complete.folder / ".runs").iterdir()) == []


def test_a_run_stays_below_its_limits_and_the_count_of_the_dry_run(complete: Complete) -> None:
    live = complete.sides[0]
    planned = plan.kinds(cases.load("sts", "kms")).total()
    assert live.sent <= planned <= MAX_REQUESTS
    assert live.bytes < MAX_BYTES
    assert re.search(r"less than 0\.00\d CNY", plan.text(cases.load("sts", "kms"), "cn-hongkong", ROLE, kms=True))


def test_no_file_has_a_secret_of_the_run(complete: Complete) -> None:
    live = complete.sides[0]
    assert {KEY.access_key_secret, KEY.access_key_id, "1234567890123456"} < live.secrets
    assert len(live.secrets) > 500  # signatures, tokens, request IDs
    texts = [path.read_text("utf-8") for path in complete.files]
    assert len(texts) == 2
    assert [secret for secret in live.secrets for text in texts if len(secret) > 5 and secret in text] == []
    assert all("fcp-live-" not in text for text in texts)


def test_a_recording_is_replayed(complete: Complete, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = complete.folder / "recorded"
    recorded.mkdir()
    (recorded / "cn-hongkong.json").write_text(json.dumps(complete.recording), "utf-8")
    entry = '[[difference]]\ncase = {}\nreason = "a test"\ndate = 2026-11-28\n'
    listed = [entry.format(json.dumps(each.case)) for each in DEVIATIONS]
    expected = complete.folder / "expected.toml"
    expected.write_text("".join(listed), "utf-8")
    assert command.main(["--replay", "--folder", str(complete.folder)]) == 0
    assert capsys.readouterr().err == ""
    assert [
        len(answers.unexpected(complete.results, complete.folder / name)) for name in ("missing", "expected.toml")
    ] == [30, 0]
    expected.write_text("".join([*listed[1:], entry.format('"content/put/copy"')]), "utf-8")
    assert answers.unexpected(complete.results, expected) == [
        "content/put/new differs: correct the local OSS, or list it in expected.toml.",
        "content/put/copy does not differ: remove it from expected.toml.",
    ]
    expected.write_text("".join(listed).replace('reason = "a test"', 'reason = ""'), "utf-8")
    assert len(answers.unexpected(complete.results, expected)) == 30
