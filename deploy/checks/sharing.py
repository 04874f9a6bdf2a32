"""Checks that no two functions share a name, a role or a state, in one environment or in several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from local.fc import functions as fc

from ..model import ConfiguredFunction
from .names import role_name

_Key = TypeVar("_Key", bound=Hashable)
_OWN_ROLE = "each function needs its own, with only the rights that it needs."


def within(functions: Sequence[ConfiguredFunction]) -> Iterator[str]:
    """A sentence for each name and role that is used twice by functions that are all deployed."""
    for (_, name), count in Counter(map(_identity, functions)).items():
        if count > 1:
            yield f"functionName {name} is used more than once: each function needs its own."
    owners = _by(functions, lambda configured: [_role(configured.function.role)])
    for users in owners.values():
        if len(users) > 1:
            names = " and ".join(user.function.resource for user in users)
            yield f"{names}: role {role_name(users[0].function.role)} is used by {len(users)} functions: {_OWN_ROLE}"
    for configured in functions:
        for trigger in configured.function.triggers:
            if owner := owners.get(_role(trigger.caller), []):
                names = " and ".join(user.function.resource for user in owner)
                problem = f"invocationRole {role_name(trigger.caller)} is also the role of {names}"
                where = f"{configured.function.resource}: trigger {trigger.name}"
                yield f"{where}: {problem}: what calls the function needs its own role."


def across(functions: Sequence[ConfiguredFunction], testing: Collection[str]) -> Iterator[str]:
    """A sentence for each name, role and state that two environments share, of all of which these are the functions.

    s.yaml alone, which s also deploys with a misspelt environment, may share them with those in `testing`.
    """
    for (_, name), users in _by(functions, lambda configured: [_identity(configured)]).items():
        sharing = _sharing(users, testing)
        if None in sharing:
            yield (
                f"s.yaml alone deploys {name}, as {sharing[1]} does, whose type is not testing: s deploy without "
                "--env, or with a misspelt one, would overwrite it. Make s.yaml dev, or use a name that nobody uses."
            )
        elif sharing:
            yield f"env.yaml: {_join(sharing)} deploy the same function, {name}: each needs its own functionName."
    domains = _by(
        (each for each in functions if each.function.domain),
        lambda configured: [configured.function.domain and configured.function.domain.name],
    )
    for domain, users in domains.items():
        if sharing := _sharing(users, testing):
            problem = "s deploy does not move a domain from one function to another"
            yield f"env.yaml: {_join(sharing)} have the same customDomain, {domain}: {problem}, so each needs its own."
    yield from package(each.function for each in functions)
    roles = _by(functions, lambda configured: [_role(configured.function.role)])
    for users in roles.values():
        sharing = _sharing(users, testing)
        users = [user for user in users if user.environment_name in sharing]
        if len(set(map(_identity, users))) > 1:
            yield f"env.yaml: {_join(sharing)} use the same role, {role_name(users[0].function.role)}: {_OWN_ROLE}"
    callers = _by(
        functions,
        lambda configured: [_role(trigger.caller) for trigger in configured.function.triggers],
    )
    for role, users in callers.items():
        sharing = _sharing((*roles[role], *users), testing) if role in roles else []
        if sharing:
            problem = f"the invocationRole of a trigger, {role}, is also the role of a function"
            yield f"env.yaml: {_join(sharing)}: {problem}: what calls a function needs its own role."
    for location, users in _by(functions, lambda configured: [configured.config.state]).items():
        if sharing := _sharing(users, testing):
            problem = f"have the same state, {location}, and would send each other's notices"
            yield f"env.yaml: {_join(sharing)} {problem}: give each its own LINK_BUCKET."


def package(functions: Iterable[fc.Function]) -> Iterator[str]:
    """A sentence unless all are of one runtime and one folder, as the build makes it."""
    runtimes = set()
    folders = set()
    for function in functions:
        runtimes.add(function.runtime)
        folders.add(function.package)
    for name, values in (("runtime", runtimes), ("code", folders)):
        if len(values) > 1:
            yield f"{name} must be the same in all functions: they share one package (got {', '.join(sorted(values))})."


def signers(functions: Sequence[ConfiguredFunction]) -> Iterator[str]:
    """A sentence for each role of `[assume_role]` that is also that of a function or a trigger, in any environment."""
    owned = {
        _role(role)
        for each in functions
        for role in (each.function.role, *(trigger.caller for trigger in each.function.triggers))
    }
    for configured in functions:
        for arn in configured.signer_arns:
            if _role(arn) in owned:
                yield (
                    f"{configured.file}: role {role_name(arn)} of [assume_role] or a mount is also the role of a "
                    "function or a trigger: sessions need their own, which only the functions' roles may assume."
                )


def _by(
    functions: Iterable[ConfiguredFunction],
    keys: Callable[[ConfiguredFunction], Iterable[_Key | None]],
) -> Mapping[_Key, list[ConfiguredFunction]]:
    """The functions by what each uses, which may be nothing."""
    users: dict[_Key, list[ConfiguredFunction]] = {}
    for configured in functions:
        for key in keys(configured):
            if key:
                users.setdefault(key, []).append(configured)
    return users


def _sharing(users: Iterable[ConfiguredFunction], testing: Collection[str]) -> list[str | None]:
    """Those of their environments that must not use the same thing."""
    distinct = list(dict.fromkeys(user.environment_name for user in users))
    named = [name for name in distinct if name is not None]
    if len(named) > 1:
        return [*named]
    return [None, *named] if None in distinct and set(named) - set(testing) else []


def _join(environments: Iterable[str | None]) -> str:
    return " and ".join(name or "s.yaml alone" for name in environments)


def _identity(configured: ConfiguredFunction) -> tuple[str, str]:
    """Functions in different regions may have one name."""
    return configured.function.region, configured.function.name


def _role(value: str) -> str:
    """RAM does not distinguish capital letters in the names of roles."""
    return role_name(value).lower()
