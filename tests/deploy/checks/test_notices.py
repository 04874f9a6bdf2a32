"""The triggers of an environment deliver what the notices in links.toml wait for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.checks import links_toml, notices
from tests.deploy.checks import shipped

OPS = """
[[notice]]
on    = "created"
mount = "/outbox/"
give  = "link"
every = "1h"
to    = ["ops"]
"""
TIMER = """
[[notice]]
on    = "timer"
mount = "/exampledir/"
to    = ["manifest"]
"""
OTHER_MOUNT = """
[[mount]]
path   = "/outbox-2/"
target = "oss://${LINK_BUCKET}/outbox-2/"

[[notice]]
on    = "created"
mount = "/outbox-2/"
to    = ["manifest"]
"""
NO_TIMER = (
    "an enabled timer trigger is missing, so what waits for ops, such as digests and failed notices, is never sent: "
    "add one with cronExpression '@every 1m'."
)
Trigger = dict[str, Any]


def oss_trigger(
    prefix: str, bucket: str = "examplebucket", event: str = "oss:ObjectCreated:*"
) -> Trigger:
    return {
        "triggerName": "uploads",
        "triggerType": "oss",
        "sourceArn": f"acs:oss:cn-hangzhou:${{config('AccountID')}}:{bucket}",
        "triggerConfig": {"events": [event], "filter": {"key": {"prefix": prefix, "suffix": ""}}},
    }


def timer(expression: str, enabled: bool = True) -> Trigger:
    config = {"cronExpression": expression, "enable": enabled}
    return {"triggerName": "timer", "triggerType": "timer", "triggerConfig": config}


def faults(folder: Path, links: str, *triggers: Trigger) -> list[str]:
    """Of an event function with these triggers, that of inbox/, and more tables in links.toml."""
    function = shipped.with_more(
        {**shipped.events(), "triggers": [*triggers, INBOX]}, folder, links
    )
    return [sentence for _, sentence in notices.faults([function])]


OUTBOX = oss_trigger("outbox/")
INBOX = oss_trigger("inbox/")
EVENT_BRIDGE = {
    "triggerEnable": True,
    "asyncInvocationType": False,
    "eventRuleFilterPattern": "{}",
    "eventSinkConfig": {"deliveryOption": {}},
    "eventSourceConfig": {"eventSourceType": "Default", "eventSourceParameters": {}},
    "runOptions": {},
}
TOPIC = {"notifyContentFormat": "JSON", "notifyStrategy": "BACKOFF_RETRY"}
DELETED = oss_trigger("outbox/", event="oss:ObjectRemoved:DeleteObject")


@pytest.mark.parametrize(
    "trigger",
    [
        OUTBOX,
        oss_trigger("outbox/reports/"),
        oss_trigger(""),
        # Others may deliver the events of a bucket, too.
        {"triggerName": "a", "triggerType": "eventbridge", "triggerConfig": EVENT_BRIDGE},
        {"triggerName": "a", "triggerType": "mns_topic", "triggerConfig": TOPIC},
    ],
)
def test_a_created_notice_whose_mount_is_watched_is_fine(trigger: Trigger, tmp_path: Path) -> None:
    assert faults(tmp_path, "", trigger) == []


@pytest.mark.parametrize(
    "triggers",
    [(), (oss_trigger("send/"),), (oss_trigger("outbox/", "otherbucket"),), (DELETED,)],
)
def test_a_created_notice_that_no_trigger_watches_is_a_fault(
    triggers: tuple[Trigger, ...], tmp_path: Path
) -> None:
    assert faults(tmp_path, "", *triggers) == [
        "an oss trigger is missing, so the created notice of /outbox/ in links.toml is never sent: add one that "
        "watches oss://examplebucket/outbox/."
    ]


@pytest.mark.parametrize("timers", [(), (timer("@every 1m", enabled=False),)])
def test_a_timer_notice_or_a_digest_without_a_timer_is_a_fault(
    timers: tuple[Trigger, ...], tmp_path: Path
) -> None:
    assert faults(tmp_path, OPS, OUTBOX, *timers) == [NO_TIMER]
    assert faults(tmp_path, TIMER, OUTBOX, *timers) == [
        "an enabled timer trigger is missing, so the timer notice of /exampledir/ in links.toml is never sent: add one "
        "whose payload names the objects."
    ]
    assert faults(tmp_path, "", OUTBOX, *timers) == []


@pytest.mark.parametrize(
    "expressions",
    [
        ["@every 5m"],
        ["0 0/5 * * * *"],
        ["CRON_TZ=Asia/Shanghai 0 * * * * *"],
        ["0 0 9 * * *", "@every 1m"],
    ],
)
def test_a_timer_that_sends_what_waits_is_fine(expressions: list[str], tmp_path: Path) -> None:
    assert faults(tmp_path, OPS, OUTBOX, *map(timer, expressions)) == []


@pytest.mark.parametrize("expression", ["@every 6m", "0 * 9-17 * * *", "0 * * * * MON-FRI"])
def test_a_timer_that_is_too_rare_for_what_waits_is_a_fault(
    expression: str, tmp_path: Path
) -> None:
    assert faults(tmp_path, OPS, OUTBOX, timer(expression), timer("@every 1m", enabled=False)) == [
        "no timer trigger calls it at least every 5 minutes, so what waits for ops is sent late: set cronExpression to "
        "'@every 1m'."
    ]
    # Nothing waits for a timer notice.
    assert faults(tmp_path, TIMER, OUTBOX, timer(expression)) == []


@pytest.mark.parametrize(
    ("reserved", "concurrency", "needed"),
    [(3, 1, None), (2, 1, 3), (1, 2, 2), (2, 2, None), (1, 20, None)],
)
def test_a_hanging_sink_leaves_calls_free(
    reserved: int, concurrency: int, needed: int | None, tmp_path: Path
) -> None:
    limits = {
        "instanceConcurrency": concurrency,
        "concurrencyConfig": {"reservedConcurrency": reserved},
    }
    props = {**shipped.events(), **limits, "triggers": [OUTBOX, INBOX, timer("@every 1m")]}
    sentences = [
        sentence for _, sentence in notices.faults([shipped.with_more(props, tmp_path, OPS)])
    ]
    if needed is None:
        assert sentences == []
    else:
        (sentence,) = sentences
        assert sentence.startswith(
            f"concurrencyConfig.reservedConcurrency must be at least {needed} (got {reserved}):"
        )


def trigger_faults(folder: Path, trigger: Trigger) -> list[str]:
    props = {**shipped.events(), "triggers": [trigger]}
    return list(links_toml.faults(shipped.with_more(props, folder, OTHER_MOUNT)))


@pytest.mark.parametrize(
    ("prefix", "bucket"),
    [
        ("outbox-2", "examplebucket"),
        ("", "examplebucket"),
        ("send/outbox-2/", "examplebucket"),
        ("outbox/", "other"),
    ],
)
def test_an_oss_trigger_that_watches_other_objects_is_a_fault(
    prefix: str, bucket: str, tmp_path: Path
) -> None:
    sentence = trigger_faults(tmp_path, oss_trigger(prefix, bucket))[0]
    assert sentence.startswith(
        f"trigger uploads: it watches oss://{bucket}/{prefix}, but its prefix must be in the target of a mount"
    )
    assert "oss://examplebucket/outbox-2/" in sentence


CDN = """
[[mount]]
path     = "/videos/"
target   = "oss://{bucket}/videos/"
endpoint = "https://static.example.com"
cdn      = "static"
"""
OPENED = (
    "the bucket of /videos/: private origin opens the entire bucket (and its role every bucket), so only URL signing "
    "protects it."
)


def test_nothing_of_the_service_may_be_in_the_bucket_of_a_mount_with_cdn(tmp_path: Path) -> None:
    faults = list(
        links_toml.faults(
            shipped.with_more(shipped.web(), tmp_path, CDN.format(bucket="examplebucket"))
        )
    )
    assert faults == [
        f"links.toml: oss://examplebucket/.links/{name} must not be in {OPENED}"
        for name in ("keys.json", "state/", "notices/")
    ]
    other = shipped.with_more(shipped.web(), tmp_path, CDN.format(bucket="videos-bucket"))
    assert list(links_toml.faults(other)) == []


def test_a_mount_with_cdn_needs_a_key_and_should_have_a_bucket_of_its_own(tmp_path: Path) -> None:
    """Uploads to the same objects do not come nearer to others."""
    same = '[[mount]]\npath = "/up/"\ntarget = "oss://videos-bucket/videos/in/"\n'
    beside = '[[mount]]\npath = "/reports/"\ntarget = "oss://videos-bucket/reports/"\n'
    function = shipped.with_more(
        shipped.web(), tmp_path, CDN.format(bucket="videos-bucket") + same + beside
    )
    assert sorted(links_toml.warnings(function)) == [
        f"links.toml: /reports/ is in {OPENED} Give mounts with cdn a bucket of their own.",
        "links.toml: links of /videos/ are signed with the key static of the keys document: run make doctor, which "
        "reads it.",
    ]


@pytest.mark.parametrize(
    ("keys", "needs_keys"),
    [('access = "anonymous"', False), ('access = "anonymous"\nmax_share = "1d"', True), ("", True)],
)
def test_shares_and_authenticated_mounts_need_the_keys_document(
    keys: str, needs_keys: bool, tmp_path: Path
) -> None:
    mount = '[[mount]]\npath = "/a/"\ntarget = "oss://${LINK_BUCKET}/a/"\n'
    top = 'region = "${LINK_REGION}"\nstate = "oss://${LINK_BUCKET}/.links/state/"\n'
    (tmp_path / "links.toml").write_text(f"{top}{mount}{keys}\n", encoding="utf-8")
    sentence = (
        "links.toml: keys is missing, so nobody can use authenticated mounts or shares (/a/): set it to "
        "oss://bucket/.links/keys.json."
    )
    assert (
        list(links_toml.faults(shipped.configured(shipped.web(), tmp_path)))
        == [sentence] * needs_keys
    )
    # It is about requests.
    assert sentence not in links_toml.faults(shipped.configured(shipped.events(), tmp_path))


def lost(**changes: object) -> list[str]:
    """The warnings of the shipped event function with changes."""
    return list(notices.warnings(shipped.configured({**shipped.events(), **changes})))


def test_events_that_fail_go_somewhere() -> None:
    async_config = shipped.events()["asyncInvokeConfig"]
    props = shipped.events()
    del props["asyncInvokeConfig"]
    sentence = (
        "links: asyncInvokeConfig has no destinationConfig.onFailure, so events that fail are lost: name a queue, as "
        "in the file that the project comes with."
    )
    assert list(notices.warnings(shipped.configured(props))) == [sentence]
    del async_config["destinationConfig"]
    assert lost(asyncInvokeConfig=async_config) == [sentence]
    # Nobody sends events to the function for requests.
    assert list(notices.warnings(shipped.configured(shipped.web()))) == []


def test_events_outlast_a_short_outage() -> None:
    async_config = shipped.events()["asyncInvokeConfig"]
    assert lost(asyncInvokeConfig={**async_config, "maxAsyncEventAgeInSeconds": 3600}) == []
    assert lost(asyncInvokeConfig={**async_config, "maxAsyncEventAgeInSeconds": 3599}) == [
        "links: asyncInvokeConfig.maxAsyncEventAgeInSeconds is 3599, so events are given up in a short outage: set it "
        "to 86400."
    ]


def test_a_suffix_leaves_files_without_a_notice() -> None:
    trigger = oss_trigger("outbox/")
    trigger["triggerConfig"]["filter"]["key"]["suffix"] = ".PDF"
    assert lost(triggers=[trigger]) == [
        "links: trigger uploads: suffix is '.PDF', so other files make no notice: write ''."
    ]


def test_files_that_arrive_in_parts_make_a_notice_too() -> None:
    trigger = shipped.events()["triggers"][0]
    assert lost(triggers=[trigger]) == lost(triggers=[oss_trigger("outbox/")]) == []
    trigger["triggerConfig"]["events"].remove("oss:ObjectCreated:CompleteMultipartUpload")
    assert lost(triggers=[trigger]) == [
        "links: trigger outbox: events lacks oss:ObjectCreated:CompleteMultipartUpload, so files that arrive this way "
        "make no notice: add it."
    ]
