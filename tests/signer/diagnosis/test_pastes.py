"""What people paste is explained: each case of cases/, and each of them cut, and mixed with another."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from subprocess import CompletedProcess
from typing import NamedTuple
from unittest.mock import patch
from urllib.parse import quote, unquote

import pytest

from signer.diagnosis.causes import FINDING_BY_CODE
from tests.signer.cli.command import BARE, run
from tests.signer.diagnosis.pastes import FINE, NOW, REFUSED, SECRETS, Case, places, read_cases

CASES = {case.name: case for case in read_cases()}
PARTS = ("open", "sealed")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
PROVEN = {"certain", "proved"}
# They name no cause: what they say is not wrong, and does not help.
_VAGUE = {FINE, REFUSED, "other_error", "answer_missing", "signature_mismatch"}
# What is true of a paste that was cut, or of two that were mixed.
_TRUE_WHEN_DAMAGED = {
    "truncated",
    "missing_parameter",
    "malformed_parameter",
    "missing_question_mark",
    "missing_token",
    "line_broken",
    "unsigned",
    "trailing_text",
    "added_parameters",
    "bucket_not_in_host",
    "expired",
    "other_error",
    "other_link",
}
# What the request that OSS received shows, where another link stands beside it.
_COMPARED = {"changed_query", "changed_path", "wrong_method"}


class Reading(NamedTuple):
    """What the command made of a paste: `findings` are code and certainty, most probable first."""

    status: int
    printed: str
    findings: tuple[tuple[str, str], ...]
    words: str
    method: str
    kinds: frozenset[str]

    @property
    def proven(self) -> set[str]:
        return {code for code, certainty in self.findings if certainty in PROVEN}


def run_explain(case: Case, text: str, *options: str, with_secret: bool) -> CompletedProcess[str]:
    env = dict(BARE)
    if with_secret:
        keys = case.credentials
        env["OSS_ACCESS_KEY_ID"] = keys.access_key_id
        env["OSS_ACCESS_KEY_SECRET"] = keys.access_key_secret
        env["OSS_SESSION_TOKEN"] = keys.security_token or ""
    with patch("time.time", return_value=float(NOW)):
        return run("explain", "-", *options, stdin=text, env=env)


def explain(case: Case, text: str, *, with_secret: bool) -> Reading:
    """The command's reading of a text, with or without the secret of the case's link."""
    result = run_explain(case, text, "--json", with_secret=with_secret)
    printed = result.stdout + result.stderr
    if result.returncode == 2:
        return Reading(2, printed, ((REFUSED, ""),), printed, "", frozenset())
    document = json.loads(result.stdout)
    found = document["findings"]
    first = found[0] if found else {"title": "", "evidence": ""}
    return Reading(
        status=result.returncode,
        printed=printed,
        findings=tuple((each["code"], each["certainty"]) for each in found) or ((FINE, ""),),
        words=" ".join((first["title"], first["evidence"], *document["notes"])),
        method=document["method"],
        kinds=frozenset(part["kind"] for part in document.get("read", ())),
    )


def judge(case: Case, reading: Reading) -> str:
    """How right it is: "right", "vague", "wrong", or "wrong and certain".

    Wrong is what comes first and is not the cause, and what is said to be certain and is not so.
    """
    first, certainty = reading.findings[0]
    unwanted = {code for code, _ in reading.findings}.intersection(case.unwanted)
    if reading.proven & unwanted or (case.certain_not and reading.proven):
        return "wrong and certain"
    if first in case.first:
        is_read = reading.kinds.issuperset(case.read) and case.method in ("", reading.method)
        is_said = case.says.lower() in reading.words.lower()
        return "right" if is_read and is_said and not unwanted else "vague"
    if first in unwanted or first not in {*_VAGUE, *case.vague}:
        return "wrong and certain" if certainty in PROVEN else "wrong"
    return "vague"


def verdict(case: Case) -> str:
    return judge(case, explain(case, case.text, with_secret=case.secret))


@pytest.mark.parametrize("part", PARTS)
def test_what_is_pasted_is_explained(part: str) -> None:
    cases = [case for case in CASES.values() if case.part == part]
    verdicts = {case.name: verdict(case) for case in cases}
    # The tables say which are known not to be right, so that what gets better is seen as well.
    known = {case.name: case.known or "right" for case in cases}
    changed = {
        name: f"{known[name]} -> {now}" for name, now in verdicts.items() if now != known[name]
    }
    numbers = Counter(verdicts.values())
    assert numbers["right"] >= 0.8 * len(cases), (numbers, changed)
    assert numbers["wrong"] <= 0.03 * len(cases), (numbers, changed)
    assert not numbers["wrong and certain"], (numbers, changed)
    assert not changed, (numbers, changed)


def test_there_are_enough_cases_of_each_part() -> None:
    numbers = Counter(case.part for case in CASES.values())
    assert numbers["open"] + numbers["sealed"] >= 250
    assert numbers["sealed"] * 3 >= numbers["open"] + numbers["sealed"] - 3
    assert all(case.first and case.source for case in CASES.values())


def damaged(case: Case, place: int) -> Iterator[tuple[str, set[str]]]:
    """The case cut at a place, and with another one between its lines; and what may be certain of each."""
    names = sorted(CASES)
    other = CASES[names[(names.index(case.name) + 17 * place) % len(names)]]
    text = case.text
    line = text.rfind("\n", 0, place) + 1
    mixed = text[:line] + other.text + text[line:]
    yield text[:place], _true_of(case, text)
    yield mixed, _true_of(case, text) | _true_of(other, other.text)


def _true_of(case: Case, text: str) -> set[str]:
    said = {finding for code, finding in FINDING_BY_CODE.items() if code in text}
    received = _COMPARED if "<CanonicalRequest>" in text else set()
    return {*case.first, *case.also, *said, *received, *_TRUE_WHEN_DAMAGED}


def leaked(text: str) -> set[str]:
    """The secrets that stand in a text, as they are or encoded."""
    return {secret for secret in SECRETS if secret in text or quote(secret, safe="") in text}


def faults_of(case: Case, number: int) -> Iterator[str]:
    """What is wrong with what is said of the case, damaged at a number of places."""
    for place in places(case.text, number):
        for text, true in damaged(case, place):
            reading = explain(case, text, with_secret=False)
            if false := reading.proven - true:
                yield f"{case.name} at {place}: {sorted(false)} is said to be certain"
            if leaked(unquote(reading.printed)):
                yield f"{case.name} at {place}: a secret"
        with_secret = run_explain(case, case.text[:place], with_secret=True)
        printed = with_secret.stdout + with_secret.stderr
        if leaked(unquote(printed)):
            yield f"{case.name} at {place}: a secret, in words"
        if _CONTROL.search(printed):
            yield f"{case.name} at {place}: a control character"


@pytest.mark.parametrize("number", [2, pytest.param(40, marks=pytest.mark.long)])
@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_paste_shows_no_secret_and_nothing_certain_that_is_wrong(
    part: str, number: int
) -> None:
    cases = [case for case in CASES.values() if case.part == part]
    faults = [fault for case in cases for fault in faults_of(case, number)]
    assert not faults, "\n".join(faults)


def test_a_leak_is_detected() -> None:
    assert leaked(f"it is {quote(SECRETS[2], safe='')}")


def test_a_wrong_reading_is_detected() -> None:
    case = CASES["curl-head"]._replace(read=())
    said = Reading(1, "", (("wrong_method", "proved"),), "", "HEAD", frozenset())
    assert judge(case, said) == "right"
    assert judge(case, said._replace(method="GET")) == "vague"
    assert judge(case, said._replace(findings=((FINE, ""),))) == "vague"
    assert judge(case, said._replace(findings=(("expired", "likely"),))) == "wrong"
    assert judge(case, said._replace(findings=(("expired", "certain"),))) == "wrong and certain"
    second = (("wrong_method", "proved"), ("unsigned", "certain"))
    assert judge(case, said._replace(findings=second)) == "wrong and certain"
