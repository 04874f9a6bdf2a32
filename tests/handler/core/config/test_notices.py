"""`[[notice]]` and `[[sink]]` of links.toml: what is valid, and what stops the function when it starts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from handler.core.config import Config, InvalidConfig, Location, OssSink
from handler.core.config.notices import NOTICE_KEYS, SINK_KEYS
from tests.handler.client import make_config
from tests.handler.notice_fixtures import HEAD

TOP = HEAD.replace(
    "[[sink]]",
    """[[mount]]
path = "/in/"
target = "oss://examplebucket/in/"
methods = ["PUT"]
max_size = "5MB"
max_share = "30d"

[[mount]]
path = "/everything/"
target = "oss://examplebucket/"

[[sink]]""",
)


def notice(**changes: Any) -> str:
    """A notice's table; None leaves a key out."""
    table = {"on": "created", "mount": "/outbox/", "to": ["ops"], **changes}
    lines = [
        f"{name} = {value if isinstance(value, list) else repr(value)}".replace("True", "true")
        for name, value in table.items()
        if value is not None
    ]
    return "\n[[notice]]\n" + "\n".join(lines) + "\n"


def config_with(*notices: str, top: str = TOP) -> Config:
    return make_config(top + "".join(notices))


def refusal(*notices: str, top: str = TOP) -> str:
    with pytest.raises(InvalidConfig) as raised:
        config_with(*notices, top=top)
    return raised.value.sentence


def test_every_key_of_a_notice_is_read() -> None:
    config = config_with(
        notice(on="created", give="share", expires="7d", every="5m", to=["ops", "chat"])
    )
    (rule,) = config.notices
    assert rule.mount.path == "/outbox/"
    assert rule[0::2] == ("created", "share", 300)
    assert (rule.expires, rule.to) == (604_800, ("ops", "chat"))
    assert config.sinks == (OssSink("manifest", Location("examplebucket", ".links/notices/")),)


def test_absent_keys_of_a_notice_have_their_defaults_and_the_targets_of_sinks_are_reserved() -> (
    None
):
    config = config_with(notice())
    assert config.notices[0][2:5] == ("link", None, None)
    assert config.mounts.is_reserved("examplebucket", ".links/notices/2026/03/01/x.jsonl")
    assert not config.mounts.is_reserved("examplebucket", ".links/other")
    assert make_config(TOP.partition("[[sink]]")[0]).notices == ()


def test_a_misspelt_key_is_refused() -> None:
    for name in NOTICE_KEYS:
        assert f"unknown key '{name}s' (did you mean '{name}'?)" in refusal(
            notice(**{f"{name}s": "x"})
        )
    before, header, table = TOP.partition("[[sink]]")
    for name in SINK_KEYS:
        sink = header + table.replace(name, f"{name}s", 1)
        assert f"sink 1: unknown key '{name}s' (did you mean '{name}'?)" in refusal(
            top=before + sink
        )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"on": None}, "notice 1: on is required"),
        (
            {"on": "deleted"},
            "on must be one of created, timer, message, opened, used (got 'deleted')",
        ),
        ({"mount": None}, "mount is required"),
        (
            {"mount": "/nowhere/"},
            "mount must be the path of a mount: /exampledir/, /everything/, /outbox/, /in/ (got '/nowhere/')",
        ),
        (
            {"mount": "/in/"},
            "mount must be a mount with GET, which the link of a notice requires (got '/in/')",
        ),
        ({"to": None}, "to must be a list of at least one string"),
        ({"to": ["ops", "ops"]}, "to must not contain the same value twice (got ['ops', 'ops'])"),
        ({"to": "ops"}, "to must be a list (got 'ops')"),
        (
            {"to": ["https://hooks.example.com/x"]},
            "to must be a list of names of sinks (got ['https://hooks.example.com/x'])",
        ),
        ({"give": "file"}, "give must be link or share (got 'file')"),
        (
            {"give": "share", "mount": "/exampledir/"},
            'give = "share" requires max_share on the mount',
        ),
        (
            {"give": "share", "expires": "31d"},
            "expires must be a duration from 60 to 2592000 seconds",
        ),
        ({"expires": "2h"}, "expires must be a duration from 60 to 3600 seconds"),
        (
            {"every": "30s"},
            "every must be a duration from 60 to 86400 seconds, such as 90, 15m, 2h or 1d (got '30s')",
        ),
        ({"every": "1m", "to": ["ops", "manifest"]}, "every is not allowed with a [[sink]]"),
        (
            {"on": "opened", "give": "link"},
            'give is not allowed with on = "opened": no link is made',
        ),
        (
            {"on": "used", "expires": "1h"},
            'expires is not allowed with on = "used": no link is made',
        ),
        (
            {"on": "used", "mount": "/exampledir/"},
            "mount must be a mount with max_share, which has shares",
        ),
        (
            {"on": "used", "mount": "/in/"},
            "mount must be a mount with GET, whose files are opened: use created on /everything/ (got '/in/')",
        ),
        (
            {"on": "opened", "to": ["ops", "manifest"]},
            'to must not name a [[sink]] with on = "opened"',
        ),
    ],
)
def test_an_invalid_notice_is_refused(changes: dict[str, Any], says: str) -> None:
    assert says in refusal(notice(**changes))


@pytest.mark.parametrize("on", ["opened", "used"])
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("in/", "/received/"),
        ("in/ann/", "a mount with GET and the target oss://examplebucket/in/"),
    ],
)
def test_of_uploads_no_use_is_notified_but_the_files_where_they_are_read(
    on: str, path: str, place: str
) -> None:
    received = f'path = "/received/"\ntarget = "oss://examplebucket/{path}"'
    top = TOP.replace('path = "/everything/"\ntarget = "oss://examplebucket/"', received)
    assert f"use created on {place} (got '/in/')" in refusal(notice(on=on, mount="/in/"), top=top)


@pytest.mark.parametrize(
    ("line", "changes", "says"),
    [
        ("public_url", {"give": "share"}, 'give = "share" requires public_url'),
        ("keys", {"give": "share"}, 'give = "share" requires keys'),
        (
            "keys",
            {},
            "to names 'ops', which is not a [[sink]]; sinks of the keys document require keys",
        ),
        ("state", {}, "to names 'ops', which requires state: it records which notices were sent"),
    ],
)
def test_what_a_notice_requires_must_be_configured(
    line: str, changes: dict[str, Any], says: str
) -> None:
    without = re.sub(rf"(?m)^{line} = .*\n", "", TOP)
    assert says in refusal(notice(**changes), top=without)


def test_a_notice_gives_no_share_where_each_needs_a_code() -> None:
    locked = TOP.replace("\nmax_share", "\nrequire_password = true\nmax_share")
    assert 'give = "share" is not possible for a mount with require_password' in refusal(
        notice(give="share"), top=locked
    )
    assert config_with(notice(), top=locked).notices


def test_an_oss_sink_requires_neither_keys_nor_state() -> None:
    bare = re.sub(r"(?m)^(keys|state|public_url|max_share) = .*\n", "", TOP)
    assert config_with(notice(to=["manifest"]), top=bare).notices[0].to == ("manifest",)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("oss://examplebucket/", "target must have a prefix"),
        ("oss://examplebucket/x", "target must end in /"),
        ("https://examplebucket/x/", "target: Invalid address 'https://examplebucket/x/'"),
        ("oss://examplebucket/.links/", "target overlaps oss://examplebucket/.links/keys.json"),
        (
            "oss://examplebucket/.links/state/x/",
            "target overlaps oss://examplebucket/.links/state/",
        ),
    ],
)
def test_a_sink_requires_a_prefix_of_its_own(target: str, says: str) -> None:
    assert says in refusal(top=TOP.replace("oss://examplebucket/.links/notices/", target))


def test_an_invalid_name_of_a_sink_or_that_of_another_is_refused() -> None:
    for name in ("", "two words"):
        assert "name" in refusal(top=TOP.replace('"manifest"', f'"{name}"'))
    sink = '\n[[sink]]\nname = "manifest"\ntarget = "oss://examplebucket/.links/more/"\n'
    assert "sink 2: name must be different for each sink (got 'manifest')" in refusal(
        top=TOP + sink
    )


def test_two_notices_must_differ_in_more_than_their_sinks() -> None:
    assert refusal(notice(), notice(give="share"), notice(to=["chat"])) == (
        "notice 3: to is the only difference from notice 1: add these sinks to that notice."
    )
    assert len(config_with(notice(), notice(to=["chat"], every="1m")).notices) == 2


REPEATS: dict[str, dict[str, str]] = {
    "nothing": {},
    "every": {"every": "1d"},
    "expires": {"expires": "5m"},
    "both": {"every": "1h", "expires": "5m"},
}


@pytest.mark.parametrize("changes", REPEATS.values(), ids=REPEATS)
def test_two_notices_of_one_sink_must_differ_in_what_their_ids_contain(
    changes: dict[str, str],
) -> None:
    """A sink would take the notice of one for that of the other, and get only one of them."""
    first = notice(to=["chat", "ops", "mail"])
    repeat = notice(to=["mail", "pager", "ops"], **changes)
    assert refusal(first, notice(on="message"), repeat) == (
        "notice 3 repeats notice 1 for mail, ops (same on, mount and give): name a sink in only one of the two."
    )
    assert "notice 2 repeats notice 1 for ops" in refusal(notice(**changes), notice())


@pytest.mark.parametrize(
    "changes", [{"on": "message"}, {"mount": "/exampledir/"}, {"give": "share"}], ids=str
)
def test_one_sink_may_have_notices_that_differ_in_what_their_ids_contain(
    changes: dict[str, str],
) -> None:
    for also in REPEATS.values():
        assert len(config_with(notice(), notice(**changes, **also)).notices) == 2


def test_notices_and_sinks_must_be_lists_of_tables() -> None:
    for key in ("notice", "sink"):
        assert f"write [[{key}]]" in refusal(top=f'{key} = "x"\n' + TOP.partition("[[sink]]")[0])


LOOPS: list[tuple[str, str]] = [
    ("told/", notice(mount="/everything/", to=["manifest"])),
    *((sink, notice(to=["manifest"])) for sink in ("outbox/", "outbox/told/")),
    ("outbox/told/", notice(to=["ops"])),  # the sink of another notice
]


@pytest.mark.parametrize(("sink", "rule"), LOOPS)
def test_a_sink_that_overlaps_the_target_of_the_mount_is_refused(sink: str, rule: str) -> None:
    """What the function writes must never be an event that calls it."""
    assert "every notice would cause the next one" in refusal(
        rule, top=TOP.replace(".links/notices/", sink)
    )


@pytest.mark.parametrize("state", ["outbox/", "outbox/state/", "all/"])
def test_a_state_prefix_that_overlaps_the_target_is_refused(state: str) -> None:
    top = TOP.replace(".links/state/", state).replace(
        '/outbox/"\nmax', f'/{"all/" * (state == "all/")}outbox/"\nmax'
    )
    assert " of the state prefix: every notice would cause the next one" in refusal(
        notice(to=["manifest"]), top=top
    )


def test_only_new_objects_of_the_same_bucket_can_cause_a_loop() -> None:
    assert "every notice would cause the next one" in refusal(notice(mount="/everything/"))
    for on in ("timer", "message"):
        assert config_with(notice(on=on, mount="/everything/", to=["manifest"])).notices[0].on == on
    top = TOP.replace("oss://examplebucket/.links/notices/", "oss://otherbucket/outbox/")
    assert config_with(notice(to=["manifest"]), top=top).notices
