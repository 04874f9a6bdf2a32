"""The doctor says which roles, queues, log projects and logstores a deployment still needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import account_script
from deploy.command import output_of
from deploy.policies import policies as documents
from deploy.probes import account, aliyun
from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from tests.deploy.account import Account
from tests.deploy.deployments import EVENTS, HTTP, LINKS, deployed, install_aliyun, readable

SCRIPT = "run the script of make policies FORMAT=commands."
ROLES = {
    "links-http-dev-role": "fc.aliyuncs.com",
    "links-events-dev-role": "fc.aliyuncs.com",
    "links-events-dev-caller": "oss.aliyuncs.com",
}
QUEUE = (
    "mns-open GetQueueAttributes --force --region cn-hangzhou --QueueName links-events-dev-failures"
)
PROJECT = "sls GetProject --project example-logs --region cn-hangzhou"
LOGSTORE = "sls GetLogStore --project example-logs --region cn-hangzhou --logstore {}"
INDEX = LOGSTORE.replace("LogStore", "Index")
DEPLOYER = "ram GetPolicy --PolicyType Custom --PolicyName links-deployer"
ENTITIES = DEPLOYER.replace("GetPolicy", "ListEntitiesForPolicy")


def trusting(longest: int = 7200, **principals: Sequence[str]) -> Mapping[str, object]:
    """A role."""
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": principals, "Action": "sts:AssumeRole"}]
    }
    return {"Role": {"AssumeRolePolicyDocument": json.dumps(trust), "MaxSessionDuration": longest}}


def role(service: str) -> Mapping[str, object]:
    return trusting(Service=[service])


def policies(name: str, kind: str = "Custom", *more: Mapping[str, str]) -> Mapping[str, object]:
    return {"Policies": {"Policy": [{"PolicyName": name, "PolicyType": kind}, *more]}}


def needed(
    links: str = LINKS, kind: str = "roles", web: Mapping[str, Any] = HTTP
) -> Mapping[str, Any]:
    """The roles, or the deployer's policy, as `make policies` prints them."""
    made: Mapping[str, Any] = documents(
        deployed("http://127.0.0.1:9", None, links, "", web, EVENTS).functions
    )[kind]
    return made


def document(policy: object) -> Mapping[str, object]:
    """An answer of GetPolicy."""
    return {
        "Policy": {"DefaultVersion": "v2"},
        "DefaultPolicyVersion": {"PolicyDocument": json.dumps(policy)},
    }


def entities(**attached: Sequence[str]) -> Mapping[str, object]:
    """An answer of ListEntitiesForPolicy."""
    return {
        kind: {kind.removesuffix("s"): [{"Name": name} for name in attached.get(kind, ())]}
        for kind in ("Users", "Groups", "Roles")
    }


FULL = {"Effect": "Allow", "Action": ["oss:*"], "Resource": ["*"]}
GET_POLICY = "ram GetPolicy --PolicyType Custom --PolicyName {}"
GOOD: Mapping[str, object] = {
    **{f"ram GetRole --RoleName {name}": role(service) for name, service in ROLES.items()},
    **{f"ram ListPoliciesForRole --RoleName {name}": policies(name) for name in ROLES},
    **{
        GET_POLICY.format(name): document(documents["policy"])
        for name, documents in needed().items()
    },
    QUEUE: {"Code": 200, "Success": True, "Data": {"QueueName": "links-events-dev-failures"}},
    PROJECT: {"projectName": "example-logs", "status": "Normal"},
    LOGSTORE.format("links-http-dev-logs"): {"logstoreName": "links-http-dev-logs", "ttl": 190},
    LOGSTORE.format("links-events-dev-logs"): {
        "logstoreName": "links-events-dev-logs",
        "ttl": 3650,
    },
    INDEX.format("links-http-dev-logs"): account_script.INDEX,
    INDEX.format("links-events-dev-logs"): {
        "max_text_len": 65_536,
        "keys": {**account_script.INDEX["keys"], "own": {"type": "text"}},
    },
    DEPLOYER: document(needed(kind="deployer")),
    ENTITIES: entities(Users=["links-deploy"]),
}


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("PATH", str(tmp_path))
    return deployed("http://127.0.0.1:9", None, LINKS, "", HTTP, EVENTS)


def examined(deployment: Deployment) -> list[Finding]:
    return readable(
        [*account.roles(deployment), *account.queues(deployment), *account.logs(deployment)]
    )


def test_everything_that_the_functions_name_is_looked_up(
    deployment: Deployment, tmp_path: Path
) -> None:
    install_aliyun(tmp_path, GOOD)
    findings = examined(deployment)
    assert {finding.level for finding in findings} == {"ok"}
    assert [finding.sentence for finding in findings] == [
        "links-http-dev-role trusts fc.aliyuncs.com and has its policy.",
        "links-events-dev-role trusts fc.aliyuncs.com and has its policy.",
        "links-events-dev-caller trusts oss.aliyuncs.com and has its policy.",
        "links-deployer allows s deploy.",
        "links-events-dev-failures exists, for failed events.",
        "example-logs has the logstore links-http-dev-logs, with its index, for 190 days.",
        "example-logs has the logstore links-events-dev-logs, with its index, for 190 days.",
    ]


ROLE = "ram GetRole --RoleName links-events-dev-role"
CALLER = "ram GetRole --RoleName links-events-dev-caller"
POLICIES = "ram ListPoliciesForRole --RoleName links-events-dev-role"
NO_POLICY = "links-events-dev-role does not have the custom policy links-events-dev-role, so it allows too little"
NO_QUEUE = (
    "Queue links-events-dev-failures not found in cn-hangzhou, so failed events would be lost"
)
NAME = "links-events-dev-role"
POLICY = needed()[NAME]["policy"]["Statement"]
OTHERS = trusting(
    Service=["fc.aliyuncs.com"], RAM=["acs:ram::9:root"], Federated=["acs:ram::1:oidc/x"]
)
TRUSTS_OTHERS = (
    f"{NAME} also trusts acs:ram::1:oidc/x and acs:ram::9:root, who may do all that it may"
)
DIFFERS = f"The policy {NAME} is not what links.toml needs"
WEB_LOGS, EVENT_LOGS = (LOGSTORE.format(f"links-{name}-dev-logs") for name in ("http", "events"))
NO_LOGS = "Logstore links-events-dev-logs not found in example-logs, so logs would be lost"
SHORT = "links-http-dev-logs keeps lines for 90 days, and not for 190"
EVENT_INDEX = INDEX.format("links-events-dev-logs")
OWN_INDEX = {"keys": {**account_script.INDEX["keys"], "message": {"type": "json"}, "operation": {}}}
NO_INDEX = "links-events-dev-logs has no index, so queries and alarms find nothing"
SHORT_INDEX = {**account_script.INDEX, "max_text_len": 2048}
OLD_INDEX = {"keys": account_script.INDEX["keys"]}
CUT = (
    "The index of links-events-dev-logs cuts lines that are shorter than 16384 bytes, which queries and alarms then "
    "miss"
)
DENY = {
    "Effect": "Deny",
    "Action": ["oss:GetObject"],
    "Resource": ["acs:oss:*:*:examplebucket/a/*"],
}
DENIES = (
    f"The policy {NAME} denies what links.toml may need, and no other statement allows that again"
)
LACKS = "The index of links-events-dev-logs lacks message, operation of the queries and alarms"
# A command, its answer, the level of what is found, and the sentence before its advice.
FOUND: list[tuple[str, object, str, str]] = [
    (ROLE, "EntityNotExist.Role", "fault", f"Role {NAME} not found"),
    (ROLE, role("ecs.aliyuncs.com"), "fault", f"{NAME} does not trust fc.aliyuncs.com"),
    (ROLE, OTHERS, "warning", TRUSTS_OTHERS),
    (
        CALLER,
        role("fc.aliyuncs.com"),
        "fault",
        "links-events-dev-caller does not trust oss.aliyuncs.com",
    ),
    (POLICIES, {"Policies": {"Policy": []}}, "fault", NO_POLICY),
    (POLICIES, policies(NAME, "System"), "fault", NO_POLICY),
    (
        GET_POLICY.format(NAME),
        document({"Statement": POLICY[1:]}),
        "fault",
        DIFFERS,
    ),  # before a mount was added
    (GET_POLICY.format(NAME), document({"Statement": [*POLICY, FULL]}), "warning", DIFFERS),
    (QUEUE, "QueueNotExist", "fault", NO_QUEUE),
    (
        QUEUE,
        {"Code": "QueueNotExist", "Success": False},
        "fault",
        NO_QUEUE,
    ),  # with the status of a success
    (EVENT_LOGS, "LogStoreNotExist", "fault", NO_LOGS),
    (
        GET_POLICY.format(NAME),
        document({"Statement": [*POLICY, DENY]}),
        "fault",
        DENIES,
    ),
    (WEB_LOGS, {"ttl": 90}, "warning", SHORT),
    (EVENT_INDEX, "IndexConfigNotExist", "fault", NO_INDEX),
    (EVENT_INDEX, {**account_script.INDEX, **OWN_INDEX}, "fault", LACKS),
    (EVENT_INDEX, SHORT_INDEX, "fault", CUT),
    (EVENT_INDEX, OLD_INDEX, "fault", CUT),
]
SUBJECTS = {"ram": "role", "mns-open": "queue", "sls": "log"}


@pytest.mark.parametrize(("command", "answer", "level", "sentence"), FOUND)
def test_what_is_missing_or_of_others_is_found_with_what_makes_it_right(
    command: str, answer: object, level: str, sentence: str, deployment: Deployment, tmp_path: Path
) -> None:
    install_aliyun(tmp_path, {**GOOD, command: answer})
    (finding,) = [each for each in examined(deployment) if each.level != "ok"]
    assert finding == (level, SUBJECTS[command.split()[0]], f"{sentence}: {SCRIPT}")


def test_another_policy_of_a_role_is_named_with_what_detaches_it(
    deployment: Deployment, tmp_path: Path
) -> None:
    both = policies(NAME, "Custom", {"PolicyName": "AliyunOSSFullAccess", "PolicyType": "System"})
    install_aliyun(tmp_path, {**GOOD, POLICIES: both})
    (finding,) = [each for each in examined(deployment) if each.level != "ok"]
    assert finding == (
        "warning",
        "role",
        f"{NAME} also has the policy AliyunOSSFullAccess: run aliyun ram DetachPolicyFromRole --PolicyType System "
        f"--PolicyName AliyunOSSFullAccess --RoleName {NAME} to remove it.",
    )


def test_a_deployer_s_policy_from_before_a_domain_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it, `s deploy` ends in AccessDenied after it has changed the functions."""
    monkeypatch.setenv("PATH", str(tmp_path))
    web = {
        **HTTP,
        "customDomain": {
            "domainName": "links.example.com",
            "protocol": "HTTP",
            "route": {"path": "/*"},
        },
    }
    deployment = deployed("http://127.0.0.1:9", None, LINKS, "", web, EVENTS)
    install_aliyun(tmp_path, GOOD)
    (finding,) = [each for each in account.roles(deployment) if each.level != "ok"]
    lacking = "fc:* on acs:fc:cn-hangzhou:*:custom-domains/links.example.com"
    sentence = (
        f"The policy links-deployer lacks {lacking}, so s deploy would end half way: {SCRIPT}"
    )
    assert finding == ("fault", "deployer", sentence)
    # It may be for other environments, too.
    policy = {"Statement": [FULL, *needed(kind="deployer", web=web)["Statement"]]}
    policy["Statement"][1]["Resource"].insert(0, "acs:fc:cn-hangzhou:*:functions/links-http")
    install_aliyun(tmp_path, {**GOOD, DEPLOYER: document(policy)})
    assert {each.level for each in account.roles(deployment)} == {"ok"}


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ("dev", ["links-traffic-dev"]),
        ("prod", ["links-traffic"]),
        (None, ["links-http-dev", "links-events-dev"]),
    ],
)
def test_the_deployer_s_policy_is_that_over_all_environments(
    environment: str | None, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    props = [{**HTTP, "functionName": name, "role": f"{name}-role"} for name in names]
    deployment = deployed("http://127.0.0.1:9", None, LINKS, "", *props)
    functions = tuple(replace(each, environment_name=environment) for each in deployment.functions)
    install_aliyun(tmp_path, {DEPLOYER: "EntityNotExist.Policy"})
    (finding,) = [
        each
        for each in account.roles(replace(deployment, functions=functions))
        if each.subject != "role"
    ]
    sentence = f"Policy links-deployer not found, so what the deployer may do is unknown: {SCRIPT}"
    assert finding == ("unknown", "deployer", sentence)


def test_a_deployer_s_policy_that_nobody_has_is_a_warning(
    deployment: Deployment, tmp_path: Path
) -> None:
    """A group or a role that CI assumes may have it as well as a user."""
    for attached in ({"Groups": ["ops"]}, {"Roles": ["links-deploy-dev"]}):
        install_aliyun(tmp_path, {**GOOD, ENTITIES: entities(**attached)})
        assert {each.level for each in account.roles(deployment)} == {"ok"}
    install_aliyun(tmp_path, {**GOOD, ENTITIES: entities()})
    (finding,) = [each for each in account.roles(deployment) if each.level != "ok"]
    assert finding == (
        "warning",
        "deployer",
        f"Nobody has the policy links-deployer, so only somebody with other rights can deploy: {SCRIPT}",
    )


ALERTS = "sls ListAlerts --project example-logs --logstore links-{}-dev-logs --size 200 --region cn-hangzhou"
OF_WEB = ("outdated-keys", "no-links", "server-errors", "99th-percentile", "guessed-shares")
WAITING = ("waiting-notices", "dead-notices", "ticks")


def alerts(function: str, *names: str) -> Mapping[str, object]:
    """An answer of ListAlerts."""
    results = [{"name": f"links-{function}-dev-logs-{name}"} for name in names]
    return {"total": len(results), "count": len(results), "results": results}


def test_alarms_that_do_not_exist_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of waiting notices are missing where the alarms were made before the first webhook."""
    monkeypatch.setenv("PATH", str(tmp_path))
    links = LINKS.replace('to    = ["manifest"]', 'to    = ["manifest", "ops"]')
    deployment = deployed("http://127.0.0.1:9", None, links, "", HTTP, EVENTS)
    of_events = ("outdated-keys", "failed-events")
    install_aliyun(
        tmp_path,
        {
            ALERTS.format("http"): alerts("http", *OF_WEB, "own"),
            ALERTS.format("events"): alerts("events", *of_events),
        },
    )
    fine, finding = account.alarms(deployment)
    assert fine == ("ok", "alarms", "example-logs has the alarms of links-http-dev-logs.")
    missing = ", ".join(f"links-events-dev-logs-{name}" for name in WAITING)
    assert finding == (
        "warning",
        "alarms",
        f"Alarms {missing} not found in example-logs: run the script of make alarms.",
    )
    install_aliyun(tmp_path, {ALERTS.format("http"): alerts("http")})
    finding, refused = account.alarms(deployment)
    assert all(f"links-http-dev-logs-{name}" in finding.sentence for name in OF_WEB)
    assert refused.level == "unknown"
    assert refused.sentence.endswith("(NoPermission): allow log:ListJobs.")


def test_of_functions_without_a_role_only_the_check_says_something(
    deployment: Deployment, tmp_path: Path
) -> None:
    install_aliyun(tmp_path, GOOD)
    functions = tuple(
        replace(each, function=replace(each.function, role="")) for each in deployment.functions
    )
    assert list(account.roles(replace(deployment, functions=functions))) == []


def test_without_its_project_no_logstore_is_looked_up(
    deployment: Deployment, tmp_path: Path
) -> None:
    install_aliyun(tmp_path, {**GOOD, PROJECT: "ProjectNotExist"})
    (finding,) = account.logs(deployment)
    assert finding.level == "fault"
    assert finding.sentence.startswith("Log project example-logs not found in cn-hangzhou")


SIGNER = "acs:ram::1000000000000001:role/links-signer"
FUNCTIONS = [f"acs:ram::1000000000000001:role/links-{name}-dev-role" for name in ("events", "http")]


ROOT_USER = "acs:ram::1000000000000001:root"
# RAM does not distinguish capital letters in the names of roles, and other environments may share the role.
CAPITALS = [*(arn.replace("links", "Links") for arn in FUNCTIONS), f"{SIGNER}-prod"]


@pytest.mark.parametrize(
    ("trusted", "longest", "level", "sentence"),
    [
        (CAPITALS, 7200, "ok", f"trusts {' and '.join(FUNCTIONS)} and has its policy."),
        (FUNCTIONS[1:], 7200, "fault", f"does not trust {FUNCTIONS[0]}: {SCRIPT}"),
        (
            FUNCTIONS,
            3600,
            "fault",
            f"allows sessions of 3600 s, shorter than the 7200 s needed: {SCRIPT}",
        ),
        (
            [*FUNCTIONS, ROOT_USER],
            7200,
            "warning",
            f"also trusts {ROOT_USER}, who may do all that it may: {SCRIPT}",
        ),
    ],
)
def test_a_role_of_sessions_trusts_the_functions_and_allows_long_sessions(
    trusted: list[str],
    longest: int,
    level: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    links = f'{LINKS}[assume_role]\nrole = "{SIGNER}"\nduration = "2h"\n'
    # Another environment may have statements of its own in the same policy.
    policy = needed(links)["links-signer"]["policy"]
    policy["Statement"].append(
        {"Effect": "Allow", "Action": ["oss:GetObject"], "Resource": ["acs:oss:*:*:prod/*"]}
    )
    answers = {
        "ram GetRole --RoleName links-signer": trusting(longest, RAM=trusted),
        "ram ListPoliciesForRole --RoleName links-signer": policies("links-signer"),
        GET_POLICY.format("links-signer"): document(policy),
    }
    install_aliyun(tmp_path, {**GOOD, **answers})
    *_, finding, _ = account.roles(deployed("http://127.0.0.1:9", None, links, "", HTTP, EVENTS))
    assert finding == (level, "role", f"links-signer {sentence}")


PERMISSIONS = {
    ROLE: "ram:GetRole",
    POLICIES: "ram:ListPoliciesForRole",
    GET_POLICY.format("links-http-dev-role"): "ram:GetPolicy",
    QUEUE: "mns:GetQueueAttributes",
    PROJECT: "log:GetProject",
    WEB_LOGS: "log:GetLogStore",
    INDEX.format("links-http-dev-logs"): "log:GetIndex",
    DEPLOYER: "ram:GetPolicy",
    ENTITIES: "ram:ListEntitiesForPolicy",
}


@pytest.mark.parametrize("command", PERMISSIONS)
def test_a_command_that_is_refused_is_unknown_and_names_the_permission(
    command: str, deployment: Deployment, tmp_path: Path
) -> None:
    install_aliyun(tmp_path, {**GOOD, command: "NoPermission"})
    (finding,) = [finding for finding in examined(deployment) if finding.level != "ok"]
    assert finding.level == "unknown"
    assert (
        f"aliyun {command} failed (NoPermission): allow {PERMISSIONS[command]}" in finding.sentence
    )


@pytest.mark.parametrize(
    ("error", "shown"),
    [("Throttling.User", "failed (Throttling.User)"), ("unchecked version 2022-01-19", "failed")],
)
def test_another_error_ends_one_probe_and_asks_for_no_permission(
    error: str, shown: str, deployment: Deployment, tmp_path: Path
) -> None:
    """Also an error without a code, of the CLI itself."""
    install_aliyun(tmp_path, {**GOOD, QUEUE: error})
    (finding,) = [finding for finding in examined(deployment) if finding.level != "ok"]
    assert finding.level == "unknown"
    assert finding.sentence.endswith(f"aliyun {QUEUE} {shown}: run it to see why.")


def test_an_answer_that_is_not_understood_is_never_ok(
    deployment: Deployment, tmp_path: Path
) -> None:
    install_aliyun(
        tmp_path,
        {command: {"Role": 1, "Policies": 1} for command in GOOD if command.startswith("ram")},
    )
    assert "ok" not in {finding.level for finding in account.roles(deployment)}


def test_an_aliyun_command_that_is_not_configured_ends_the_probe(
    deployment: Deployment, tmp_path: Path
) -> None:
    install_aliyun(tmp_path, dict.fromkeys(GOOD, "default is not configured"))
    with pytest.raises(
        aliyun.Unusable, match="GetRole --RoleName links-http-dev-role failed: run aliyun configure"
    ):
        examined(deployment)


OTHER = {"path": "/other/*", "functionName": "other", "methods": ["GET"]}


def route(function: str, qualifier: str) -> Mapping[str, str]:
    return {"path": "/*", "functionName": function, "qualifier": qualifier}


@pytest.mark.parametrize(
    ("routes", "level", "sentence"),
    [
        ([OTHER, route("links-http-dev", "prod")], "ok", "leads to links-http-dev, prod."),
        (None, "ok", "does not lead to links-http-dev yet: s deploy adds the route."),
        ([OTHER], "ok", "does not lead to links-http-dev yet: s deploy adds the route."),
        (
            [OTHER, route("links-http-dev", "LATEST")],
            "fault",
            "leads to links-http-dev, LATEST, and not to",
        ),
        (
            [route("links-traffic-dev", "prod"), OTHER],
            "fault",
            "leads to links-traffic-dev, prod, and not to",
        ),
    ],
)
def test_a_domain_that_leads_elsewhere_is_found_with_the_command_that_moves_it(
    routes: list[object] | None,
    level: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stand-in of the command knows its parameters."""
    cli, name = Account(tmp_path), "cn-hangzhou links.example.com"
    cli.write({**cli.state, "domains": {name: {"routes": routes}} if routes else {}})
    monkeypatch.setenv("PATH", cli.path)
    domain = {
        "domainName": "links.example.com",
        "protocol": "HTTP",
        "route": {"path": "/*", "qualifier": "prod"},
    }
    deployment = deployed("http://127.0.0.1:9", None, LINKS, "", {**HTTP, "customDomain": domain})
    (finding,) = readable(account.domains(deployment))
    assert (finding.level, finding.subject) == (level, "domain")
    assert sentence in finding.sentence
    if level == "fault":
        assert (
            output_of(["sh", "-ec", finding.sentence.partition("or run ")[2]], 60).returncode == 0
        )
        moved = cli.state["domains"][name]["routes"]
        assert moved in (
            [OTHER, route("links-http-dev", "prod")],
            [route("links-http-dev", "prod"), OTHER],
        )
        assert [finding.level for finding in account.domains(deployment)] == ["ok"]
