"""Triggers fit the handler, and their schedules are ones that Function Compute accepts."""

from __future__ import annotations

import pytest

from deploy.checks import functions, triggers
from tests.deploy.checks import shipped
from tests.deploy.checks.shipped import Props


def timer(expression: str) -> dict[str, object]:
    config = {"cronExpression": expression, "enable": True}
    return {"triggerName": "minute", "triggerType": "timer", "triggerConfig": config}


def faults(props: Props) -> list[str]:
    return list(triggers.faults(shipped.read(props)))


def test_the_http_handler_without_an_http_trigger_is_a_fault() -> None:
    for others in ([], [timer("@every 1m")]):
        assert faults({**shipped.web(), "triggers": others}) == [
            "handler is handler.on_http, which requires an http trigger: add one."
        ]


@pytest.mark.parametrize("handler", ["handler.on_event", "handler.on_initialize"])
def test_another_handler_with_an_http_trigger_is_a_fault(handler: str) -> None:
    assert faults({**shipped.web(), "handler": handler}) == [
        f"handler is {handler}, but an http trigger requires handler.on_http: remove the trigger."
    ]


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("* * * * *", "Invalid schedule '* * * * *': expected @every 5m, or six fields"),
        ("0 61 * * * *", "Invalid minute '61': expected"),
    ],
)
def test_an_invalid_schedule_is_a_fault_of_every_function(expression: str, sentence: str) -> None:
    for props in (shipped.web(), shipped.custom()):
        (fault,) = faults({**props, "triggers": [*props["triggers"], timer(expression)]})
        assert fault.startswith(f"trigger minute: cronExpression: {sentence}")


@pytest.mark.parametrize(("kind", "service"), [("oss", "OSS"), ("mns_topic", "SMQ")])
def test_a_service_that_calls_the_function_needs_a_role(kind: str, service: str) -> None:
    props = shipped.events()
    trigger = props["triggers"][0]
    topic = {"notifyContentFormat": "JSON", "notifyStrategy": "BACKOFF_RETRY"}
    trigger["triggerType"] = kind
    trigger["triggerConfig"] = topic if kind == "mns_topic" else trigger["triggerConfig"]
    assert faults(props) == []
    del props["triggers"][0]["invocationRole"]
    assert faults(props) == [
        f"trigger outbox: invocationRole is missing: {service} needs it to call the function."
    ]


EVENTS = shipped.events()["triggers"]


@pytest.mark.parametrize(
    ("props", "takes_events"),
    [
        (shipped.events(), True),
        ({**shipped.events(), "triggers": shipped.web()["triggers"]}, True),
        (shipped.web(), False),
        (shipped.custom(), False),
        ({**shipped.custom(), "triggers": [*shipped.custom()["triggers"], *EVENTS]}, True),
    ],
)
def test_a_function_that_takes_events_needs_seventy_seconds(
    props: Props, takes_events: bool
) -> None:
    assert list(functions.faults(shipped.read({**props, "timeout": 70}))) == []
    sentences = list(functions.faults(shipped.read({**props, "timeout": 69})))
    assert [sentence.partition(" (got 69)")[0] for sentence in sentences] == (
        ["timeout must be at least 70 for a function that sends notices"] if takes_events else []
    )


def test_a_missing_timeout_is_a_fault() -> None:
    for props in (shipped.web(), shipped.custom(), shipped.events()):
        del props["timeout"]
        (sentence,) = functions.faults(shipped.read(props))
        assert sentence.startswith("timeout ")
        assert "3" in sentence


def destination_faults(destination: str, **changes: object) -> list[str]:
    config = {
        "qualifier": "LATEST",
        "destinationConfig": {"onFailure": {"destination": destination}},
        **changes,
    }
    present = {name: value for name, value in config.items() if value is not None}
    return list(
        triggers.destination_faults(shipped.read({**shipped.web(), "asyncInvokeConfig": present}))
    )


OWNER = "cn-hangzhou:${config('AccountID')}"


@pytest.mark.parametrize(
    "arn",
    [
        f"acs:mns:{OWNER}:/queues/links-events-failures/messages",
        "acs:mns:cn-hangzhou:1000000000000001:/topics/failures/messages",
        "acs:mns:cn-hangzhou::/topics/failures/messages",
        f"acs:fc:{OWNER}:functions/after_all/LATEST",
        f"acs:eventbridge:{OWNER}:eventbus/failures",
    ],
)
def test_a_destination_that_function_compute_knows_is_fine(arn: str) -> None:
    assert destination_faults(arn) == []


@pytest.mark.parametrize(
    "arn",
    [
        "failures",
        f"acs:mns:{OWNER}:/queue/failures/messages",
        "acs:mns:cn-hangzhou::/queues/failures/messages",
        f"acs:fc:{OWNER}:services/a/functions/b",
        f"acs:eventbridge:{OWNER}:bus/failures",
        f"acs:log:{OWNER}:project/failures",
    ],
)
def test_any_other_destination_is_a_fault(arn: str) -> None:
    (sentence,) = destination_faults(arn)
    assert sentence.startswith(
        f"asyncInvokeConfig.destinationConfig.onFailure.destination is {arn!r}: expected acs:mns:"
    )


@pytest.mark.parametrize("name", ["links_events-failures", "a" * 121])
def test_the_name_of_a_queue_must_be_valid(name: str) -> None:
    assert destination_faults(f"acs:mns:{OWNER}:/queues/{name}/messages") == [
        f"asyncInvokeConfig.destinationConfig.onFailure: the queue {name} is invalid: its name must have 1 to 120 "
        "letters, digits and -."
    ]


@pytest.mark.parametrize("qualifier", ["", "/LATEST", ".prod"])
def test_a_failed_event_does_not_go_to_the_function_itself(qualifier: str) -> None:
    function = shipped.web()["functionName"]
    assert destination_faults(f"acs:fc:{OWNER}:functions/{function}{qualifier}") == [
        "asyncInvokeConfig.destinationConfig.onFailure is the function itself, so an event that fails would fail again "
        "and again: name a queue."
    ]
    assert destination_faults(f"acs:fc:{OWNER}:functions/{function}-2{qualifier}") == []


@pytest.mark.parametrize("qualifier", [None, "prod"])
def test_a_configuration_without_the_qualifier_latest_is_a_fault(qualifier: str | None) -> None:
    assert destination_faults(f"acs:fc:{OWNER}:functions/after", qualifier=qualifier) == [
        "asyncInvokeConfig.qualifier must be LATEST: without it, s asks a question at each redeployment."
    ]
