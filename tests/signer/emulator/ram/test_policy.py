"""RAM policies: what is read, what is refused because it would not be evaluated, and access keys that have them."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer import Credentials
from signer.emulator.ram import PolicyError, Principal, parse_policy
from signer.emulator.ram.policy import matches

READ = {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:examplebucket/*"}
KEY = Credentials("STS.EXAMPLE", "secret-EXAMPLE", "CAIS+token/EXAMPLE==")
SESSION = "acs:ram::1000000000000001:assumed-role/links-signer/fc-presign-files-0a1b2c"
SMALL = st.text(alphabet="ab:/.[!]\n中", max_size=8)


def policy(**changed: Any) -> dict[str, Any]:
    """A policy of one statement, where None leaves an element out."""
    statement = {name: value for name, value in {**READ, **changed}.items() if value is not None}
    return {"Version": "1", "Statement": [statement]}


def test_what_is_not_evaluated_is_refused() -> None:
    rows: list[tuple[object, str]] = [
        ([], "policy: a policy must be a JSON object."),
        ({"Statement": [READ]}, 'policy: Version must be "1".'),
        (
            {"Version": "1", "Statement": []},
            "policy: Statement must be a list of at least one object.",
        ),
        ({"Version": "1", "Statement": [READ], "Id": "x"}, "policy: the element Id is unknown."),
        (
            {"Version": "1", "Statement": [READ, "x"]},
            "policy, statement 2: a statement must be a JSON object.",
        ),
        (policy(Effect="allow"), "Effect must be Allow or Deny."),
        (policy(Sid="x"), "the element Sid is unknown."),
        (policy(Principal="*"), "the element Principal is unknown."),
        (policy(Resource=None, NotResource="*"), "the element NotResource is unknown."),
        (policy(Action=None), "either Action or NotAction is required, not both."),
        (policy(NotAction="oss:PutObject"), "either Action or NotAction is required, not both."),
        (
            policy(Action="GetObject"),
            "Action GetObject is invalid. Use * or the form service:Action.",
        ),
        (policy(Action=[]), "Action must be a string, or a list of at least one string."),
        (policy(Resource=None), "Resource must be a string, or a list of at least one string."),
        (policy(Resource=["examplebucket/*"]), "Resource examplebucket/* is invalid."),
        (
            policy(Resource="acs:oss:*:examplebucket"),
            "Use * or the form acs:service:region:account:name.",
        ),
        (policy(Condition=[]), "Condition must be a JSON object."),
        (
            policy(Condition={"StringNotLike": {"oss:Prefix": "a"}}),
            "the operator StringNotLike is unknown.",
        ),
        (
            policy(Condition={"IpAddress": {"acs:SourceIp": "192.0.2.1"}}),
            "the operator IpAddress is unknown.",
        ),
        (
            policy(Condition={"StringLike": {"oss:Delimiter": "/"}}),
            "the condition key oss:Delimiter is unknown.",
        ),
        (
            policy(Condition={"StringLike": {"oss:prefix": "a/"}}),
            "the condition key oss:prefix is unknown.",
        ),
        (
            policy(Condition={"StringLike": {"oss:Prefix": 1}}),
            "oss:Prefix must be a string, or a list",
        ),
    ]
    for document, sentence in rows:
        with pytest.raises(PolicyError, match=re.escape(sentence)):
            parse_policy(document)


@given(pattern=st.text(alphabet="ab:/.[!]\n中*?", max_size=8), value=SMALL)
def test_only_the_two_wildcards_have_a_meaning_in_a_pattern(pattern: str, value: str) -> None:
    assert matches(pattern, value) is fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


@given(value=SMALL)
def test_a_value_matches_itself_and_each_way_to_shorten_it(value: str) -> None:
    assert matches(value, value)
    assert all(matches(f"{value[:cut]}*", value) for cut in range(len(value) + 1))
    assert not matches(f"{value}?", value)


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        (SESSION, "AssumedRoleUser", "links-signer:fc-presign-files-0a1b2c"),
        ("acs:ram::1000000000000001:user/operator", "SubUser", "operator"),
        ("acs:ram::1000000000000001:root", "Account", "1000000000000001"),
    ],
)
def test_an_arn_says_who_someone_is(arn: str, kind: str, name: str) -> None:
    principal = Principal.of(KEY, arn)
    assert (principal.type, principal.display_name) == (kind, name)


def test_an_invalid_policy_is_an_error_when_the_principal_is_made() -> None:
    with pytest.raises(PolicyError, match='role links-signer: Version must be "1"'):
        Principal.of(KEY, SESSION, None, [[{"Statement": []}]])


def test_no_secret_is_shown() -> None:
    shown = repr(Principal.of(KEY, SESSION, None, [[policy()]]))
    assert not any(secret in shown for secret in ("secret-EXAMPLE", "CAIS"))
