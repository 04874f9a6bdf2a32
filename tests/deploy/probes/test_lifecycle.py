"""The doctor reads the lifecycle rules of the state bucket, and says which would lose notices."""

from __future__ import annotations

import pytest

from deploy import account_script, statements
from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from deploy.probes.lifecycle import bucket_rules
from signer import presign
from tests.deploy.deployments import LINKS, XML, deployed, levels, serving
from tests.handler.client import KEYS

WEBHOOK = LINKS.replace('to    = ["manifest"]', 'to    = ["manifest", "ops"]')
SHARES = LINKS.replace('path   = "/outbox/"', 'path   = "/outbox/"\nmax_share = "40d"')
GOOD = "".join(
    f"<Rule><ID>{folder}</ID><Prefix>.links/state/{folder}/</Prefix><Status>Enabled</Status>"
    f"<Expiration><Days>{days}</Days></Expiration></Rule>"
    for folder, days in (("done", 31), ("lease", 1), ("pause", 1))
)
DENIED = XML.format("AccessDenied")
OUTBOX, DEAD = ".links/state/outbox/", ".links/state/dead/"
BOTH = f"{OUTBOX} and {DEAD} after 7 days"
DAYS = "<Expiration><Days>7</Days></Expiration>"
BY_DATE = "<Expiration><{0}>2026-12-31T00:00:00.000Z</{0}></Expiration>"
ARCHIVE = "<Transition><Days>60</Days><StorageClass>{}</StorageClass></Transition>"
DOCUMENT = "oss://examplebucket/.links/keys.json"
SMALL = "<ObjectSizeLessThan>9</ObjectSizeLessThan>"
LARGE = "<ObjectSizeGreaterThan>{}</ObjectSizeGreaterThan>"
TAG = "<Tag><Key>temporary</Key><Value>yes</Value></Tag>"


@pytest.fixture
def deployment(oss: str) -> Deployment:
    """A deployment with notices to a webhook."""
    return deployed(oss, KEYS, WEBHOOK)


def rule(
    actions: str, where: str = "<Prefix>.links/state/</Prefix>", status: str = "Enabled"
) -> str:
    return f"<Rule><ID>mine</ID>{where}<Status>{status}</Status>{actions}</Rule>"


def of(conditions: str, prefix: str = "<Prefix></Prefix>") -> str:
    return f"{prefix}<Filter>{conditions}</Filter>"


def examined(deployment: Deployment, rules: str) -> list[Finding]:
    endpoint, query = deployment.bucket_endpoint("examplebucket"), {"lifecycle": ""}
    link = presign(
        "PUT",
        "examplebucket",
        None,
        credentials=KEYS,
        endpoint=endpoint,
        expires_in=60,
        query=query,
        headers={"x-oss-allow-same-action-overlap": "true"},
    )
    body = f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>".encode()
    assert deployment.request("PUT", link.url, link.headers, body).status == 200
    return list(bucket_rules(deployment))


DELETING = {
    "of the whole state": (rule(DAYS), BOTH),
    "without prefix": (rule(DAYS, ""), BOTH),
    "of one folder": (rule(DAYS, "<Prefix>.links/state/dead/</Prefix>"), f"{DEAD} after 7 days"),
    "of one sink": (
        rule(DAYS, "<Prefix>.links/state/outbox/ops/</Prefix>"),
        f"{OUTBOX} after 7 days",
    ),
    "by creation": (rule(BY_DATE.format("CreatedBeforeDate")), f"{OUTBOX} and {DEAD} by date"),
    "with a joined filter": (
        rule(DAYS, of(f"<And><Prefix>.links/</Prefix>{SMALL}</And>", "")),
        BOTH,
    ),
    "that spares another folder": (
        rule(DAYS, of(f"<Not><Prefix>{OUTBOX}</Prefix></Not>")),
        f"{DEAD} after 7 days",
    ),
    "that spares tagged objects": (
        rule(DAYS, of(f"<Not><Prefix>.links/</Prefix>{TAG}</Not>")),
        BOTH,
    ),
    "of somewhat large objects": (rule(DAYS, of(LARGE.format(500))), BOTH),
}


@pytest.mark.parametrize("name", DELETING)
def test_a_rule_that_deletes_waiting_notices_is_a_warning(
    name: str, deployment: Deployment
) -> None:
    rules, lost = DELETING[name]
    (warning,) = [
        finding for finding in examined(deployment, GOOD + rules) if "are lost" in finding.sentence
    ]
    assert (warning.level, warning.subject) == ("warning", "lifecycle")
    assert warning.sentence.startswith(
        f"Rule mine of examplebucket deletes objects in {lost}, and not"
    )


HARMLESS = {
    "disabled": rule(DAYS, status="Disabled"),
    "of earlier versions": rule(
        "<NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>"
        "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
    ),
    "of tagged objects": rule(DAYS, f"<Prefix></Prefix>{TAG}"),
    "of objects with a tag in a filter": rule(
        DAYS, f"<Filter><And><Prefix>.links/</Prefix>{TAG}{TAG}</And></Filter>"
    ),
    "of large objects": rule(DAYS, of(LARGE.format(1_048_576))),
    "that spares the state": rule(DAYS, of("<Not><Prefix>.links/</Prefix></Not>")),
    "of infrequent access": rule(ARCHIVE.format("IA")),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_rule_that_touches_no_waiting_notice_is_fine(name: str, deployment: Deployment) -> None:
    assert [finding.level for finding in examined(deployment, HARMLESS[name] + GOOD)] == ["ok"]


@pytest.mark.parametrize("storage_class", ["Archive", "DeepColdArchive"])
def test_a_rule_that_archives_what_is_read_is_a_warning(
    storage_class: str, deployment: Deployment
) -> None:
    (finding,) = examined(deployment, rule(ARCHIVE.format(storage_class)) + GOOD)
    assert (finding.level, finding.subject) == ("warning", "lifecycle")
    assert finding.sentence.startswith(
        f"Rule mine of examplebucket moves objects in {OUTBOX} and {DEAD} and .links/state/done/ to {storage_class}"
    )


def test_records_of_shares_that_no_rule_deletes_are_a_warning(deployment: Deployment) -> None:
    opened = SHARES + '\n[[notice]]\non = "opened"\nmount = "/outbox/"\nto = ["ops"]\n'
    url = deployment.bucket_endpoint("examplebucket")
    folders = ["shares/", "extended/", "uses/", "index/"]
    for links, more in ((opened, ["done/", "lease/", "pause/", "opened/"]), (SHARES, [])):
        shares = deployed(f"http://{url.host('examplebucket')}", KEYS, links)
        assert [finding.sentence for finding in bucket_rules(shares)] == [
            f"No rule of examplebucket deletes .links/state/{name}, which grows: run the script of make policies "
            "FORMAT=commands."
            for name in (*more, *folders)
        ]
    rules = statements.lifecycle(shares.config, "links")["examplebucket"]
    assert levels(iter(examined(shares, "".join(map(account_script.rule_xml, rules))))) == [
        ("ok", "lifecycle")
    ]


def test_what_is_kept_of_shares_must_outlive_an_extension_and_uses_the_records(
    deployment: Deployment,
) -> None:
    shares = deployed(
        f"http://{deployment.bucket_endpoint('examplebucket').host('examplebucket')}", KEYS, SHARES
    )
    rules = statements.lifecycle(shares.config, "links")["examplebucket"]
    assert {rule["Expiration"]["Days"] for rule in rules if "shares" in rule["ID"]} == {2 * 40 + 1}
    early = rule("<Expiration><Days>80</Days></Expiration>", "<Prefix>.links/state/{}</Prefix>")
    good = "".join(map(account_script.rule_xml, rules))
    assert levels(iter(examined(shares, good + early.format("index/0")))) == [
        ("warning", "lifecycle")
    ]
    (fault, warning) = examined(shares, good + early.format("uses/a"))
    assert (fault.level, warning.level) == ("fault", "warning")
    assert "deletes .links/state/uses/ before .links/state/shares/" in fault.sentence
    assert "keep them for 81 days" in warning.sentence


@pytest.mark.parametrize("actions", [DAYS, BY_DATE.format("CreatedBeforeDate")])
def test_marks_that_are_deleted_too_early_are_a_warning(
    actions: str, deployment: Deployment
) -> None:
    findings = examined(deployment, GOOD + rule(actions, "<Prefix>.links/state/done/a</Prefix>"))
    assert [finding.level for finding in findings] == ["warning"]
    assert findings[0].sentence.startswith(
        "Rule mine of examplebucket deletes objects in .links/state/done/ "
    )
    assert "keep them for 31 days" in findings[0].sentence


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, DENIED),
        (200, "<LifecycleConfiguration><Rule>"),
        (200, "<html/>"),
        (404, XML.format("Other")),
    ],
)
def test_rules_that_cannot_be_read_are_unknown(status: int, body: str) -> None:
    with serving(lambda method, path: (status, {}, body)) as oss:
        (finding,) = bucket_rules(deployed(oss, KEYS, WEBHOOK))
    assert (finding.level, finding.subject) == ("unknown", "lifecycle")
    assert finding.sentence.startswith(
        "The lifecycle rules of examplebucket could not be checked ("
    )
    assert finding.sentence.endswith("allow oss:GetBucketLifecycle, or look in the console.")


def test_a_thousand_rules_are_read(deployment: Deployment) -> None:
    rules = (rule(DAYS, f"<Prefix>exampledir/{number:0200}/</Prefix>") for number in range(998))
    many = "".join(one.replace("mine", f"mine-{number}") for number, one in enumerate(rules))
    assert [finding.level for finding in examined(deployment, many + GOOD)] == ["ok"]


@pytest.mark.parametrize(
    ("rules", "done"),
    [
        (rule(DAYS, ""), f"deletes {DOCUMENT} after 7 days"),
        (
            rule(BY_DATE.format("Date"), "<Prefix>.links/keys.json</Prefix>"),
            f"deletes {DOCUMENT} by date",
        ),
        (
            rule(ARCHIVE.format("ColdArchive"), "<Prefix></Prefix>"),
            f"moves {DOCUMENT} to ColdArchive",
        ),
        (
            rule(
                DAYS,
                "<Filter><Prefix>.links/</Prefix><Not><Prefix>.links/keys.json</Prefix></Not></Filter>",
            ),
            "",
        ),
        (rule(DAYS, "<Prefix>.links/keys.json.lock</Prefix>"), ""),
        (rule(ARCHIVE.format("IA"), ""), ""),
    ],
)
def test_a_rule_that_deletes_or_archives_the_keys_document_is_a_fault(
    rules: str, done: str, oss: str
) -> None:
    """Also where no notice waits and nothing is shared."""
    (finding,) = examined(deployed(oss, KEYS), rules)
    lost = f"Rule mine of examplebucket {done}, and no key and no share works without it: delete the rule or change its"
    assert finding.level == ("fault" if done else "ok")
    assert not done or finding.sentence == f"{lost} prefix."
