"""Checks that no two functions share a name or a role, in one environment or in several."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from handler.config import Location

from .functions import Props, repeated
from .links_toml import Reader, signer_arns
from .names import role_name

# The functions of each environment; None is s.yaml alone, which s also deploys with a misspelt --env.
Environments = Mapping["str | None", Mapping[str, Props]]

_OWN_ROLE = "each function needs its own, with only the rights that it needs."


def within(functions: Mapping[str, Props]) -> Iterator[str]:
    """A sentence for each name and role that is used twice in one environment. `functions` are by resource."""
    for function in repeated(map(_identity, functions.values())):
        yield f"functionName {function[1]} is used more than once: each function needs its own."
    owners: dict[str, list[str]] = {}
    for resource, props in functions.items():
        if props.get("role"):
            owners.setdefault(_role(props["role"]), []).append(resource)
    for resources in owners.values():
        if len(resources) > 1:
            role = role_name(functions[resources[0]]["role"])
            yield f"{' and '.join(resources)}: role {role} is used by {len(resources)} functions: {_OWN_ROLE}"
    for resource, props in functions.items():
        for trigger in props.get("triggers") or []:
            owner = owners.get(_role(trigger.get("invocationRole")), [])
            if owner:
                role = role_name(trigger["invocationRole"])
                yield (
                    f"{resource}: trigger {trigger['triggerName']}: invocationRole {role} is also the role of "
                    f"{' and '.join(owner)}: what calls the function needs its own role."
                )


def across(environments: Environments, testing: Collection[str]) -> Iterator[str]:
    """A sentence for each name and role that two environments share.

    s.yaml alone may share them with those in `testing`.
    """
    names: dict[tuple[str, str], list[str | None]] = {}
    roles: dict[str, list[tuple[str | None, Props]]] = {}
    callers: dict[str, list[str | None]] = {}
    for environment, functions in environments.items():
        for props in functions.values():
            names.setdefault(_identity(props), []).append(environment)
            if props.get("role"):
                roles.setdefault(_role(props["role"]), []).append((environment, props))
            for trigger in props.get("triggers") or []:
                if trigger.get("invocationRole"):
                    callers.setdefault(_role(trigger["invocationRole"]), []).append(environment)
    for (_, function), users in names.items():
        sharing = _sharing(users, testing)
        if None in sharing:
            yield (
                f"s.yaml alone deploys {function}, as {sharing[1]} does, whose type is not testing: s deploy without "
                "--env, or with a misspelt one, would overwrite it. Make s.yaml dev, or use a name that nobody uses."
            )
        elif sharing:
            yield f"env.yaml: {_join(sharing)} deploy the same function, {function}: each needs its own functionName."
    for uses in roles.values():
        sharing = _sharing((environment for environment, _ in uses), testing)
        users_of_role = [props for environment, props in uses if environment in sharing]
        if len(set(map(_identity, users_of_role))) > 1:
            yield f"env.yaml: {_join(sharing)} use the same role, {role_name(users_of_role[0]['role'])}: {_OWN_ROLE}"
    for role, users in callers.items():
        owners = [environment for environment, _ in roles.get(role, [])]
        sharing = _sharing((*owners, *users), testing) if owners else []
        if sharing:
            yield (
                f"env.yaml: {_join(sharing)}: the invocationRole of a trigger, {role}, is also the role of a function: "
                "what calls a function needs its own role."
            )


def state(readers: Mapping[str | None, Iterable[Reader]], testing: Collection[str]) -> Iterator[str]:
    """A sentence for each state prefix that two environments would write to, as `across`."""
    users: dict[Location, list[str | None]] = {}
    for environment, environment_readers in readers.items():
        for reader in environment_readers:
            if reader.links.state is not None:
                users.setdefault(reader.links.state, []).append(environment)
    for location, environments in users.items():
        sharing = _sharing(environments, testing)
        if sharing:
            yield (
                f"env.yaml: {_join(sharing)} have the same state, {location}, and would send each other's notices: "
                "give each its own LINK_BUCKET."
            )


def signers(readers: Iterable[Reader]) -> Iterator[str]:
    """A sentence for each role of `[assume_role]` that is also that of a function or a trigger, in any environment."""
    listed = list(readers)
    owned = {
        _role(role)
        for reader in listed
        for role in (
            reader.props.get("role"),
            *(trigger.get("invocationRole") for trigger in reader.props.get("triggers") or []),
        )
    }
    for reader in listed:
        for arn in signer_arns(reader.links):
            if _role(arn) in owned:
                yield (
                    f"{reader.file}: role {role_name(arn)} of [assume_role] or a mount is also the role of a function "
                    "or a trigger: sessions need their own, which only the functions' roles may assume."
                )


def _sharing(users: Iterable[str | None], testing: Collection[str]) -> list[str | None]:
    """Those of the environments that must not use the same thing."""
    distinct = list(dict.fromkeys(users))
    named = [name for name in distinct if name is not None]
    if len(named) > 1:
        return [*named]
    return [None, *named] if None in distinct and set(named) - set(testing) else []


def _join(environments: Iterable[str | None]) -> str:
    return " and ".join(name or "s.yaml alone" for name in environments)


def _identity(props: Props) -> tuple[str, str]:
    """Functions in different regions may have one name."""
    return props["region"], props["functionName"]


def _role(value: object) -> str:
    """RAM does not distinguish capital letters in the names of roles."""
    return role_name(value).lower()
