"""There are enough cases, each open question has one, and they become the requests that they describe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from live import cases
from signer import Credentials
from tools import live_status

CASES = cases.load("sts", "kms")
# What the documents leave open: how the names of its cases begin, and how many there are.
OPEN = {
    "a bucket without CORS rules": ("bucket/settings/cors", 1),
    "elements of GetBucketInfo": ("bucket/settings/bucketInfo", 1),
    "a preflight without a rule": ("cors/browser/none", 1),
    "more than 1,000 keys": ("content/list/too-many", 1),
    "expiries that are not allowed": ("forged/link/expires-", 9),
    "a source address, a traffic limit, signed headers": ("open/limits/", 7),
    "V1": ("open/link/v1", 2),
    "a link that lost its query": ("open/link/unsigned", 3),
    "empty parameters": ("open/link/empty-", 2),
    "spellings of a path": ("open/spelling/", 6),
    "suffix ranges, and x-oss-range-behavior": ("open/link/range-", 2),
    "clocks": ("open/link/ahead-", 3),
    "Referer": ("open/left-out/referer", 3),
    "process, callback, symbolic links, and another Referer": ("open/left-out/", 9),
    "the acceleration endpoint": ("open/link/accelerate", 1),
    "another host of the bucket": ("open/link/host=bucket.", 2),
    "from https to http": ("open/link/http", 1),
    "STS links over 43,200 s": ("sts/session/long", 1),
    "a wrong region": ("open/link/region", 2),
    "HEAD on GET": ("open/link/head-on-get", 1),
    "unknown signed parameters": ("open/link/unknown-parameter", 1),
    "missing and empty x-oss-expires": ("open/link/expires-", 2),
    "response-* at default domains": ("open/link/response-", 2),
    "app packages by name, type, query and header": ("open/apk/by-", 4),
    "ranges": ("open/link/range", 3),
    "versionId=null": ("open/link/version", 1),
    "fields that no condition names": ("open/form/", 9),
    "a wrong region of a form": ("open/form/region", 1),
    "a field that the policy names, left out": ("open/form/missing", 1),
    "a field whose condition is empty, left out and sent": ("open/form/empty", 2),
    "absent and empty fields": ("open/form/x-oss-", 3),
    "length with chunks": ("open/upload/chunks", 1),
    "signed length with chunks": ("open/length/", 2),
    "signed length with chunks, of a part": ("open/upload/signed-length", 1),
    "ETags under SSE-KMS": ("kms/", 3),
    "characters or bytes of a session policy": ("sts/size/", 2),
    "an unknown key on a missing bucket, with a sub-resource": ("open/bucket/", 3),
    "a malformed credential": ("open/link/credential", 2),
    "complete without parts": ("open/upload/no-parts", 1),
    "unsigned Content-Type at STS": ("sts/assume/unsigned-type", 1),
}


def test_there_are_ordinary_and_forged_cases_and_one_for_each_open_question() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert all(case.settles for case in CASES)
    forged = [case for case in CASES if case.name.startswith("forged/")]
    is_open = [case.name for case in CASES if case.is_open]
    assert len(forged) >= 200
    assert len(CASES) - len(forged) - len(is_open) >= 40
    assert {question: sum(name.startswith(start) for name in is_open) for question, (start, _) in OPEN.items()} == {
        question: count for question, (_, count) in OPEN.items()
    }


def test_a_part_that_was_not_asked_for_is_not_sent() -> None:
    for parts in ((), ("sts",), ("sts", "kms")):
        files = {case.name.partition("/")[0] for case in cases.load(*parts)}
        assert files & {"sts", "kms"} == {*parts}


def test_requests_are_what_the_cases_say() -> None:
    values = {"region": "cn-hongkong", "bucket": "fcp-live-1", "other": "fcp-live-2"}
    sessions = {"": Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")}
    case = {"key": "a b", "forge": {"unset": "x-oss-date"}, "sub": ["signature=.*", "signature={0*3}"]}
    sent = cases.build(case, values, sessions)
    assert (sent.origin, sent.host) == (f"https://{sent.host}", "fcp-live-1.oss-cn-hongkong.aliyuncs.com")
    assert re.fullmatch(r"/a%20b\?x-oss-credential=LTAI5tEXAMPLE%2F.*&x-oss-signature=000", sent.target)
    assert "x-oss-date" not in sent.target
    assert "secretEXAMPLE" not in repr(sent)
    form = cases.build({"key": "a", "sign": "form", "body": "x", "sub": ["key: a", "key: b\nkey: c"]}, values, sessions)
    assert [form.body.count(part) for part in (b"\r\n\r\nb\r\n", b"\r\n\r\nc\r\n", b'filename="f.txt"')] == [1, 1, 1]


def test_a_recording_is_in_the_status_line_and_answers_open_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.__main__.load", lambda *parts: [case for case in CASES if "open/link/h" in case.name])
    pages = {path.name: content for path, content in live_status.pages(tmp_path).items()}
    assert "**Status: not yet compared with a live account: `make live` does it.** " in pages["README.md"]
    assert "- whether a link for GET is good for HEAD\n" in pages["live.md"]
    (tmp_path / "recorded").mkdir()
    answers = '{"open/link/head-on-get": {"status": 200}, "open/link/http": null}'
    recording = f'{{"region": "cn-beijing", "date": "2026-12-01", "answers": {answers}}}'
    (tmp_path / "recorded/cn-beijing.json").write_text(recording)
    pages = {path.name: content for path, content in live_status.pages(tmp_path).items()}
    assert "**Status: compared with OSS in cn-beijing on 2026-12-01: 0 of 1 answers equal.** " in pages["README.md"]
    assert "已于 2026-12-01 与 cn-beijing 的 OSS 比对：1 个应答中 0 个相同。**" in pages["README.zh-CN.md"]
    assert "- whether a link for GET is good for HEAD\n" not in pages["live.md"]
    assert "- whether a link made for https is good at http\n" in pages["live.md"]
