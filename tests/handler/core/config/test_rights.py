"""The session policy of a mount: what the function's role might do there without [assume_role], and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.core.config import Config, InvalidConfig, Location, Mount
from handler.core.config.load import read
from handler.core.config.rights import policy, session_policy, session_statements
from local.rights import role_statements, signer_statements
from signer.emulator.ram import Layers, evaluate, parse_policy

ROLE = "acs:ram::1000000000000001:role/links-signer"
OTHER_ROLE = "acs:ram::1000000000000001:role/links-archive"
KEYS, STATE = "oss://examplebucket/.links/keys.json", "oss://examplebucket/.links/state/"

DOCS: dict[str, Any] = {"path": "/docs/", "target": "oss://examplebucket/docs/"}
WHOLE: dict[str, Any] = {"path": "/all/", "target": "oss://examplebucket/"}
INBOX: dict[str, Any] = {
    "path": "/inbox/",
    "target": "oss://examplebucket/inbox/",
    "methods": ["PUT", "POST"],
    "max_size": "1MB",
    "max_share": "30d",
}
SINK = {"name": "manifest", "target": "oss://examplebucket/.links/notices/"}


def table(*mounts: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {"region": "cn-hangzhou", "mount": [dict(mount) for mount in mounts], **top}


def config(*mounts: dict[str, Any], **top: Any) -> Config:
    return read(table(*mounts, assume_role={"role": ROLE}, **top), {})


def statements(loaded: Config, path: str) -> list[dict[str, Any]]:
    """Those of the session of a mount, from the JSON that STS gets."""
    document = json.loads(session_policy(loaded, mount_at(loaded, path)))
    assert document["Version"] == "1"
    result: list[dict[str, Any]] = document["Statement"]
    return result


def lists(effect: str, *prefixes: str) -> dict[str, Any]:
    """The statement about lists of these prefixes."""
    resource = ["acs:oss:*:*:examplebucket"]
    condition = {"StringLike": {"oss:Prefix": list(prefixes)}}
    return {
        "Effect": effect,
        "Action": ["oss:ListObjects"],
        "Resource": resource,
        "Condition": condition,
    }


def mount_at(loaded: Config, path: str) -> Mount:
    return next(mount for mount in loaded.mounts if mount.path == path)


# --- the session of a mount ---------------------------------------------------------------------------------------


UPLOADED = ["oss:AbortMultipartUpload", "oss:PutObject"]


@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        ({"query": ["versionId"]}, ["oss:GetObject", "oss:GetObjectVersion"]),
        ({"methods": ["POST"], "max_size": "1MB"}, ["oss:PutObject"]),
        ({"methods": ["GET", "PUT"], "max_size": "1MB"}, sorted([*UPLOADED, "oss:GetObject"])),
    ],
)
def test_a_session_has_the_statement_that_the_role_would_have(
    changes: dict[str, Any], actions: list[str]
) -> None:
    mount = {**DOCS, **changes}
    session = statements(config(mount), "/docs/")
    assert session == [
        {"Effect": "Allow", "Action": actions, "Resource": ["acs:oss:*:*:examplebucket/docs/*"]}
    ]
    assert session == role_statements(read(table(mount), {}), web=True, events=False)


@pytest.mark.parametrize(
    ("give", "actions"),
    [("link", ["oss:GetObject", "oss:GetObjectVersion"]), ("share", ["oss:GetObject"])],
)
def test_a_session_may_read_versions_where_notices_link_to_new_objects(
    give: str, actions: list[str]
) -> None:
    notice = {"on": "created", "mount": "/docs/", "give": give, "to": ["manifest"]}
    shared = {**DOCS, "max_share": "1d"}
    top = {
        "notice": [notice],
        "sink": [SINK],
        "keys": KEYS,
        "state": STATE,
        "public_url": "https://links.example.com",
    }
    loaded = config(shared, **top)
    (allowed,) = statements(loaded, "/docs/")
    assert allowed["Action"] == actions


def test_the_session_of_an_upload_mount_may_list_its_prefix_to_count_files() -> None:
    assert statements(config(INBOX, keys=KEYS, state=STATE), "/inbox/")[1] == lists(
        "Allow", "inbox/*"
    )


@pytest.mark.parametrize("signs", [True, False], ids=["sessions", "the role"])
def test_folders_are_listed_with_the_prefix_of_their_mount_alone(signs: bool) -> None:
    mounts = ({**DOCS, "list": True}, {**DOCS, "path": "/other/", "target": "oss://otherbucket/x/"})
    loaded = read(
        table(*mounts, keys=KEYS, **({"assume_role": {"role": ROLE}} if signs else {})), {}
    )
    role = role_statements(loaded, web=True, events=False)
    allowed = statements(loaded, "/docs/") if signs else role
    assert [each for each in allowed if "oss:ListObjects" in each["Action"]] == [
        lists("Allow", "docs/*")
    ]
    if signs:
        assert "oss:ListObjects" not in str((statements(loaded, "/other/"), role))


def test_a_session_is_denied_exactly_the_services_own_objects_in_its_target() -> None:
    notice = {"on": "created", "mount": "/docs/", "to": ["manifest"]}
    loaded = config(
        DOCS, {**WHOLE, "list": True}, keys=KEYS, state=STATE, notice=[notice], sink=[SINK]
    )
    denied = [each for each in statements(loaded, "/all/") if each["Effect"] == "Deny"]
    prefixes = (".links/keys.json*", ".links/state/*", ".links/notices/*")
    objects = [f"acs:oss:*:*:examplebucket/{prefix}" for prefix in prefixes]
    assert denied == [
        {"Effect": "Deny", "Action": ["oss:*"], "Resource": objects},
        lists("Deny", *prefixes),
    ]
    assert all(each["Effect"] == "Allow" for each in statements(loaded, "/docs/"))


def test_a_wildcard_in_a_target_is_refused_because_ram_would_widen_it() -> None:
    mount = {**DOCS, "target": "oss://examplebucket/a*/"}
    assert read(table(mount), {}).mounts
    with pytest.raises(InvalidConfig, match=r"must not contain \* or \?"):
        config(mount)


# --- the function's own role --------------------------------------------------------------------------------------


def test_a_role_of_several_mounts_has_no_deny_of_one_of_them() -> None:
    """Another mount or another environment may need what one denies its sessions."""
    loaded = config(WHOLE, DOCS, keys=KEYS, state=STATE)
    assert any(
        statement["Effect"] == "Deny"
        for statement in session_statements(loaded, mount_at(loaded, "/all/"))
    )
    (needed,) = signer_statements(loaded, web=True, events=False).values()
    assert [statement["Effect"] for statement in needed] == ["Allow", "Allow"]


def test_a_function_may_assume_only_the_roles_of_the_mounts_that_it_links_to() -> None:
    notice = {"on": "created", "mount": "/docs/", "to": ["manifest"]}
    loaded = config(DOCS, {**INBOX, "role": OTHER_ROLE}, notice=[notice], sink=[SINK], state=STATE)
    (events, *_) = role_statements(loaded, web=False, events=True)
    assert events["Resource"] == [ROLE]
    (web, *_) = role_statements(loaded, web=True, events=False)
    assert web["Resource"] == [OTHER_ROLE, ROLE]


# --- the law ------------------------------------------------------------------------------------------------------

FOLDERS = ("", "a/", "a/b/", "b/", ".links/", ".links/state/", ".links/state/shares/")
BUCKETS = ("examplebucket", "otherbucket")


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """A random links.toml without [assume_role]; not all are valid."""
    mounts = []
    for number in range(draw(st.integers(1, 3))):
        methods = draw(st.lists(st.sampled_from(("GET", "PUT", "POST")), min_size=1, unique=True))
        mounts.append(
            {
                "path": f"/m{number}/",
                "target": f"oss://{draw(st.sampled_from(BUCKETS))}/{draw(st.sampled_from(FOLDERS))}",
                "methods": methods,
                "max_size": "1MB",
                "query": draw(st.sampled_from(([], ["versionId"]))),
                **({"max_share": "1d"} if draw(st.booleans()) else {}),
                "list": "GET" in methods and draw(st.booleans()),
            }
        )
    result = table(*mounts)
    if draw(st.booleans()):
        result["keys"] = draw(
            st.sampled_from((KEYS, "oss://examplebucket/a/keys.json", "oss://otherbucket/keys"))
        )
    if any("max_share" in mount for mount in mounts) or draw(st.booleans()):
        result["state"] = draw(
            st.sampled_from((STATE, "oss://examplebucket/a/s/", "oss://otherbucket/b/"))
        )
    if draw(st.booleans()):
        result["sink"] = [
            {
                "name": "manifest",
                "target": draw(st.sampled_from((SINK["target"], "oss://otherbucket/n/"))),
            }
        ]
        notice = {
            "on": draw(st.sampled_from(("created", "message"))),
            "mount": "/m0/",
            "to": ["manifest"],
        }
        result["notice"] = [{**notice, "give": "link"}]
    return result


def pairs() -> st.SearchStrategy[tuple[Config, Config]]:
    """A configuration with [assume_role], and the same without."""

    def both(drawn: dict[str, Any]) -> tuple[Config, Config] | None:
        try:
            return read({**drawn, "assume_role": {"role": ROLE}}, {}), read(drawn, {})
        except InvalidConfig:
            return None

    return tables().map(both).filter(lambda pair: pair is not None)  # type: ignore[return-value]


def requests(loaded: Config) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Actions, on objects inside and beside of every location, and lists of them."""
    folders = {
        *FOLDERS,
        *(mount.target.key for mount in loaded.mounts),
        *(place.key for place in loaded.mounts.reserved),
    }
    for bucket in BUCKETS:
        for folder in sorted(folders):
            for key in (f"{folder}x", f"{folder}.lock"):
                arn = f"acs:oss:oss-cn-hangzhou:1000000000000001:{bucket}/{key}"
                for action in (
                    "GetObject",
                    "GetObjectVersion",
                    "PutObject",
                    "AbortMultipartUpload",
                    "DeleteObject",
                ):
                    yield f"oss:{action}", arn, {}
            yield (
                "oss:ListObjects",
                f"acs:oss:oss-cn-hangzhou:1000000000000001:{bucket}",
                {"oss:Prefix": folder},
            )


def is_reserved(loaded: Config, arn: str, context: dict[str, str]) -> bool:
    bucket, _, key = arn.rpartition(":")[2].partition("/")
    return loaded.mounts.is_reserved(bucket, key or context["oss:Prefix"])


@settings(max_examples=30)
@given(pairs())
def test_a_session_may_do_no_more_than_the_role_could_and_nothing_to_the_services_own_objects(
    pair: tuple[Config, Config],
) -> None:
    loaded, without = pair
    role: Layers = ((parse_policy(policy(role_statements(without, web=True, events=True))),),)
    own: Layers = ((parse_policy(policy(role_statements(loaded, web=True, events=True))),),)
    assert loaded.mounts.reserved == without.mounts.reserved
    for mount in loaded.mounts:
        session: Layers = ((parse_policy(policy(session_statements(loaded, mount))),),)
        useful = False
        for action, arn, context in requests(loaded):
            if not evaluate(session, action, arn, context).allowed:
                continue
            assert evaluate(role, action, arn, context).allowed, (mount, action, arn, context)
            assert not is_reserved(loaded, arn, context), (mount, action, arn, context)
            bucket, _, key = arn.rpartition(":")[2].partition("/")
            assert mount.target.contains(Location(bucket, key or context["oss:Prefix"]))
            useful = True
        inside = any(place.contains(mount.target) for place in loaded.mounts.reserved)
        assert useful is not inside
    for action, arn, context in requests(loaded):
        # What the function's role still may do concerns the service's own objects alone, or it is another's right.
        if evaluate(own, action, arn, context).allowed:
            assert is_reserved(loaded, arn, context), (action, arn, context)
