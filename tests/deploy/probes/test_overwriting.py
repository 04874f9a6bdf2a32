"""The doctor names a rule of a bucket that keeps the service from replacing its own objects."""

from __future__ import annotations

import pytest

from deploy.probes.findings import Finding
from deploy.probes.overwriting import bucket_rules
from tests.deploy.deployments import LINKS, XML, deployed, serving
from tests.handler.client import KEYS

DOCUMENT = "oss://examplebucket/.links/keys.json"
STATE = "oss://examplebucket/.links/state/"
FINE = Finding(
    "ok", "overwriting", "No rule of examplebucket keeps the service from replacing its objects."
)


def rule(prefix: str = "", suffix: str = "") -> str:
    """As GetBucketOverwriteConfig shows one, which leaves out what is not set."""
    conditions = f"<Prefix>{prefix}</Prefix>" * bool(prefix) + f"<Suffix>{suffix}</Suffix>" * bool(
        suffix
    )
    return f"<Rule><ID>mine</ID><Action>forbid</Action>{conditions}</Rule>"


def examined(status: int, body: str) -> list[Finding]:
    asked = []

    def respond(method: str, path: str) -> tuple[int, dict[str, str], str]:
        asked.append((method, path.partition("&")[0]))
        return status, {}, body

    with serving(respond) as oss:
        findings = list(bucket_rules(deployed(oss, KEYS, LINKS)))
    assert asked == [("GET", "/examplebucket/?overwriteConfig")]
    return findings


def with_rules(*rules: str) -> list[Finding]:
    return examined(200, f"<OverwriteConfiguration>{''.join(rules)}</OverwriteConfiguration>")


@pytest.mark.parametrize(
    ("forbidding", "places"),
    [
        (rule(), [DOCUMENT, STATE]),
        (rule(suffix=".json"), [DOCUMENT, STATE]),
        (rule(suffix="/keys.json"), [DOCUMENT]),
        (rule(".links/"), [DOCUMENT, STATE]),
        (rule(".links/keys"), [DOCUMENT]),
        (rule(".links/state/shares/"), [STATE]),
    ],
)
def test_a_rule_that_covers_what_the_service_replaces_is_a_fault(
    forbidding: str, places: list[str]
) -> None:
    effect = "so no share can be revoked, no key changed, and no sink paused: delete it, or change its prefix."
    assert with_rules(rule("reports/"), forbidding) == [
        (
            "fault",
            "overwriting",
            f"Rule mine of examplebucket forbids overwriting in {place}, {effect}",
        )
        for place in places
    ]


@pytest.mark.parametrize("others", [rule("reports/"), rule(suffix=".pdf"), rule(".links/notices/")])
def test_a_rule_for_other_objects_is_fine(others: str) -> None:
    assert with_rules(others) == [FINE]


@pytest.mark.parametrize(
    ("status", "code"), [(404, "NoSuchOverwriteConfig"), (501, "NotImplemented")]
)
def test_a_bucket_without_such_rules_is_fine(status: int, code: str) -> None:
    assert examined(status, XML.format(code)) == [FINE]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, XML.format("AccessDenied")),
        (404, XML.format("NoSuchBucket")),
        (200, "no XML"),
        (200, "<a/>"),
    ],
)
def test_rules_that_cannot_be_read_are_unknown(status: int, body: str) -> None:
    (finding,) = examined(status, body)
    assert finding.level == "unknown"
    assert finding.sentence.endswith("allow oss:GetBucketOverwriteConfig, or look in the console.")


def test_without_credentials_or_a_place_of_its_own_nothing_is_asked() -> None:
    assert list(bucket_rules(deployed("http://127.0.0.1:9", None))) == []
