"""What may be wrong with a link: an entry for each finding, from causes.en.ini, in Chinese from causes.zh.ini.

Every set that names findings is derived from the entries, by `at_stage` and `with_trait`.
"""

from __future__ import annotations

import re
from collections import Counter
from configparser import ConfigParser
from pathlib import Path
from typing import Literal, NamedTuple, get_args

# Where a request fails: causes.en.ini says what each means.
Stage = Literal[
    "damage",
    "form",
    "before signature",
    "credentials",
    "signature",
    "after signature",
    "service",
    "elsewhere",
    "cdn",
]
Trait = Literal[
    "breaks signature",  # the signature is wrong with it, though its stage is another
    "explains mismatch",  # where it holds, a signature that does not match needs no other reason
    "survives right signature",  # it may hold where the signature is right: clients change the link later
    "incomplete",  # the link has no complete signature
    "readable",  # OSS can read a link that has it
    "said of unreadable links",  # of one that OSS cannot read: what the link shows is more exact
    "said of damaged links",  # of one that lost its signature or its token
    "one of several",  # where OSS says it, the rest of what the link shows stays as certain as it was
    "header",  # it is about a header, which may have been signed with another value
    "often harmless",  # most clients undo it, so it comes last among equals
]
STAGES: tuple[Stage, ...] = get_args(Stage)
TRAITS: tuple[Trait, ...] = get_args(Trait)
# A status, a code of OSS or what a CDN says, and the message where it is known.
_ERROR = re.compile(r"[1-5][0-9]{2} [A-Za-z-]+(?:: .+)?")
_REQUIRED = {"stage", "title", "advice", "why"}
_WORDS = {"title", "advice", "why", "more", "seen"}
_KEYS = _REQUIRED | _WORDS | {"traits", "codes", "pattern", "errors", "like", "near", "example"}


class Cause(NamedTuple):
    """The entry of a finding; its members are the keys that causes.en.ini explains.

    `example` is JSON, and `language` that of all the words.
    """

    code: str
    stage: str
    traits: tuple[str, ...]
    codes: tuple[str, ...]
    pattern: str
    errors: tuple[str, ...]
    like: tuple[str, ...]
    near: tuple[str, ...]
    example: str
    title: str
    advice: str
    why: str
    more: str = ""
    seen: str = ""
    language: str = "en"


def read_causes(text: str) -> dict[str, Cause]:
    """The entries of causes.en.ini, by code. Raises `ValueError` for one that is not complete."""
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    causes = {}
    for code in parser.sections():
        entry = dict(parser[code])
        if missing := sorted(name for name in _REQUIRED if not entry.get(name)):
            raise ValueError(f"causes.en.ini: [{code}] requires {', '.join(missing)}.")
        _check_keys("causes.en.ini", code, entry.keys() - _KEYS)
        traits = _items(entry.get("traits", ""))
        if entry["stage"] not in STAGES:
            raise ValueError(f"causes.en.ini: the stage of [{code}] must be one of {STAGES}.")
        if unknown := sorted(set(traits).difference(TRAITS)):
            raise ValueError(f"causes.en.ini: [{code}] has unknown traits: {', '.join(unknown)}.")
        errors = tuple(entry.get("errors", "").splitlines())
        for line in errors:
            if not _ERROR.fullmatch(line):
                expected = "expected status, code and, after a colon, the message"
                raise ValueError(f"causes.en.ini: [{code}] errors: {expected}, not {line!r}.")
        causes[code] = Cause(
            code=code,
            stage=entry["stage"],
            traits=traits,
            codes=_items(entry.get("codes", "")),
            pattern=entry.get("pattern", ""),
            errors=errors,
            like=_items(entry.get("like", "")),
            near=_items(entry.get("near", "")),
            example=entry.get("example", "{}"),
            **_words(entry),
        )
    _check_codes(causes)
    return causes


def _check_codes(causes: dict[str, Cause]) -> None:
    """Each code stands for one finding. Raises `ValueError`."""
    counts = Counter(code for cause in causes.values() for code in cause.codes)
    if repeated := [code for code, count in counts.items() if count > 1]:
        owners = [cause.code for cause in causes.values() if repeated[0] in cause.codes]
        raise ValueError(f"causes.en.ini: {repeated[0]} stands twice, in {', '.join(owners)}.")


def translate(causes: dict[str, Cause], text: str, language: str) -> dict[str, Cause]:
    """The causes in another language; an English word stands in for a missing one, and `language` is then "en"."""
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    if unknown := sorted(set(parser.sections()).difference(causes)):
        raise ValueError(f"causes.{language}.ini: no such finding: {', '.join(unknown)}.")
    translated = {}
    for code, cause in causes.items():
        entry = dict(parser[code]) if code in parser else {}
        _check_keys(f"causes.{language}.ini", code, entry.keys() - _WORDS)
        is_complete = all(entry.get(name) for name in _WORDS if getattr(cause, name))
        words = {**cause._asdict(), **_words(entry)}
        translated[code] = Cause(**{**words, "language": language if is_complete else "en"})
    return translated


def causes_in(language: str) -> dict[str, Cause]:
    """The causes with their words in "en" or "zh"."""
    if language == "en":
        return CAUSES
    return translate(CAUSES, _read(f"causes.{language}.ini"), language)


def at_stage(stage: Stage) -> frozenset[str]:
    """The codes of the findings at a stage."""
    return frozenset(code for code, cause in CAUSES.items() if cause.stage == stage)


def with_trait(trait: Trait) -> frozenset[str]:
    """The codes of the findings that have a trait."""
    return frozenset(code for code, cause in CAUSES.items() if trait in cause.traits)


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _check_keys(name: str, code: str, unknown: set[str]) -> None:
    if unknown:
        raise ValueError(f"{name}: [{code}] has unknown keys: {', '.join(sorted(unknown))}.")


def _items(line: str) -> tuple[str, ...]:
    return tuple(filter(None, (item.strip() for item in line.split(","))))


def _words(entry: dict[str, str]) -> dict[str, str]:
    return {name: entry[name].replace("\n", " ") for name in _WORDS & entry.keys()}


CAUSES = read_causes(_read("causes.en.ini"))
# OSS's codes, its finer codes (EC) and what a CDN says, each with its finding.
FINDING_BY_CODE = {code: cause.code for cause in CAUSES.values() for code in cause.codes}
FINDING_BY_PATTERN = {cause.pattern: cause.code for cause in CAUSES.values() if cause.pattern}
# OSS's own errors: a finding, its code, its message.
_ERRORS = [
    (cause.code, *error.split(" ", 1)[1].partition(": ")[::2])
    for cause in CAUSES.values()
    for error in cause.errors
]
CODE_BY_MESSAGE = {
    message.lower().rstrip("."): code
    for _, code, message in _ERRORS
    if message and "Tengine" not in code
}
# The codes that an EC of a finding comes with: another service may have the same EC.
_OF_MANY = {"AuthorizationQueryParametersError", "InvalidArgument"}
_OF_ONE = {"missing_token"}  # whose code is one that OSS gives no other EC of a request's form
CODES_BY_FINDING = {
    cause.code: {"", *cause.codes, "AccessDenied" if cause.stage in ("damage", "form") else ""}
    | (set() if cause.code in _OF_ONE else _OF_MANY)
    | {code for finding, code, _ in _ERRORS if finding in (cause.code, *cause.like)}
    for cause in CAUSES.values()
}
# These make a signature wrong, so none of them holds where OSS, or the secret, says that it is right.
SIGNATURE_CODES = at_stage("signature") | with_trait("breaks signature")
