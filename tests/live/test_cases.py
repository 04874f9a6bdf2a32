"""There are enough cases, each open question has one, and they become the requests that they describe."""

from __future__ import annotations

import re

import pytest

from live import cases
from live.cases import build
from signer import Credentials

CASES = cases.load("sts", "kms")
# What the documents leave open, and a case for each.
OPEN = {
    "hosts": (
        "open/link/host=bucket.region.oss.aliyuncs.com",
        "open/link/host=bucket.s3.oss-region.aliyuncs.com",
    ),
    "from https to http": ("open/link/http",),
    "STS links over 43,200 s": ("sts/session/long",),
    "a wrong region": ("open/link/region", "open/link/region-header"),
    "HEAD on GET": ("open/link/head-on-get",),
    "unknown signed parameters": ("open/link/unknown-parameter",),
    "missing and empty x-oss-expires": ("open/link/expires-missing", "open/link/expires-empty"),
    "response-*": (
        "open/link/response-type",
        "open/link/response-name",
    ),
    "app packages": tuple(f"open/apk/by-{what}" for what in ("name", "type", "query", "header")),
    "Range after the end": ("open/link/range",),
    "versionId=null": ("open/link/version",),
    "fields without a condition": ("open/form/x-oss-meta-a=b", "open/form/success_action_status=201"),
    "absent and empty fields": ("open/form/conditions=starts-with,$x-oss-meta-a,", "open/form/x-oss-meta-a"),
    "length with chunks": ("open/upload/chunks",),
    "ETags under SSE-KMS": ("kms/kms/put", "kms/kms/method=HEAD"),
    "characters or bytes of a session policy": tuple(case.name for case in CASES if case.name.startswith("sts/size/")),
    "an unknown key on a missing bucket": tuple(f"open/bucket/{name}" for name in ("plain", "cors", "versioning")),
    "a malformed credential": ("open/link/credential", "open/link/credential-header"),
    "complete without parts": ("open/upload/no-parts",),
    "unsigned Content-Type at STS": ("sts/assume/unsigned-type",),
}


def test_there_are_ordinary_and_forged_cases_and_each_has_a_name_and_a_purpose() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert all(case.settles for case in CASES)
    forged = [case for case in CASES if case.name.startswith("forged/")]
    assert len(forged) >= 200
    assert len(CASES) - len(forged) - sum(case.is_open for case in CASES) >= 40


@pytest.mark.parametrize("question", OPEN)
def test_each_open_question_has_a_case_that_is_marked_so(question: str) -> None:
    by_name = {case.name: case for case in CASES}
    assert OPEN[question]
    assert [name for name in OPEN[question] if not by_name[name].is_open] == []


def test_a_part_that_was_not_asked_for_is_not_sent() -> None:
    for parts in ((), ("sts",), ("sts", "kms")):
        files = {case.name.partition("/")[0] for case in cases.load(*parts)}
        assert files & {"sts", "kms"} == {*parts}


def test_requests_are_what_the_cases_say() -> None:
    values = {"region": "cn-hongkong", "bucket": "fcp-live-1", "other": "fcp-live-2"}
    sessions = {"": Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")}
    case = {"key": "a b", "forge": {"unset": "x-oss-date"}, "sub": ["signature=.*", "signature={0*3}"]}
    sent = build(case, values, sessions)
    assert (sent.origin, sent.host) == (f"https://{sent.host}", "fcp-live-1.oss-cn-hongkong.aliyuncs.com")
    assert re.fullmatch(r"/a%20b\?x-oss-credential=LTAI5tEXAMPLE%2F.*&x-oss-signature=000", sent.target)
    assert "x-oss-date" not in sent.target
    assert "secretEXAMPLE" not in repr(sent)
    form = build({"key": "a", "sign": "form", "body": "x", "sub": ["key: a", "key: b\nkey: c"]}, values, sessions)
    assert [form.body.count(part) for part in (b"\r\n\r\nb\r\n", b"\r\n\r\nc\r\n", b'filename="f.txt"')] == [1, 1, 1]
