"""`[[notice]]` and `[[sink]]` of links.toml: what is understood, and what stops the function at its start."""

from __future__ import annotations

import re
from typing import Any

import pytest

from handler.config import Config, InvalidConfig, Location, OssSink
from handler.config.notices import NOTICE_KEYS, SINK_KEYS
from tests.handler.client import policy

TOP = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/outbox/"
target = "oss://examplebucket/outbox/"
max_share = "30d"

[[mount]]
path = "/plain/"
target = "oss://examplebucket/plain/"

[[mount]]
path = "/in/"
target = "oss://examplebucket/in/"
methods = ["PUT"]
max_size = "5MB"

[[mount]]
path = "/everything/"
target = "oss://examplebucket/"

[[sink]]
name = "manifest"
target = "oss://examplebucket/.links/notices/"
"""


def written(**changes: Any) -> str:
    """A notice's table; None leaves a key out."""
    table = {"on": "created", "mount": "/outbox/", "to": ["ops"], **changes}
    lines = [
        f"{name} = {value if isinstance(value, list) else repr(value)}".replace("True", "true")
        for name, value in table.items()
        if value is not None
    ]
    return "\n[[notice]]\n" + "\n".join(lines) + "\n"


def having(*notices: str, top: str = TOP) -> Config:
    return policy(top + "".join(notices))


def refusal(*notices: str, top: str = TOP) -> str:
    with pytest.raises(InvalidConfig) as refused:
        having(*notices, top=top)
    return refused.value.sentence


def test_a_notice_is_read_whole() -> None:
    found = having(written(on="created", give="share", expires="7d", every="5m", to=["ops", "chat"]))
    (rule,) = found.notices
    assert rule.mount.path == "/outbox/"
    assert rule[0::2] == ("created", "share", 300)
    assert (rule.expires, rule.to) == (604_800, ("ops", "chat"))
    assert found.sinks == (OssSink("manifest", Location("examplebucket", ".links/notices/")),)


def test_what_a_notice_does_not_say_has_its_default() -> None:
    (rule,) = having(written()).notices
    assert (rule.give, rule.expires, rule.every) == ("link", None, None)


def test_a_policy_without_notices_has_none() -> None:
    assert policy(TOP.partition("[[sink]]")[0]).notices == ()


def test_the_places_of_sinks_are_the_services_own() -> None:
    found = having()
    assert found.is_reserved("examplebucket", ".links/notices/2026/03/01/x.jsonl")
    assert not found.is_reserved("examplebucket", ".links/other")


@pytest.mark.parametrize("name", [*NOTICE_KEYS])
def test_a_misspelt_key_of_a_notice_is_refused(name: str) -> None:
    assert f"the key '{name}s' is not known" in refusal(written(**{f"{name}s": "x"}))


@pytest.mark.parametrize("name", [*SINK_KEYS])
def test_a_misspelt_key_of_a_sink_is_refused(name: str) -> None:
    before, header, table = TOP.partition("[[sink]]")
    assert f"sink 1: the key '{name}s' is not known" in refusal(
        top=before + header + table.replace(name, f"{name}s", 1)
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"on": None}, "notice 1: on is missing"),
        ({"on": "deleted"}, "on = 'deleted' is none of created, timer, message"),
        ({"mount": None}, "mount is missing"),
        ({"mount": "/nowhere/"}, "mount = '/nowhere/' is the path of no mount: the mounts are /everything/, /outbox/"),
        ({"mount": "/in/"}, "mount = '/in/' does not allow GET"),
        ({"to": None}, "to is missing or empty"),
        ({"to": []}, "to is missing or empty"),
        ({"to": ["ops", "ops"]}, "to names one thing twice"),
        ({"to": "ops"}, "to is no list of texts"),
        ({"to": ["https://hooks.example.com/x"]}, "which is no name of a sink"),
        ({"give": "file"}, "give = 'file' is none of link, share"),
        ({"give": "share", "mount": "/plain/"}, "the mount takes no shares: set max_share on it"),
        ({"give": "share", "expires": "31d"}, "is no span of time from 60 to 2592000 seconds"),
        ({"expires": "2h"}, "is no span of time from 60 to 3600 seconds"),
        ({"expires": "10"}, "is no span of time from 60"),
        ({"expires": "soon"}, "is no span of time"),
        ({"every": "30s"}, "every = '30s' is no span of time from 60 to 86400 seconds"),
        ({"every": "2d"}, "every = '2d' is no span of time"),
        ({"every": "1m", "to": ["manifest"]}, "every is for sinks that people read"),
        ({"every": "1m", "to": ["ops", "manifest"]}, "every is for sinks that people read"),
    ],
)
def test_a_notice_that_cannot_be_followed_is_refused(changes: dict[str, Any], says: str) -> None:
    assert says in refusal(written(**changes))


@pytest.mark.parametrize(
    ("line", "changes", "says"),
    [
        ("public_url", {"give": "share"}, 'give = "share" needs public_url at the top'),
        ("keys", {"give": "share"}, 'give = "share" needs keys at the top'),
        ("keys", {}, "to names 'ops', which is no [[sink]], and there are no keys at the top to find it in"),
        ("state", {}, "to names 'ops', and what is told once is claimed in the state prefix: set state"),
    ],
)
def test_what_a_notice_needs_must_be_there(line: str, changes: dict[str, Any], says: str) -> None:
    without = re.sub(rf"(?m)^{line} = .*\n", "", TOP)
    assert says in refusal(written(**changes), top=without)


def test_an_oss_sink_needs_neither_keys_nor_state() -> None:
    bare = re.sub(r"(?m)^(keys|state|public_url) = .*\n", "", TOP)
    assert having(written(to=["manifest"]), top=bare).notices[0].to == ("manifest",)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("oss://examplebucket/", "is a whole bucket"),
        ("oss://examplebucket/x", "does not end in /"),
        ("https://examplebucket/x/", "is no place in OSS"),
        ("oss://examplebucket/.links/", "touches oss://examplebucket/.links/keys.json"),
        ("oss://examplebucket/.links/state/", "touches oss://examplebucket/.links/state/"),
        ("oss://examplebucket/.links/state/x/", "touches oss://examplebucket/.links/state/"),
    ],
)
def test_a_sink_that_is_no_place_of_its_own_is_refused(target: str, says: str) -> None:
    assert says in refusal(top=TOP.replace("oss://examplebucket/.links/notices/", target))


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "../x", "-x"])
def test_a_sink_has_a_name_that_is_one(name: str) -> None:
    assert "name" in refusal(top=TOP.replace('"manifest"', f'"{name}"'))


def test_two_sinks_of_one_name_are_refused() -> None:
    sink = '\n[[sink]]\nname = "manifest"\ntarget = "oss://examplebucket/.links/more/"\n'
    assert "sink 2: name = 'manifest' is another sink's, too" in refusal(top=TOP + sink)


def test_two_notices_that_differ_in_their_sinks_alone_are_one() -> None:
    assert "notice 2: to is all that tells it from an earlier notice" in refusal(written(), written(to=["chat"]))
    assert len(having(written(), written(to=["chat"], every="1m")).notices) == 2


@pytest.mark.parametrize("key", ["notice", "sink"])
def test_a_table_that_is_no_list_is_refused(key: str) -> None:
    assert f"write [[{key}]]" in refusal(top=f'{key} = "x"\n' + TOP.partition("[[sink]]")[0])


class TestLoops:
    """What the function writes must never call it."""

    @pytest.mark.parametrize("target", ["outbox/", "outbox/told/", ""])
    def test_a_sink_at_below_or_above_the_target_is_refused(self, target: str) -> None:
        if not target:
            top = TOP.replace(".links/notices/", "told/") + written(mount="/everything/", to=["manifest"])
        else:
            top = TOP.replace(".links/notices/", target) + written(to=["manifest"])
        assert "every notice would make the next one" in refusal(top=top)

    @pytest.mark.parametrize("state", ["outbox/", "outbox/state/"])
    def test_a_state_prefix_at_or_below_the_target_is_refused(self, state: str) -> None:
        top = TOP.replace(".links/state/", state)
        assert "the state prefix writes to" in refusal(written(to=["manifest"]), top=top)

    def test_a_state_prefix_above_the_target_is_refused(self) -> None:
        top = TOP.replace(".links/state/", "all/").replace('/outbox/"\nmax', '/all/outbox/"\nmax')
        assert "the state prefix writes to" in refusal(written(to=["manifest"]), top=top)

    def test_another_notices_sink_is_one_too(self) -> None:
        top = TOP.replace(".links/notices/", "outbox/told/")
        assert "every notice would make the next one" in refusal(written(to=["ops"]), top=top)

    def test_a_whole_bucket_holds_the_state(self) -> None:
        assert "every notice would make the next one" in refusal(written(mount="/everything/"))

    @pytest.mark.parametrize("on", ["timer", "message"])
    def test_a_timer_and_a_message_make_no_loop(self, on: str) -> None:
        assert having(written(on=on, mount="/everything/", to=["manifest"])).notices[0].on == on

    def test_another_bucket_is_apart(self) -> None:
        top = TOP.replace("oss://examplebucket/.links/notices/", "oss://otherbucket/outbox/")
        assert having(written(to=["manifest"]), top=top).notices
