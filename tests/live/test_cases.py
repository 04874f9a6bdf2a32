"""There are enough cases, each open question has one, and they become the requests that they describe."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import pytest

from live import cases
from signer import Credentials
from tools import live_status

CASES = cases.load("sts", "kms")


def test_there_are_ordinary_and_forged_cases_and_one_for_each_open_question() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert all(case.settles for case in CASES)
    forged = [case for case in CASES if case.name.startswith("forged/")]
    is_open = [case.name for case in CASES if case.is_open]
    assert len(forged) >= 200
    assert len(CASES) - len(forged) - len(is_open) >= 40
    assert len(is_open) >= 91
    assert {
        path.name
        for path, content in live_status.pages().items()
        if path.read_text("utf-8") != content
    } == set()


def test_forms_are_sent_with_tags_that_their_policy_names_forbids_and_leaves_out() -> None:
    values = {"region": "cn-hongkong", "bucket": "fcp-live-1"}
    keys = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
    forms = {}
    for case in CASES:
        group, _, name = case.name.rpartition("/")
        if "tags" in name and case.request["sign"] == "form":
            sent = cases.build(case.request, values, {"": keys, "role": keys})
            policy = re.search(rb'name="policy"\r\n\r\n(\S+)', sent.body)
            assert policy is not None
            is_forbidden = b'["eq", "$x-oss-tagging", ""]' in b64decode(policy[1])
            forms[f"{group}/{name}"] = (b'name="x-oss-tagging"' in sent.body, is_forbidden)
            assert case.is_open
    assert forms == {
        "open/form/tags": (True, False),
        "open/form/no-tags": (False, True),
        "open/form/no-tags-sent": (True, True),
        "sts/session/tags": (True, False),
    }


def test_a_part_that_was_not_asked_for_is_not_sent() -> None:
    for parts in ((), ("sts",), ("sts", "kms")):
        files = {case.name.partition("/")[0] for case in cases.load(*parts)}
        assert files & {"sts", "kms"} == {*parts}


def test_requests_are_what_the_cases_say() -> None:
    values = {"region": "cn-hongkong", "bucket": "fcp-live-1", "other": "fcp-live-2"}
    sessions = {"": Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")}
    case = {
        "key": "a b",
        "forge": {"unset": "x-oss-date"},
        "sub": ["signature=.*", "signature={0*3}"],
    }
    sent = cases.build(case, values, sessions)
    assert (sent.origin, sent.host) == (
        f"https://{sent.host}",
        "fcp-live-1.oss-cn-hongkong.aliyuncs.com",
    )
    assert re.fullmatch(
        r"/a%20b\?x-oss-credential=LTAI5tEXAMPLE%2F.*&x-oss-signature=000", sent.target
    )
    assert "x-oss-date" not in sent.target
    assert "secretEXAMPLE" not in repr(sent)
    form = cases.build(
        {"key": "a", "sign": "form", "body": "x", "sub": ["key: a", "key: b\nkey: c"]},
        values,
        sessions,
    )
    assert [
        form.body.count(part) for part in (b"\r\n\r\nb\r\n", b"\r\n\r\nc\r\n", b'filename="f.txt"')
    ] == [1, 1, 1]


def open_questions(page: str) -> int:
    (number,) = re.findall(r"(?m)^Open questions: (\d+)\.$", page)
    return int(number)


def test_a_recording_answers_open_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "live.__main__.load", lambda *parts: [case for case in CASES if "open/link/h" in case.name]
    )
    pages = {path.name: content for path, content in live_status.pages(tmp_path).items()}
    assert (
        "**Status: not yet compared with a live account: `make live` does it.** "
        in pages["README.md"]
    )
    before = open_questions(pages["live.md"])
    (tmp_path / "recorded").mkdir()
    answers = '{"open/link/head-on-get": {"status": 200}, "open/link/http": null}'
    recording = f'{{"region": "cn-beijing", "date": "2026-12-01", "answers": {answers}}}'
    (tmp_path / "recorded/cn-beijing.json").write_text(recording)
    pages = {path.name: content for path, content in live_status.pages(tmp_path).items()}
    assert (
        "**Status: compared with OSS in cn-beijing on 2026-12-01: 0 of 1 answers equal.** "
        in pages["README.md"]
    )
    assert (
        "已于 2026-12-01 与 cn-beijing 的 OSS 比对：1 个应答中 0 个相同。**"
        in pages["README.zh-CN.md"]
    )
    assert before - open_questions(pages["live.md"]) == 1  # whether a link for GET is good for HEAD
