"""Whether policies allow a request: Deny first, then every layer must allow it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.emulator.ram import Decision, Layers, Policy, evaluate, parse_policy

ARN = "acs:oss:cn-hangzhou:1000000000000001:examplebucket"
OBJECT = f"{ARN}/exampledir/object.txt"
ACTIONS = ("oss:GetObject", "oss:PutObject", "oss:ListObjects")
RESOURCES = (ARN, OBJECT, f"{ARN}/secret")


def statement(effect: str, action: Any, resource: Any, **prefix: Any) -> dict[str, Any]:
    """`StringLike=…` and `StringEquals=…` are conditions on oss:Prefix."""
    condition = (
        {"Condition": {name: {"oss:Prefix": value} for name, value in prefix.items()}}
        if prefix
        else {}
    )
    return {"Effect": effect, "Action": action, "Resource": resource, **condition}


def policy(*statements: dict[str, Any], name: str = "policy") -> Policy:
    return parse_policy({"Version": "1", "Statement": list(statements)}, name)


READS = policy(statement("Allow", "oss:Get*", f"{ARN}/*"), name="role links")
DIRECTORY = policy(statement("Allow", "*", f"{ARN}/exampledir/*"), name="session")


def test_every_layer_must_allow_a_request() -> None:
    rows: list[tuple[Layers, str, str, str, int]] = [
        ((), "oss:DeleteBucket", ARN, "allowed", 0),
        (((),), "oss:GetObject", OBJECT, "implicit_deny", 0),
        (((READS,),), "oss:GetObject", OBJECT, "allowed", 0),
        (((READS,),), "OSS:getobject", OBJECT, "allowed", 0),
        (((READS,),), "oss:PutObject", OBJECT, "implicit_deny", 0),
        (((READS,),), "oss:GetObject", ARN.replace("example", "other") + "/a", "implicit_deny", 0),
        (((READS,), (DIRECTORY,)), "oss:GetObject", OBJECT, "allowed", 0),
        (((READS,), (DIRECTORY,)), "oss:GetObject", f"{ARN}/otherdir/a", "session_policy", 1),
        (((READS,), (DIRECTORY,)), "oss:PutObject", OBJECT, "implicit_deny", 0),
        (((READS,), ()), "oss:GetObject", OBJECT, "session_policy", 1),
    ]
    for layers, action, resource, kind, layer in rows:
        decision = evaluate(layers, action, resource)
        assert (decision.kind, decision.layer, decision.allowed) == (kind, layer, kind == "allowed")


@pytest.mark.parametrize("denying", [0, 1])
def test_an_explicit_deny_wins_in_any_layer(denying: int) -> None:
    deny = policy(statement("Deny", "oss:GetObject", f"{ARN}/exampledir/keys.json"))
    layers = [[READS], [DIRECTORY]]
    layers[denying].append(deny)
    frozen: Layers = tuple(tuple(layer) for layer in layers)
    assert evaluate(frozen, "oss:GetObject", f"{ARN}/exampledir/keys.json") == Decision(
        "explicit_deny", denying
    )
    assert evaluate(frozen, "oss:GetObject", OBJECT).allowed


@pytest.mark.parametrize(
    ("conditions", "context", "allowed"),
    [
        ({"StringLike": "exampledir/*"}, {"oss:Prefix": "exampledir/2026/"}, True),
        ({"StringLike": ["a/*", "exampledir/*"]}, {"oss:Prefix": "exampledir/"}, True),
        ({"StringLike": "exampledir/*"}, {"oss:Prefix": "exampledir"}, False),
        ({"StringLike": "exampledir/*"}, {"oss:Prefix": ""}, False),
        ({"StringLike": "*"}, {"oss:Prefix": ""}, True),
        ({"StringLike": "*"}, {}, False),
        ({"StringEquals": ["", "exampledir/"]}, {"oss:Prefix": ""}, True),
        ({"StringEquals": "exampledir/*"}, {"oss:Prefix": "exampledir/a"}, False),
        ({"StringLike": "a*", "StringEquals": "ab"}, {"oss:Prefix": "ac"}, False),
    ],
)
def test_a_list_is_allowed_for_its_prefixes(
    conditions: Any, context: dict[str, str], allowed: bool
) -> None:
    lists = policy(statement("Allow", "oss:ListObjects", "acs:oss:*:*:examplebucket", **conditions))
    assert evaluate(((lists,),), "oss:ListObjects", ARN, context).allowed is allowed


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", True),
        ("acs:oss:*:*:*", True),
        ("acs:oss:cn-*:1000000000000001:examplebucket/exampledir/object.t?t", True),
        ("acs:oss:cn-shanghai:*:examplebucket/*", False),
        ("acs:oss:*:2000000000000002:examplebucket/*", False),
        ("acs:oss:*:*:examplebucket", False),
        ("acs:oss:*:*:examplebucket/Exampledir/*", False),
        # Over the complete string the first * would reach to the last colon.
        ("acs:*:*:examplebucket/exampledir/object.txt:*", False),
    ],
)
def test_a_resource_is_compared_part_by_part(pattern: str, matches: bool) -> None:
    assert (
        evaluate(
            ((policy(statement("Allow", "oss:*", pattern)),),), "oss:GetObject", OBJECT
        ).allowed
        is matches
    )


def statements(effects: tuple[str, ...] = ("Allow", "Deny")) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        statement,
        st.sampled_from(effects),
        st.sampled_from([*ACTIONS, "oss:*", "*", "oss:?etObject"]),
        st.sampled_from([*RESOURCES, "*", f"{ARN}/*", "acs:oss:*:*:examplebucket*"]),
    )


POLICIES = st.lists(statements(), min_size=1, max_size=3).map(lambda listed: policy(*listed))
LAYERS = st.lists(st.lists(POLICIES, max_size=2).map(tuple), max_size=3).map(tuple)
REQUESTS = [(action, resource) for action in ACTIONS for resource in RESOURCES]


def allowed(layers: Layers) -> set[tuple[str, str]]:
    return {request for request in REQUESTS if evaluate(layers, *request).allowed}


@given(layers=LAYERS, deny=statements(("Deny",)), data=st.data())
def test_another_deny_never_allows_more(
    layers: Layers, deny: dict[str, Any], data: st.DataObject
) -> None:
    changed = [*layers, ()] if not layers else list(layers)
    number = data.draw(st.integers(0, len(changed) - 1))
    changed[number] = (*changed[number], policy(deny))
    assert allowed(tuple(changed)) <= allowed(layers)


@given(layers=LAYERS, layer=st.lists(POLICIES, max_size=2).map(tuple), data=st.data())
def test_another_layer_never_allows_more(
    layers: Layers, layer: tuple[Policy, ...], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(layers)))
    assert allowed((*layers[:number], layer, *layers[number:])) <= allowed(layers)
