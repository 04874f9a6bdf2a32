"""The doctor says where OSS does not delete files as `delete_after` says, and where it still does."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from deploy import account_script, statements
from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from deploy.probes.lifecycle import files
from signer import presign
from tests.deploy.deployments import LINKS, XML, deployed, levels, serving
from tests.handler.client import KEYS

ENDING = LINKS.replace('path   = "/outbox/"', 'path   = "/outbox/"\ndelete_after = "61d"')
OLD = (
    "<NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>"
)


def rule(name: str, prefix: str, days: int = 61, more: str = "") -> str:
    return (
        f"<Rule><ID>{name}</ID><Prefix>{escape(prefix)}</Prefix><Status>Enabled</Status>"
        f"<Expiration><Days>{days}</Days></Expiration>{more}</Rule>"
    )


def put(deployment: Deployment, subresource: str, body: str) -> None:
    link = presign(
        "PUT",
        "examplebucket",
        None,
        credentials=KEYS,
        endpoint=deployment.bucket_endpoint("examplebucket"),
        expires_in=60,
        query={subresource: ""},
        headers={"x-oss-allow-same-action-overlap": "true"},
    )
    assert deployment.request("PUT", link.url, link.headers, body.encode()).status == 200


def examined(oss: str, links: str, rules: str) -> list[Finding]:
    deployment = deployed(oss, KEYS, links)
    rules = rules or rule("mine", "elsewhere/")
    put(deployment, "lifecycle", f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>")
    return list(files(deployment))


def test_the_rules_of_the_script_are_fine(oss: str) -> None:
    config = deployed(oss, KEYS, ENDING).config
    rules = statements.lifecycle(config, "links")["examplebucket"]
    (found,) = examined(oss, ENDING, "".join(map(account_script.rule_xml, rules)))
    assert str(found).split()[:2] == ["ok", "lifecycle"]


@pytest.mark.parametrize(
    ("rules", "sentences"),
    [
        ("", ["No rule of examplebucket deletes outbox/ after 61 days"]),
        (rule("a", "outbox/2026/"), ["No rule of examplebucket deletes outbox/ after 61 days"]),
        (
            rule("links-files.outbox", "outbox/", 91),
            [
                "Rule links-files.outbox of examplebucket deletes objects in outbox/ after 91 days, but delete_after",
                "No rule of examplebucket deletes outbox/ after 61 days",
            ],
        ),
        (
            rule("links-files.outbox", "outbox/") + rule("theirs", "outbox/tmp/", 1),
            ["Rule theirs of examplebucket deletes objects in outbox/tmp/ after 1 days"],
        ),
        (
            rule("links-files.outbox", "outbox/") + rule("all", "", 7),
            ["Rule all of examplebucket deletes objects in the bucket after 7 days"],
        ),
    ],
    ids=["missing", "of a part", "another time", "a part earlier", "the bucket earlier"],
)
def test_a_rule_that_is_missing_or_another_is_a_fault(
    rules: str, sentences: list[str], oss: str
) -> None:
    found = examined(oss, ENDING, rules)
    assert [finding.level for finding in found] == ["fault"] * len(sentences)
    assert all(
        finding.sentence.startswith(sentence)
        for finding, sentence in zip(found, sentences, strict=True)
    )


@pytest.mark.parametrize(
    ("links", "rules"),
    [
        (LINKS, rule("links-files.outbox", "outbox/")),
        (LINKS, rule("links-files.gone", "gone/")),
        (ENDING, rule("links-files.outbox", "outbox/") + rule("links-files.in", "in/")),
    ],
    ids=["without the key", "without the mount", "of another mount"],
)
def test_a_rule_of_this_project_that_no_mount_wants_any_more_is_a_fault(
    links: str, rules: str, oss: str
) -> None:
    (found,) = examined(oss, links, rules)
    assert found.level == "fault"
    assert " remains: it deletes objects in " in found.sentence


@pytest.mark.parametrize(
    "rules",
    [
        rule("photos-files.outbox", "outbox/"),
        rule("theirs", "outbox/"),
        rule("links-files-shares", ".links/state/shares/"),
    ],
    ids=["another application's", "somebody else's", "of the state"],
)
def test_rules_of_others_do_not_remain(rules: str, oss: str) -> None:
    assert examined(oss, LINKS, rules) == []


@pytest.mark.parametrize("more", ["", OLD])
def test_versions_that_stay_are_a_warning(more: str, oss: str) -> None:
    deployment = deployed(oss, KEYS, ENDING)
    put(
        deployment,
        "versioning",
        "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    )
    found = examined(oss, ENDING, rule("links-files.outbox", "outbox/", more=more))
    assert [finding.level for finding in found] == ["ok" if more else "warning"]
    assert more or "add a rule for outbox/ with NoncurrentVersionExpiration" in found[0].sentence


@pytest.mark.parametrize("links", [LINKS, ENDING])
def test_what_cannot_be_read_is_unknown_only_where_files_end(links: str) -> None:
    with serving(lambda method, path: (403, {}, XML.format("AccessDenied"))) as url:
        found = levels(files(deployed(url, KEYS, links)))
    assert found == ([("unknown", "lifecycle")] if links == ENDING else [])


def test_without_credentials_nothing_is_asked() -> None:
    assert list(files(deployed("http://127.0.0.1:9", None, ENDING))) == []
