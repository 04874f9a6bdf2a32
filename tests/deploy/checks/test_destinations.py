"""Failed events go to something that exists."""

from __future__ import annotations

import pytest

from deploy.checks import triggers
from tests.deploy.checks import shipped


def faults(destination: str, **changes: object) -> list[str]:
    config = {"qualifier": "LATEST", "destinationConfig": {"onFailure": {"destination": destination}}, **changes}
    return list(triggers.destination_faults(shipped.read({**shipped.web(), "asyncInvokeConfig": config})))


OWNER = "cn-hangzhou:${config('AccountID')}"


@pytest.mark.parametrize(
    "arn",
    [
        f"acs:mns:{OWNER}:/queues/links-events-failures/messages",
        "acs:mns:cn-hangzhou:1000000000000001:/topics/failures/messages",
        "acs:mns:cn-hangzhou::/topics/failures/messages",
        f"acs:fc:{OWNER}:functions/after_all",
        f"acs:fc:{OWNER}:functions/after_all/LATEST",
        f"acs:eventbridge:{OWNER}:eventbus/failures",
    ],
)
def test_a_destination_that_function_compute_knows_is_fine(arn: str) -> None:
    assert faults(arn) == []


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "failures",
        f"acs:mns:{OWNER}:queues/failures/messages",
        f"acs:mns:{OWNER}:/queues/failures",
        f"acs:mns:{OWNER}:/queue/failures/messages",
        "acs:mns:cn-hangzhou::/queues/failures/messages",
        f"acs:fc:{OWNER}:services/a/functions/b",
        f"acs:eventbridge:{OWNER}:bus/failures",
        f"acs:log:{OWNER}:project/failures",
    ],
)
def test_any_other_destination_is_a_fault(arn: str) -> None:
    (sentence,) = faults(arn)
    assert sentence.startswith(
        f"asyncInvokeConfig.destinationConfig.onFailure.destination is {arn!r}: expected acs:mns:"
    )


@pytest.mark.parametrize("name", ["links_events-failures", "a" * 121])
def test_the_name_of_a_queue_must_be_valid(name: str) -> None:
    assert faults(f"acs:mns:{OWNER}:/queues/{name}/messages") == [
        f"asyncInvokeConfig.destinationConfig.onFailure: the queue {name} is invalid: its name must have 1 to 120 "
        "letters, digits and -."
    ]


@pytest.mark.parametrize("qualifier", [None, "prod"])
def test_a_configuration_without_the_qualifier_latest_is_a_fault(qualifier: str | None) -> None:
    assert faults(f"acs:fc:{OWNER}:functions/after", qualifier=qualifier) == [
        "asyncInvokeConfig.qualifier must be LATEST: without it, s asks a question at each redeployment."
    ]


def test_the_shipped_functions_have_valid_destinations_or_none() -> None:
    for props in shipped.functions().values():
        assert list(triggers.destination_faults(shipped.read(props))) == []
