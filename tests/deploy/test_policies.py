"""Each role may do what its function's mounts need, and nothing else."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from deploy import check, policies
from deploy.account_script import rule_xml
from deploy.command import output_of, run
from deploy.errors import DeployError
from deploy.model import ConfiguredFunction, Project
from deploy.statements import UPLOAD_DAYS
from local import lfs_mount
from local.fc import s_yaml
from signer import presign
from tests.deploy import deployments
from tests.deploy.checks import shipped
from tests.deploy.project_copy import ROOT, ProjectCopy
from tests.handler.client import KEYS as KEYS_OF_A_ROLE

Document = dict[str, Any]
VARIABLES = {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}
CALLER = "acs:ram::1000000000000001:role/oss-calls-links"


def plain(props: Document, **own: object) -> Document:
    """The properties of a function, without a log and with the variables of LINKS."""
    return {
        **{name: props[name] for name in props if name != "logConfig"},
        "environmentVariables": VARIABLES,
        **own,
    }


HTTP = plain(deployments.HTTP, functionName="links-http", role="links-http")
EVENTS = plain(
    deployments.EVENTS,
    functionName="links-events",
    role="acs:ram::1000000000000001:role/links-events",
    triggers=[
        {
            "triggerName": "uploads",
            "triggerType": "oss",
            "invocationRole": CALLER,
            "sourceArn": "acs:oss:cn-hangzhou:1000000000000001:examplebucket",
            "triggerConfig": {"events": [], "filter": {"key": {"prefix": "outbox/", "suffix": ""}}},
        }
    ],
)
FUNCTIONS = {"links_http": HTTP, "links_events": EVENTS}
LINKS = """
region = "${LINK_REGION}"
keys   = "oss://${LINK_BUCKET}/.links/keys.json"
state  = "oss://${LINK_BUCKET}/.links/state/"

[[mount]]
path      = "/reports/"
target    = "oss://${LINK_BUCKET}/reports/"
max_share = "90d"

[[mount]]
path      = "/in/"
target    = "oss://other-bucket/in/"
methods   = ["PUT", "POST"]
max_size  = "10MB"
max_share = "30d"
"""
NOTICES = """
[[sink]]
name   = "manifest"
target = "oss://${LINK_BUCKET}/.links/notices/"

[[notice]]
on    = "created"
mount = "/reports/"
to    = ["manifest"]
"""
# A webhook or a robot of the keys document.
OPS = """
[[notice]]
on    = "created"
mount = "/reports/"
to    = ["ops"]
"""


def allow(actions: list[str], *resources: str) -> Document:
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def list_below(bucket: str, *prefixes: str) -> Document:
    listing = allow(["oss:ListObjects"], f"acs:oss:*:*:{bucket}")
    return {**listing, "Condition": {"StringLike": {"oss:Prefix": list(prefixes)}}}


REPORTS = allow(["oss:GetObject"], "acs:oss:*:*:examplebucket/reports/*")
TOLD_REPORTS = allow(["oss:GetObject", "oss:GetObjectVersion"], *REPORTS["Resource"])
IN = allow(
    ["oss:AbortMultipartUpload", "oss:ListParts", "oss:PutObject"], "acs:oss:*:*:other-bucket/in/*"
)
STATE_PREFIX = "acs:oss:*:*:examplebucket/.links/state/"
SHARES = allow(
    ["oss:GetObject", "oss:PutObject"],
    *(f"{STATE_PREFIX}{name}" for name in ("shares/*", "extended/*", "uses/*", "index/*", "probe")),
)
OUTBOX = [
    allow(
        ["oss:GetObject", "oss:PutObject"],
        *(
            f"{STATE_PREFIX}{name}"
            for name in ("outbox/*", "dead/*", "lease/*", "pause/*", "done/*", "probe")
        ),
    ),
    allow(
        ["oss:DeleteObject"],
        *(f"{STATE_PREFIX}{name}" for name in ("outbox/*", "dead/*", "lease/*", "pause/*")),
    ),
    list_below("examplebucket", *(f".links/state/{name}" for name in ("outbox/*", "dead/*"))),
]
STATE_LISTS = (".links/state/index/*", ".links/state/uses/*")
LIST_STATE = list_below("examplebucket", *STATE_LISTS)
LIST_IN = list_below("other-bucket", "in/*")
MANIFEST = allow(["oss:GetObject", "oss:PutObject"], "acs:oss:*:*:examplebucket/.links/notices/*")
FAILURES = allow(
    ["mns:SendMessage"], "acs:mns:cn-hangzhou:*:/queues/links-events-dev-failures/messages"
)
KEYS = allow(["oss:GetObject"], "acs:oss:*:*:examplebucket/.links/keys.json")
KEYS_PROTECTED = {**KEYS, "Effect": "Deny", "Action": ["oss:DeleteObject", "oss:PutObject"]}


def policies_for(
    folder: Path, links: str = LINKS, functions: dict[str, Document] = FUNCTIONS
) -> Document:
    (folder / "links.toml").write_text(links, encoding="utf-8")
    return policies.policies(configured(folder, functions))


def configured(
    folder: Path, functions: dict[str, Document], environment: str | None = None
) -> list[ConfiguredFunction]:
    return [
        shipped.configured(props, folder, environment, name) for name, props in functions.items()
    ]


def statements_of(documents: Document, role: str) -> list[Document]:
    policy = documents["roles"][role]["policy"]
    assert policy["Version"] == "1"
    return list(policy["Statement"])


def test_each_role_may_do_what_its_mounts_need_and_trusts_only_the_service_that_assumes_it(
    tmp_path: Path,
) -> None:
    documents = policies_for(tmp_path, LINKS + NOTICES)
    web = [IN, REPORTS, LIST_STATE, LIST_IN, SHARES, KEYS, KEYS_PROTECTED]
    assert statements_of(documents, "links-http") == web
    assert statements_of(documents, "links-events") == [
        TOLD_REPORTS,
        MANIFEST,
        KEYS,
        KEYS_PROTECTED,
        FAILURES,
    ]
    functions = [f"acs:fc:cn-hangzhou:*:functions/links-events{below}" for below in ("", "/*")]
    assert statements_of(documents, "oss-calls-links") == [allow(["fc:InvokeFunction"], *functions)]
    trust = [
        (name, role["trust"]["Statement"][0]["Principal"]["Service"])
        for name, role in documents["roles"].items()
    ]
    services = {"links-http": "fc", "links-events": "fc", "oss-calls-links": "oss"}
    assert dict(trust) == {name: [f"{service}.aliyuncs.com"] for name, service in services.items()}
    assert "operator" not in documents


def test_the_shipped_mount_for_git_lfs_needs_what_any_mount_with_get_and_put_does(
    tmp_path: Path,
) -> None:
    mount = lfs_mount.COMMENT.replace(b"# ", b"").decode()
    assert lfs_mount.COMMENT.decode() in (ROOT / "links.toml").read_text("utf-8")
    before = policies_for(tmp_path)
    after = policies_for(tmp_path, LINKS + mount)
    lfs = allow(
        ["oss:AbortMultipartUpload", "oss:GetObject", "oss:PutObject"],
        "acs:oss:*:*:examplebucket/lfs/*",
    )
    expected = statements_of(before, "links-http")
    assert [each for each in statements_of(after, "links-http") if each not in expected] == [lfs]
    events = "links-events"
    assert statements_of(after, events) == statements_of(before, events)


def test_the_events_role_has_an_outbox_where_a_notice_goes_to_a_sink_of_the_keys_document(
    tmp_path: Path,
) -> None:
    documents = policies_for(tmp_path, LINKS + OPS)
    events = [TOLD_REPORTS, *OUTBOX, KEYS, KEYS_PROTECTED, FAILURES]
    assert statements_of(documents, "links-events") == events
    assert statements_of(documents, "links-http") == statements_of(
        policies_for(tmp_path), "links-http"
    )
    shares = f'public_url = "https://links.example.com"\n{LINKS}{OPS}give = "share"'
    assert SHARES in statements_of(policies_for(tmp_path, shares), "links-events")
    # For those who repair notices.
    assert documents["operator"] == {
        "Version": "1",
        "Statement": OUTBOX,
    }


@pytest.mark.parametrize(
    ("target", "reads"),
    [("other-bucket/in/", True), ("other-bucket/", True), ("other-bucket/else/", False)],
)
def test_the_events_role_reads_the_titles_of_upload_shares_whose_files_it_reports(
    tmp_path: Path, target: str, reads: bool
) -> None:
    received = f'[[mount]]\npath = "/received/"\ntarget = "oss://{target}"\n'
    arrived = OPS.replace("/reports/", "/received/")
    documents = policies_for(tmp_path, f"{LINKS}{received}{arrived}")
    records = allow(["oss:GetObject"], f"{STATE_PREFIX}shares/*")
    assert (records in statements_of(documents, "links-events")) is reads
    timer = arrived.replace("created", "timer")
    assert records not in statements_of(
        policies_for(tmp_path, f"{LINKS}{received}{timer}"), "links-events"
    )


def test_the_http_role_writes_notices_of_opened_shares_only_where_it_may_want_to(
    tmp_path: Path,
) -> None:
    folders = [f"{STATE_PREFIX}{name}" for name in ("outbox/*", "opened/*")]
    opened = policies_for(tmp_path, LINKS + OPS.replace("created", "opened"))
    http = statements_of(opened, "links-http")
    before = statements_of(policies_for(tmp_path, LINKS), "links-http")
    assert [each for each in http if each not in before] == [
        allow(["oss:GetObject", "oss:PutObject"], *folders)
    ]
    assert statements_of(opened, "links-events")[:3] == OUTBOX  # and no right to the objects


def test_the_deployer_may_pass_these_roles_to_function_compute_only(tmp_path: Path) -> None:
    deployer = policies_for(tmp_path)["deployer"]
    functions, code, roles, events = deployer["Statement"]
    arns = [f"acs:fc:cn-hangzhou:*:functions/links-{name}" for name in ("http", "events")]
    assert functions["Resource"] == [f"{arn}{below}" for arn in arns for below in ("", "/*")]
    assert code == allow(["fc:GetTempBucketToken"], "*")
    assert roles == {
        **allow(
            ["ram:PassRole"],
            *(
                f"acs:ram::*:role/{name}"
                for name in ("links-events", "links-http", "oss-calls-links")
            ),
        ),
        "Condition": {"StringEquals": {"acs:Service": "fc.aliyuncs.com"}},
    }
    verbs = [f"oss:{verb}BucketEventNotification" for verb in ("Delete", "Get", "Put")]
    assert events == allow(verbs, "acs:oss:*:*:examplebucket")
    # Nobody passes the role of sessions.
    assert policies_for(tmp_path, LINKS + ASSUME_ROLE)["deployer"] == deployer


def test_lifecycle_rules_delete_records_and_abandoned_uploads_but_no_waiting_notice(
    tmp_path: Path,
) -> None:
    assert policies_for(tmp_path)["lifecycle"] == {
        "examplebucket": [
            {
                "ID": name,
                "Prefix": f".links/state/{folder}",
                "Status": "Enabled",
                "Expiration": {"Days": days},
            }
            for name, folder, days in (
                ("links-notices-done", "done/", 31),
                ("links-notices-leases", "lease/", 1),
                ("links-notices-pauses", "pause/", 1),
                ("links-shares", "shares/", 181),
                ("links-shares-extended", "extended/", 181),
                ("links-shares-uses", "uses/", 181),
                ("links-shares-index", "index/", 181),
                ("links-shares-opened", "opened/", 181),
            )
        ],
        "other-bucket": [
            {
                "ID": "links-uploads-in",
                "Prefix": "in/",
                "Status": "Enabled",
                "AbortMultipartUpload": {"Days": 7},
            }
        ],
    }


def test_mounts_of_one_prefix_or_of_nested_ones_have_one_rule(tmp_path: Path) -> None:
    """OSS refuses two rules of one prefix, and the same action on a prefix inside another."""
    mounts = "".join(
        f"""[[mount]]
path = "/{name}/"
target = "oss://other-bucket/{prefix}"
methods = ["PUT"]
max_size = "1MB"
access = "authenticated"
"""
        for name, prefix in (("again", "in/"), ("below", "in/deep/"), ("beside", "in2/"))
    )
    rules = policies_for(tmp_path, LINKS + mounts)["lifecycle"]["other-bucket"]
    assert [rule["Prefix"] for rule in rules] == ["in/", "in2/"]


def rules_of(folder: Path, *mounts: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Names, prefixes and actions of the rules for mounts in the other bucket: each `path prefix methods days`."""
    tables = ""
    for path, prefix, methods, days in (mount.split() for mount in mounts):
        upload = 'max_size = "1MB"' if methods != "GET" else ""
        end = f'delete_after = "{days}d"' if days != "0" else ""
        tables += f"""
[[mount]]
path = "{path}"
target = "oss://other-bucket/{prefix}"
methods = ["{methods}"]
{upload}
{end}
"""
    links = LINKS[: LINKS.index('[[mount]]\npath      = "/in/"')]
    rules = policies_for(folder, links + tables)["lifecycle"]["other-bucket"]
    return [
        (rule.pop("ID"), rule.pop("Prefix"), rule)
        for rule in rules
        if rule.pop("Status") == "Enabled"
    ]


DELETE = {"Expiration": {"Days": 61}}
ABORT = {"AbortMultipartUpload": {"Days": UPLOAD_DAYS}}


def test_what_happens_to_files_of_one_prefix_stands_in_one_rule(tmp_path: Path) -> None:
    assert rules_of(
        tmp_path, "/send/ send/ PUT 61", "/read/ read/ GET 61", "/in/ in/ PUT 0", "/out/ out/ GET 0"
    ) == [
        ("links-uploads-in", "in/", ABORT),
        ("links-files.read", "read/", DELETE),
        ("links-files.send", "send/", DELETE | ABORT),
    ]
    # Two mounts of one target have one rule, whichever of the two stores.
    for methods in (("GET", "PUT"), ("PUT", "GET")):
        mounts = [f"/{name}/ in/ {method} 61" for name, method in zip("ab", methods, strict=True)]
        assert rules_of(tmp_path, *mounts) == [("links-files.a", "in/", DELETE | ABORT)]


def test_each_rule_has_a_name_of_its_own_that_oss_accepts(tmp_path: Path) -> None:
    """OSS refuses the same name twice (EC 0014-00000020), and one of more than 255 characters (0014-00000019)."""
    long_path = "x" * 400
    rules = rules_of(
        tmp_path,
        "/a/b/ 1/ PUT 0",
        "/a-b/ 2/ PUT 0",
        "/c/d/ 3/ GET 61",
        "/c.d/ 4/ GET 61",
        f"/{long_path}y/ 5/ PUT 0",
        f"/{long_path}z/ 6/ GET 61",
        f"/{long_path}z/w/ 7/ GET 61",
    )
    names = [name for name, _, _ in rules]
    assert names[:4] == [
        "links-uploads-a-b",
        "links-uploads-a-b-",
        "links-files.c.d",
        "links-files.c.d-",
    ]
    assert len(set(names)) == len(names) == 7
    assert max(map(len, names)) <= 255


def test_the_shipped_file_deletes_nothing_until_its_comment_is_one_no_more(tmp_path: Path) -> None:
    shipped_file = (ROOT / "links.toml").read_text("utf-8")
    for text, rules in (
        (shipped_file, {"send/": ABORT}),
        (
            shipped_file.replace('# delete_after = "61d"', 'delete_after = "61d"'),
            {"send/": DELETE | ABORT},
        ),
    ):
        (written,) = policies_for(tmp_path, text)["lifecycle"].values()
        sent = {rule["Prefix"]: rule for rule in written if rule["Prefix"] == "send/"}
        assert {
            prefix: {
                name: rule[name] for name in ("Expiration", "AbortMultipartUpload") if name in rule
            }
            for prefix, rule in sent.items()
        } == rules


def test_a_prefix_inside_one_with_the_same_action_has_only_what_the_outer_has_not(
    tmp_path: Path,
) -> None:
    assert rules_of(tmp_path, "/a/ send/ PUT 61", "/b/ send/b/ PUT 61") == [
        ("links-files.a", "send/", DELETE | ABORT)
    ]
    assert rules_of(tmp_path, "/a/ send/ GET 61", "/b/ send/b/ PUT 61") == [
        ("links-files.a", "send/", DELETE),
        ("links-files.b", "send/b/", ABORT),
    ]


def test_the_emulator_accepts_the_rules_of_any_mounts(oss: str, tmp_path: Path) -> None:
    """As OSS, it refuses one prefix in two rules, and one action on a prefix inside another."""
    prefixes = ["a/", "a/b/", "a/b/c/", "b/", "b/a/", "ab/"]
    for seed in range(25):
        random = Random(seed)
        days = {first: random.choice([0, 61]) for first in ("a", "b")}
        mounts = []
        for number, prefix in enumerate(random.choices(prefixes, k=8)):
            method = random.choice(["GET", "PUT"])
            mounts.append(
                f"/{number}/ {prefix} {method} {days[prefix[0]] if prefix != 'ab/' else 0}"
            )
        shown = "".join(
            rule_xml({"ID": name, "Prefix": prefix, "Status": "Enabled", **actions})
            for name, prefix, actions in rules_of(tmp_path, *mounts)
        )
        assert not shown or put_rules(oss, shown) == 200, mounts


def put_rules(oss: str, rules: str) -> int:
    """The status of PutBucketLifecycle at the emulator."""
    deployment = deployments.deployed(oss, KEYS_OF_A_ROLE, deployments.LINKS)
    link = presign(
        "PUT",
        "examplebucket",
        None,
        credentials=KEYS_OF_A_ROLE,
        endpoint=deployment.bucket_endpoint("examplebucket"),
        expires_in=60,
        query={"lifecycle": ""},
    )
    body = f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>".encode()
    return deployment.request("PUT", link.url, link.headers, body).status


@pytest.mark.parametrize(("share", "count"), [('max_share = "1d"', 1), ("", 0)])
def test_a_mount_for_upload_pages_alone_aborts_parts(
    tmp_path: Path, share: str, count: int
) -> None:
    pages = LINKS.replace('["PUT", "POST"]', '["POST"]').replace('max_share = "30d"', share)
    documents = policies_for(tmp_path, pages)
    assert len(documents["lifecycle"].get("other-bucket", [])) == count
    assert (IN in statements_of(documents, "links-http")) is bool(count)


def test_the_rule_that_aborts_parts_has_the_days_of_the_page() -> None:
    for page in ("uploads.md", "uploads.zh-CN.md"):
        text = (ROOT / "docs" / page).read_text("utf-8")
        assert re.findall(r"<AbortMultipartUpload><Days>(\d+)<", text) == [str(UPLOAD_DAYS)]


@pytest.mark.parametrize(
    ("arn", "action"),
    [
        ("acs:mns:cn-hangzhou::/topics/failed/messages", "mns:PublishMessage"),
        ("acs:fc:cn-hangzhou:1000000000000001:functions/failed", "fc:InvokeFunction"),
        ("acs:eventbridge:cn-hangzhou:1000000000000001:eventbus/failed", "eventbridge:PutEvents"),
    ],
)
def test_the_role_may_send_to_the_destination(arn: str, action: str, tmp_path: Path) -> None:
    sending = {
        **EVENTS,
        "asyncInvokeConfig": {"destinationConfig": {"onSuccess": {"destination": arn}}},
    }
    documents = policies_for(tmp_path, functions={"links_http": HTTP, "links_events": sending})
    assert allow([action], arn.replace("::", ":*:")) in statements_of(documents, "links-events")
    assert documents["queues"] == []


def test_a_domain_with_a_certificate_needs_the_right_to_fetch_it(tmp_path: Path) -> None:
    fetch = allow(["yundun-cert:DescribeUserCertificateDetail"], "*")
    for certificate, expected in (({"certId": "12345678"}, True), ({"certName": "a"}, False)):
        domain = {
            "domainName": "links.example.com",
            "protocol": "HTTPS",
            "certConfig": certificate,
            "route": {"path": "/*"},
        }
        deployer = policies_for(tmp_path, functions={"a": {**HTTP, "customDomain": domain}})[
            "deployer"
        ]["Statement"]
        assert allow(["fc:*"], "acs:fc:cn-hangzhou:*:custom-domains/links.example.com") in deployer
        assert (fetch in deployer) is expected


def environments(
    folder: Path, links: str = LINKS, prod_links: str = LINKS, bucket: str = "examplebucket-prod"
) -> list[ConfiguredFunction]:
    """dev and prod, each with its own links.toml."""
    (folder / "links.toml").write_text(links, encoding="utf-8")
    (folder / "prod.toml").write_text(prod_links, encoding="utf-8")
    prod = {
        name: {
            **props,
            "functionName": f"{props['functionName']}-prod",
            "role": f"{props['functionName']}-prod-role",
            "environmentVariables": {
                **VARIABLES,
                "LINK_BUCKET": bucket,
                "LINK_CONFIG": "prod.toml",
            },
            "logConfig": {"project": "logs", "logstore": name},
        }
        for name, props in FUNCTIONS.items()
    }
    return [*configured(folder, FUNCTIONS, "dev"), *configured(folder, prod, "prod")]


def test_the_policies_of_all_environments_are_those_of_each(tmp_path: Path) -> None:
    rendered = environments(tmp_path)
    documents = policies.policies(rendered)
    dev, prod = (policies.policies(rendered, name) for name in ("dev", "prod"))
    assert documents["roles"] == {**dev["roles"], **prod["roles"]}
    assert documents["lifecycle"] == {**dev["lifecycle"], **prod["lifecycle"]}
    assert (dev["logs"], prod["logs"]) == ([], documents["logs"])
    # A role of CI may deploy one environment only.
    assert documents["deployers"] == {**dev["deployers"], **prod["deployers"]}
    for name, suffix in (("dev", ""), ("prod", "-prod")):
        functions = documents["deployers"][name]["Statement"][0]["Resource"]
        assert {arn.split("/")[1] for arn in functions} == {
            f"links-http{suffix}",
            f"links-events{suffix}",
        }
    queues = [{"name": "links-events-dev-failures", "region": "cn-hangzhou"}]
    assert documents["queues"] == dev["queues"] == prod["queues"] == queues


def test_the_policy_for_waiting_notices_is_over_all_environments(tmp_path: Path) -> None:
    rendered = environments(tmp_path, LINKS + OPS, LINKS + OPS)
    dev, prod = (policies.policies(rendered, name)["operator"] for name in ("dev", "prod"))
    assert dev == prod
    assert "examplebucket-prod/" in json.dumps(dev)


def functions_of(config: Path) -> Sequence[ConfiguredFunction]:
    """Those of s.yaml alone, rendered without s."""
    project = Project.load(config, lambda path, _: s_yaml.load(path, {}), base=True)
    result = check.report(project)
    return result.functions if result.faults == [] else pytest.fail(result.faults[0])


@pytest.mark.parametrize("key", ["a*/", "what?/"])
def test_a_prefix_with_a_wildcard_of_ram_is_refused(key: str, tmp_path: Path) -> None:
    target = "oss://${LINK_BUCKET}/exampledir/"
    config = ProjectCopy.of(tmp_path).edit(target, f"oss://examplebucket/{key}", "links.toml")
    with pytest.raises(
        pytest.fail.Exception, match=r"must not contain \* or \?: for RAM they are wildcards"
    ):
        functions_of(config)


@pytest.mark.parametrize("line", ["", 'log_days: "365"'])
def test_logs_are_kept_for_as_long_as_the_variable_says(line: str, tmp_path: Path) -> None:
    config = ProjectCopy.of(tmp_path).edit("log_days: 190", line)
    (http, events) = policies.policies(functions_of(config))["logs"]
    assert http["days"] == events["days"] == int(re.sub(r"\D", "", line) or 190)


@pytest.mark.parametrize("days", ["0", "3651"])
def test_a_time_for_which_no_log_can_be_kept_is_refused(days: str, tmp_path: Path) -> None:
    config = ProjectCopy.of(tmp_path).edit("log_days: 190", f"log_days: {days}")
    with pytest.raises(DeployError, match=r"s\.yaml: vars\.log_days must be 1 to 3650"):
        functions_of(config)


SIGNER = "acs:ram::1000000000000001:role/links-signer"
ASSUME_ROLE = f'[assume_role]\nrole = "{SIGNER}"\n'
ASSUME = allow(["sts:AssumeRole"], SIGNER)


def trusted_by(documents: Document, role: str) -> list[str]:
    """The names of the roles that may assume it."""
    (statement,) = documents["roles"][role]["trust"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
    arns = statement["Principal"]["RAM"]
    assert all(arn.startswith("acs:ram::1000000000000001:role/") for arn in arns)
    return [arn.rpartition("/")[2] for arn in arns]


def test_the_role_of_sessions_may_do_what_mounts_need_and_functions_may_only_assume_it(
    tmp_path: Path,
) -> None:
    documents = policies_for(tmp_path, LINKS + NOTICES + ASSUME_ROLE)
    assert list(documents["roles"]) == [
        "links-http",
        "links-events",
        "oss-calls-links",
        "links-signer",
    ]
    assert statements_of(documents, "links-signer") == [IN, LIST_IN, TOLD_REPORTS]
    assert trusted_by(documents, "links-signer") == ["links-http", "links-events"]
    assert documents["roles"]["links-signer"]["max_session_duration"] == 3600
    assert statements_of(documents, "links-http") == [
        ASSUME,
        LIST_STATE,
        SHARES,
        KEYS,
        KEYS_PROTECTED,
    ]
    assert statements_of(documents, "links-events") == [
        ASSUME,
        MANIFEST,
        KEYS,
        KEYS_PROTECTED,
        FAILURES,
    ]


def test_environments_that_share_a_role_of_sessions_have_one_that_serves_all(
    tmp_path: Path,
) -> None:
    links = LINKS + ASSUME_ROLE.replace("[assume_role]", '[assume_role]\nduration = "2h"')
    rendered = environments(tmp_path, links, links.replace('"2h"', '"12h"'))
    everything, dev = policies.policies(rendered), policies.policies(rendered, "dev")
    assert dev["roles"]["links-signer"] == everything["roles"]["links-signer"]
    assert trusted_by(dev, "links-signer") == ["links-http", "links-http-prod-role"]
    assert dev["roles"]["links-signer"]["max_session_duration"] == 43_200
    reports = {
        f"acs:oss:*:*:{bucket}/reports/*" for bucket in ("examplebucket", "examplebucket-prod")
    }
    assert reports <= {
        arn for statement in statements_of(dev, "links-signer") for arn in statement["Resource"]
    }
    # RAM knows only roles that exist, so those that are trusted are made before.
    functions = ["links-http", "links-events", "links-http-prod-role", "oss-calls-links"]
    assert list(dev["roles"]) == [*functions, "links-signer"]


VIDEOS = """
[[mount]]
path     = "/videos/"
target   = "oss://videos-bucket/videos/"
endpoint = "https://static.example.com"
cdn      = "static"
"""
READ_VIDEOS = allow(["oss:GetObject"], "acs:oss:*:*:videos-bucket/videos/*")
LIST_VIDEOS = list_below("videos-bucket", "videos/*")


@pytest.mark.parametrize("role", ["", ASSUME_ROLE], ids=["the functions' roles", "sessions"])
@pytest.mark.parametrize(
    ("more", "web", "events"),
    [
        ("", [], False),
        ("check = true", [READ_VIDEOS], True),
        ('access = "anonymous"', [READ_VIDEOS], False),  # it checks before pages
        ('access = "anonymous"\ncheck = false', [], False),
        ("list = true", [LIST_VIDEOS], False),
        ('max_share = "1d"', [READ_VIDEOS], False),
    ],
)
def test_what_a_cdn_serves_may_only_be_read_and_listed_by_what_the_service_itself_asks(
    more: str, web: list[Document], events: bool, role: str, tmp_path: Path
) -> None:
    """Links need the keys document, which each function may read."""
    head, _, sinks = NOTICES.replace("/reports/", "/videos/").partition("[[notice]]")
    links = f"{LINKS.partition('[[mount]]')[0]}{VIDEOS}{more}\n{head}[[notice]]{sinks}{role}"
    documents = policies_for(tmp_path, links)
    own = {
        name: [s for s in statements_of(documents, name) if "videos" in str(s)]
        for name in documents["roles"]
    }
    users = {"links-http": bool(web), "links-events": events}
    if role:
        assert own.get("links-signer", []) == web
        assert [name for name in users if ASSUME in statements_of(documents, name)] == [
            n for n in users if users[n]
        ]
        assert not web or trusted_by(documents, "links-signer") == [
            name for name in users if users[name]
        ]
    else:
        assert (own["links-http"], own["links-events"]) == (web, web * events)
    assert all(KEYS in statements_of(documents, name) for name in users)


FAR = {**HTTP, "functionName": "links-far", "role": "links-far", "region": "cn-beijing"}
SAME_ROLE = ASSUME_ROLE.replace("links-signer", "links-http")
OTHER_ARN = SIGNER.replace("links", "Links")
MANY = "".join(
    f'[[mount]]\npath = "/a{n}/"\ntarget = "oss://examplebucket/{"a" * 30}{n}/"\n'
    for n in range(60)
)


@pytest.mark.parametrize(
    ("more", "functions", "sentence"),
    [
        (
            "",
            {"a": HTTP, "b": {**EVENTS, "role": "links-http"}},
            "a and b: role links-http is used by 2 functions",
        ),
        (
            SAME_ROLE,
            FUNCTIONS,
            r"role links-http of \[assume_role\] or a mount is also the role of",
        ),
        (
            f'role = "{OTHER_ARN}"\n{ASSUME_ROLE}',
            FUNCTIONS,
            "have one name: write the same ARN everywhere",
        ),
        (
            "",
            {"a": HTTP, "b": FAR},
            "bucket examplebucket is used in cn-hangzhou and in cn-beijing",
        ),
        (MANY, FUNCTIONS, "characters and exceeds 6144"),
        (
            '[[mount]]\npath = "/a/"\ntarget = "oss://examplebucket/a*/"\n',
            FUNCTIONS,
            "for RAM they are wildcards",
        ),
    ],
)
def test_what_ram_or_oss_cannot_do_has_no_policies(
    more: str, functions: dict[str, Document], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(DeployError, match=sentence):
        policies_for(tmp_path, LINKS + more, functions)


def test_a_mount_in_another_region_has_its_lifecycle_rules_there(tmp_path: Path) -> None:
    links = LINKS.replace('path      = "/in/"', 'path      = "/in/"\nregion = "cn-beijing"')
    regions = {"examplebucket": "cn-hangzhou", "other-bucket": "cn-beijing"}
    assert policies_for(tmp_path, links)["bucket_regions"] == regions


@pytest.mark.parametrize(
    ("links", "environment"),
    [(LINKS.replace(".links/state", ".links/prod"), "dev"), (LINKS.replace("90d", "300d"), None)],
)
def test_two_different_rules_of_one_name_are_an_error(
    links: str, environment: str | None, tmp_path: Path
) -> None:
    """Also for one environment: its script would take the rules of another for old ones of its own."""
    with pytest.raises(
        DeployError, match="Bucket examplebucket would get two lifecycle rules named"
    ):
        policies.policies(
            environments(tmp_path, prod_links=links, bucket="examplebucket"), environment
        )


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (["links-x1-http", "links-x1-events"], "links-x1"),
        (["links-traffic", "links-traffic-dev"], "links"),
        (["photos"], "photos"),
    ],
)
def test_policies_are_called_as_functions_names_begin(
    names: list[str], prefix: str, tmp_path: Path
) -> None:
    functions = {name: {**HTTP, "functionName": name, "role": name} for name in names}
    documents = policies_for(tmp_path, functions=functions)
    assert documents["prefix"] == prefix
    assert documents["lifecycle"]["examplebucket"][0]["ID"] == f"{prefix}-notices-done"


def test_the_command_prints_the_policies_of_an_environment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert policies.main([str(ROOT / "s.yaml"), "--env", "dev"]) == 0
    printed = capsys.readouterr()
    assert (
        "warning: vars.bucket is examplebucket, a placeholder: write the name of your bucket.\n"
        in printed.err
    )
    documents = json.loads(printed.out)
    assert list(documents["roles"]) == [
        "links-http-dev-role",
        "links-events-dev-role",
        "links-events-dev-caller",
    ]
    (mount,) = [
        s
        for s in statements_of(documents, "links-http-dev-role")
        if "exampledir" in s["Resource"][0]
    ]
    assert mount["Resource"] == ["acs:oss:*:*:examplebucket/exampledir/*"]
    assert documents["queues"] == [{"name": "links-events-dev-failures", "region": "cn-hangzhou"}]
    assert policies.main([str(ROOT / "s.yaml"), "--env", "dev", "--remove"]) == 0
    removed = re.findall(
        r"(?m)^once aliyun ram DeletePolicy --PolicyName (\S+)", capsys.readouterr().out
    )
    assert removed == [*documents["roles"], "links-deployer-dev"]
    assert policies.main([str(ROOT / "s.yaml"), "--env", "dev", "--alarms"]) == 0
    created = re.findall(r"(?m)^alarm example-logs cn-hangzhou (\S+) ", capsys.readouterr().out)
    assert created == ["links-http-dev-logs"] * 5 + ["links-events-dev-logs"] * 2
    assert policies.main([str(ROOT / "s.yaml"), "--env", "dev", "--alarms", "--remove"]) == 0
    deleted = re.findall(
        r"(?m)^once aliyun sls DeleteAlert .* --alertName (\S+)$", capsys.readouterr().out
    )
    assert "links-http-dev-logs-no-links" in deleted
    assert "links-events-dev-logs-waiting-notices" in deleted


@pytest.mark.parametrize("kind", ["--commands", "--alarms", "--remove"])
def test_on_a_terminal_a_script_ends_with_how_to_keep_it(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [str(ROOT / "s.yaml"), "--env", "dev", kind]
    with monkeypatch.context() as terminal:
        terminal.setattr("sys.stdout.isatty", lambda: True)
        assert policies.main(arguments) == 0
    advice = "write it to a file with >"
    assert advice in capsys.readouterr().err
    assert policies.main(arguments) == 0
    assert advice not in capsys.readouterr().err


def test_a_faulty_file_has_no_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ProjectCopy.of(tmp_path).edit(
        "functionName: links-http-dev", "functionName: a$(touch x)b-http"
    )
    sentence = (
        "has a fault, so its policies would be wrong: links_http: functionName a$(touch x)b-http is"
    )
    with pytest.raises(DeployError, match=re.escape(sentence)):
        policies.main([str(config)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("interrupted", "options", "status", "said"),
    [
        (True, "", 130, "make policies: Interrupted.\n"),
        (False, ", unread=0", 0, ""),
        (False, "", 1, ""),
    ],
)
def test_who_stops_the_command_gets_no_traceback(
    interrupted: bool, options: str, status: int, said: str
) -> None:
    code = (
        "import sys\nfrom deploy.command import run\n"
        f"def main():\n    if {interrupted}: raise KeyboardInterrupt\n    print('x' * 1_000_000)\n    return 0\n"
        f"sys.exit(run('make policies', main{options}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, said)


def test_ctrl_c_while_modules_are_loaded_is_a_sentence() -> None:
    code = "import sys; sys.argv = ['-m']; import deploy; sys.argv = ['deploy/check.py']; raise KeyboardInterrupt"
    done = output_of([sys.executable, "-c", code], 60, cwd=ROOT)
    assert (done.returncode, done.stderr) == (
        -signal.SIGINT,
        "python -m deploy.check: Interrupted.\n",
    )


def test_each_fault_of_a_package_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise DeployError("The package cannot be deployed:\n  one\n  two")

    assert run("make build", fail) == 1
    assert capsys.readouterr().err == "make build: The package cannot be deployed:\n  one\n  two\n"
