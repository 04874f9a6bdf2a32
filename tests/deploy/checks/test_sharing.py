"""No two functions share a name or a role."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.checks import sharing
from deploy.model import ConfiguredFunction
from tests.deploy.checks import shipped
from tests.deploy.checks.shipped import Props

OWN_ROLE = "each function needs its own, with only the rights that it needs."


def named(function: str, role: str | None = None, region: str = "cn-hangzhou") -> Props:
    """A function with a state of its own."""
    variables = {"LINK_REGION": region, "LINK_BUCKET": f"bucket-{function}-{region}".lower()}
    own = {"functionName": function, "role": role or f"{function}-role", "region": region}
    return {**shipped.web(), **own, "environmentVariables": variables}


def across(environments: Mapping[str | None, Props]) -> list[str]:
    functions = [
        shipped.configured(props, environment=name) for name, props in environments.items()
    ]
    return [
        line for line in sharing.across(functions, {"dev"}) if "have the same state" not in line
    ]


def within(functions: Mapping[str, Props]) -> list[str]:
    return list(
        sharing.within(
            [shipped.configured(props, resource=name) for name, props in functions.items()]
        )
    )


def test_two_environments_with_one_function_are_one_fault_with_or_without_the_base() -> None:
    both: dict[str | None, Props] = {"dev": named("links-http"), "prod": named("links-http")}
    sentence = "env.yaml: dev and prod deploy the same function, links-http: each needs its own functionName."
    assert across(both) == across({None: named("links-http"), **both}) == [sentence]


def test_functions_in_different_regions_may_have_one_name_but_not_one_role() -> None:
    assert (
        across({"a": named("links", "role-a"), "b": named("links", "role-b", "cn-shanghai")}) == []
    )
    assert across({"a": named("links"), "b": named("links", region="cn-shanghai")}) == [
        f"env.yaml: a and b use the same role, links-role: {OWN_ROLE}"
    ]


def test_a_role_of_two_environments_is_a_fault_by_name_or_arn_in_any_case() -> None:
    dev = named("links-http-dev", "Links")
    prod = named("links-http", "acs:ram::1000000000000001:role/links")
    sentence = f"env.yaml: dev and prod use the same role, Links: {OWN_ROLE}"
    assert (
        across({"dev": dev, "prod": prod})
        == across({None: dev, "dev": dev, "prod": prod})
        == [sentence]
    )


def test_the_functions_of_one_environment_share_neither_name_nor_role() -> None:
    assert within(shipped.functions()) == []
    functions = {
        "a": named("links", "links"),
        "b": named("links", "acs:ram::${config('AccountID')}:role/LINKS"),
    }
    assert within(functions) == [
        "functionName links is used more than once: each function needs its own.",
        f"a and b: role links is used by 2 functions: {OWN_ROLE}",
    ]


def test_what_calls_a_function_has_the_role_of_no_function() -> None:
    functions = shipped.functions()
    functions["links_events"]["triggers"][0]["invocationRole"] = (
        "acs:ram::1:role/Links-HTTP-dev-role"
    )
    assert within(functions) == [
        "links_events: trigger outbox: invocationRole Links-HTTP-dev-role is also the role of links_http: what calls "
        "the function needs its own role."
    ]


def test_what_calls_a_function_has_the_role_of_no_function_of_another_environment() -> None:
    trigger = {
        **shipped.events()["triggers"][0],
        "invocationRole": "acs:ram::1:role/Links-http-dev-ROLE",
    }
    caller = {"triggers": [trigger]}
    dev, prod = named("links-http-dev"), {**named("links-http"), **caller}
    sentence = (
        "env.yaml: {}: the invocationRole of a trigger, links-http-dev-role, is also the role of a function: what "
        "calls a function needs its own role."
    )
    assert across({"dev": dev, "prod": prod}) == [sentence.format("dev and prod")]
    assert across({None: dev, "dev": dev, "prod": prod}) == [sentence.format("dev and prod")]
    assert across({None: dev, "prod": prod}) == [sentence.format("s.yaml alone and prod")]
    # What calls two environments may have one role.
    assert across({"dev": {**named("a"), **caller}, "prod": {**named("b"), **caller}}) == []
    # `within` says it of one environment, and s.yaml alone may be dev.
    assert across({None: {**dev, **caller}, "dev": {**dev, **caller}}) == []


def with_state(environment: str | None, bucket: str) -> ConfiguredFunction:
    props = named(f"links-{environment}")
    props["environmentVariables"]["LINK_BUCKET"] = bucket
    return shipped.configured(props, environment=environment)


def test_two_environments_with_one_state_are_a_fault() -> None:
    alone, dev, prod = (with_state(name, "bucket-a") for name in (None, "dev", "prod"))
    assert list(sharing.across([dev, with_state("prod", "bucket-b")], {"dev"})) == []
    assert list(sharing.across([alone, dev], {"dev"})) == []
    assert list(sharing.across([alone, dev], ())) != []
    assert list(sharing.across([dev, prod], {"dev"})) == [
        "env.yaml: dev and prod have the same state, oss://bucket-a/.links/state/, and would send each other's "
        "notices: give each its own LINK_BUCKET."
    ]


def test_a_role_of_sessions_is_that_of_nobody_else_in_any_environment(tmp_path: Path) -> None:
    for name, is_fault in (
        ("links-signer", False),
        ("Links-HTTP-dev-role", True),
        ("links-events-dev-caller", True),
    ):
        table = f'[assume_role]\nrole = "acs:ram::1000000000000001:role/{name}"\nduration = "12h"\n'
        functions = [
            shipped.with_more(props, tmp_path, table) for props in shipped.functions().values()
        ]
        sentence = (
            f"links.toml: role {name} of [assume_role] or a mount is also the role of a function or a trigger: "
            "sessions need their own, which only the functions' roles may assume."
        )
        assert set(sharing.signers(functions)) == ({sentence} if is_fault else set())
