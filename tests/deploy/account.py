"""An account behind a stand-in of the `aliyun` CLI: what its commands create is kept in a file beside it.

It knows the operations that the documentation of RAM, SMQ, SLS, CloudMonitor, FC and OSS names, with the parameters in
the CLI's metadata (of April 2026) and their errors, and refuses every other command.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False  # an import of `typing` would take a fifth of the time of a command
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, NoReturn

State = dict[str, dict[str, "Any"]]
# The longest sessions are those of roles, in seconds.
KINDS = (
    "roles",
    "longest_sessions",
    "policies",
    "attached",
    "users",
    "queues",
    "projects",
    "logstores",
    "indexes",
    "alerts",
    "lifecycle",
    "buckets",
    "objects",
    "domains",
    "identity_providers",
)
PARAMETERS = {
    "cms DescribeMetricLast": "Dimensions EndTime Express Length MetricName Namespace NextToken Period StartTime",
    "fc GetCustomDomain": "domainName",
    "fc UpdateCustomDomain": "body domainName",
    "ims CreateOIDCProvider": "ClientIds Description Fingerprints IssuanceLimitTime IssuerUrl OIDCProviderName",
    **{
        f"mns-open {action}": "QueueName"
        for action in ("CreateQueue", "DeleteQueue", "GetQueueAttributes")
    },
    **{
        f"ram {action}Role": "PolicyName PolicyType RoleName"
        for action in ("AttachPolicyTo", "DetachPolicyFrom")
    },
    **{
        f"ram {action}User": "PolicyName PolicyType UserName"
        for action in ("AttachPolicyTo", "DetachPolicyFrom")
    },
    "ram CreatePolicy": "Description PolicyDocument PolicyName Tag",
    "ram CreatePolicyVersion": "PolicyDocument PolicyName RotateStrategy SetAsDefault",
    "ram CreateRole": "AssumeRolePolicyDocument Description MaxSessionDuration RoleName Tag",
    "ram DeletePolicy": "CascadingDelete PolicyName",
    **{f"ram {action}Role": "RoleName" for action in ("Delete", "Get", "ListPoliciesFor")},
    "ram GetPolicy": "PolicyName PolicyType",
    "ram ListEntitiesForPolicy": "PolicyName PolicyType",
    "ram ListPoliciesForUser": "UserName",
    "ram UpdateRole": "NewAssumeRolePolicyDocument NewDescription NewMaxSessionDuration RoleName",
    **{f"sls {action}": "body project" for action in ("CreateAlert", "CreateLogStore")},
    **{
        f"sls {action}": "body logstore project"
        for action in ("CreateIndex", "UpdateIndex", "UpdateLogStore")
    },
    **{f"sls {action}Alert": "alertName project" for action in ("Delete", "Get")},
    **{f"sls {action}": "logstore project" for action in ("GetIndex", "GetLogStore")},
    "sls CreateProject": "body",
    "sls GetProject": "project",
    "sls ListAlerts": "logstore offset project size",
    "sls UpdateAlert": "alertName body project",
}
# What the pages of the operations name in the body of a request, and of its parts.
ALERT = {"displayName", "description", "schedule", "configuration"}
CONFIGURATION = {
    "version",
    "type",
    "dashboard",
    "threshold",
    "queryList",
    "groupConfiguration",
    "severityConfigurations",
    "annotations",
    "autoAnnotation",
    "sendResolved",
    "noDataFire",
    "noDataSeverity",
    "policyConfiguration",
}
INDEX = {
    "keys",
    "line",
    "log_reduce",
    "log_reduce_black_list",
    "log_reduce_white_list",
    "max_text_len",
    "ttl",
}
FIELD = {
    "type",
    "doc_value",
    "token",
    "alias",
    "caseSensitive",
    "chn",
    "index_all",
    "max_depth",
    "json_keys",
}


class Account:
    """Its state, and the commands that were run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = folder / "aliyun"
        # A script calls it often: a module that is imported is compiled only once, and needs no site-packages.
        here = os.path.dirname(__file__)
        start = (
            "import sys; sys.path[0] = sys.argv.pop(1); import account; account.main(*sys.argv[1:])"
        )
        command.write_text(
            f"#!/bin/sh\nexec '{sys.executable}' -S -c '{start}' '{here}' \"${{0%/*}}\" \"$@\"\n",
            encoding="utf-8",
        )
        command.chmod(0o755)
        self.write({kind: {} for kind in KINDS})

    @property
    def state(self) -> State:
        return read(self.folder)

    def write(self, state: State) -> None:
        write(self.folder, state)

    @property
    def calls(self) -> list[list[str]]:
        file = self.folder / "calls"
        return (
            [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            if file.exists()
            else []
        )

    @property
    def path(self) -> str:
        """For the environment variable PATH."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"


def read(folder: Path | str) -> State:
    with open(os.path.join(folder, "account.json"), encoding="utf-8") as file:
        state: State = json.load(file)
    return state


def write(folder: Path | str, state: State) -> None:
    with open(os.path.join(folder, "account.json"), "w", encoding="utf-8") as file:
        json.dump(state, file)


def fail(code: str) -> NoReturn:
    """As the CLI does for an error of the service."""
    sys.exit(f"ERROR: SDK.ServerError\nErrorCode: {code}\nRecommend: \nRequestId: 0C01-EXAMPLE")


def options(words: list[str]) -> dict[str, str]:
    """`--name value` pairs; `--force` has no value."""
    pairs = [word for word in words if word != "--force"]
    if len(pairs) % 2 or not all(name.startswith("--") for name in pairs[::2]):
        fail(f"InvalidParameter: {' '.join(words)}")
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def create(records: dict[str, Any], name: str, value: object, code: str) -> dict[str, object]:
    if name in records:
        fail(code)
    records[name] = value
    return {}


def get(records: dict[str, Any], name: str, code: str) -> Any:
    if name not in records:
        fail(code)
    return records[name]


def trust_in(state: State, document: str) -> str:
    """The trust policy; it names only roles that exist."""
    for statement in json.loads(document)["Statement"]:
        for arn in statement["Principal"].get("RAM", []):
            get(
                state["roles"],
                arn.rpartition("role/")[2],
                "InvalidParameter.AssumeRolePolicyDocument",
            )
    return document


def ram(state: State, action: str, given: dict[str, str]) -> object:
    roles = state["roles"]
    policies = state["policies"]
    attached = state["attached"]
    role, policy = given.get("RoleName", ""), given.get("PolicyName", "")
    if action == "GetRole":
        trust, longest = get(roles, role, "EntityNotExist.Role"), state["longest_sessions"][role]
        return {
            "Role": {
                "RoleName": role,
                "AssumeRolePolicyDocument": trust,
                "MaxSessionDuration": longest,
            }
        }
    if action in ("CreateRole", "UpdateRole"):
        new = {name.removeprefix("New"): value for name, value in given.items()}
        trust = trust_in(state, new["AssumeRolePolicyDocument"])
        longest = int(new.get("MaxSessionDuration", "3600"))
        if not 3600 <= longest <= 43_200:
            fail("InvalidParameter.MaxSessionDuration")
        if action == "CreateRole":
            create(roles, role, trust, "EntityAlreadyExists.Role")
        get(roles, role, "EntityNotExist.Role")
        roles[role], state["longest_sessions"][role] = trust, longest
        return {}
    if action == "GetPolicy":
        default = json.dumps(get(policies, policy, "EntityNotExist.Policy")[-1], indent=2)
        return {
            "Policy": {"PolicyName": policy},
            "DefaultPolicyVersion": {"PolicyDocument": default},
        }
    if action in ("DeleteRole", "DeletePolicy"):
        records, name = (roles, role) if action == "DeleteRole" else (policies, policy)
        if any(name in key.split()[1:] for key in attached):
            fail("DeleteConflict.Policy")
        versions = get(records, name, f"EntityNotExist.{action.removeprefix('Delete')}")
        if (
            action == "DeletePolicy"
            and len(versions) > 1
            and given.get("CascadingDelete") != "true"
        ):
            fail("DeleteConflict.Policy.Version")
        del records[name]
        return {}
    if action == "CreatePolicy":
        return create(
            policies, policy, [json.loads(given["PolicyDocument"])], "EntityAlreadyExists.Policy"
        )
    if action == "CreatePolicyVersion":
        versions = get(policies, policy, "EntityNotExist.Policy")
        if len(versions) == 5 and "RotateStrategy" not in given:
            fail("LimitExceeded.Policy.Version")
        versions.append(json.loads(given["PolicyDocument"]))
        del versions[:-5]
        return {}
    if action == "ListEntitiesForPolicy":
        get(policies, policy, "EntityNotExist.Policy")
        having = [key.split()[:2] for key in attached if key.split()[2] == policy]
        return {
            f"{kind}s": {kind: [{f"{kind}Name": name} for other, name in having if other == kind]}
            for kind in ("User", "Group", "Role")
        }
    kind, name = action[-4:], role or given["UserName"]
    if action == f"AttachPolicyTo{kind}":
        get(policies, policy, "EntityNotExist.Policy")
        if kind == "Role":
            get(roles, role, "EntityNotExist.Role")
        return create(
            attached, f"{kind} {name} {policy}", True, f"EntityAlreadyExists.{kind}.Policy"
        )
    if action == f"DetachPolicyFrom{kind}":
        get(attached, f"{kind} {name} {policy}", f"EntityNotExist.{kind}.Policy")
        del attached[f"{kind} {name} {policy}"]
        return {}
    names = [key.split()[2] for key in attached if key.split()[:2] == [kind, name]]
    return {
        "Policies": {"Policy": [{"PolicyName": name, "PolicyType": "Custom"} for name in names]}
    }


def queues(state: State, action: str, given: dict[str, str]) -> object:
    # The CLI has a region of its own.
    name = f"{given.get('region', 'cn-hangzhou')} {given['QueueName']}"
    if action == "CreateQueue":
        return create(
            state["queues"], name, {"ActiveMessages": 0, "visible": 0}, "QueueAlreadyExist"
        )
    queue = get(state["queues"], name, "QueueNotExist")
    if action == "GetQueueAttributes":
        return {
            "Data": {
                "QueueName": given["QueueName"],
                "InactiveMessages": 0,
                "DelayMessages": 0,
                **queue,
            }
        }
    del state["queues"][name]
    return {}


def metrics(state: State, action: str, given: dict[str, str]) -> object:
    """Of queues, `visible` of each; None if there is no count."""
    assert given["Namespace"] == "acs_smq"
    visible = given["MetricName"] == "NumberOfMessagesVisible"
    points = [
        {
            "timestamp": 1772347260000,
            "userId": "1",
            "queueName": name.split()[1],
            "Maximum": queue["visible"] * visible,
        }
        for name, queue in state["queues"].items()
        if name.split()[0] == given["region"] and queue["visible"] is not None
    ]
    return {"Code": "200", "Datapoints": json.dumps(points)}


def body_of(body: Any, allowed: set[str]) -> Any:
    if not set(body) <= allowed:
        fail(f"ParameterInvalid: {sorted(set(body) - allowed)}")
    return body


# The records of each kind, and what an error calls it if it exists, and if not.
LOGS = {
    "Project": ("projects", "ProjectAlreadyExist", "ProjectNotExist"),
    "LogStore": ("logstores", "LogStoreAlreadyExist", "LogStoreNotExist"),
    "Index": ("indexes", "IndexAlreadyExist", "IndexConfigNotExist"),
    "Alert": ("alerts", "JobAlreadyExist", "JobNotExist"),
}


def logs(state: State, action: str, given: dict[str, str]) -> object:
    if action == "ListAlerts":
        get(state["projects"], given["project"], "ProjectNotExist")
        start = f"{given['project']} {given['logstore']}-"
        results = [
            {"name": name.partition(" ")[2]} for name in state["alerts"] if name.startswith(start)
        ]
        return {"total": len(results), "count": len(results), "results": results}
    (kind,) = filter(action.endswith, LOGS)
    verb, (records, exists, missing) = action.removesuffix(kind), LOGS[kind]
    body = json.loads(given.get("body", "{}"))
    project = name = given.get("project") or body["projectName"]
    if kind != "Project":
        get(state["projects"], project, "ProjectNotExist")
        own = ("alertName", "name") if kind == "Alert" else ("logstore", "logstoreName")
        name = f"{project} {given.get(own[0]) or body[own[1]]}"
    if kind == "Index":
        get(state["logstores"], name, "LogStoreNotExist")
        for field in body_of(body, INDEX).get("keys", {}).values():
            body_of(field, FIELD)
    if kind == "Alert" and body:
        body_of(body, {*ALERT, *(["name"] if verb == "Create" else [])})
        assert set(body["configuration"]) == CONFIGURATION
    if verb == "Create":
        return create(state[records], name, body, exists)
    found = get(state[records], name, missing)
    if verb == "Get":
        return (
            {"index_mode": "v2", "storage": "pg", "lastModifyTime": 1, **found}
            if kind == "Index"
            else found
        )
    if verb == "Delete":
        del state[records][name]
    elif kind == "Index":
        # The service adds what is not given.
        state[records][name] = {
            **body,
            "keys": {name: {"alias": "", **field} for name, field in body["keys"].items()},
        }
    else:
        found.update(body)
    return {}


def domains(state: State, action: str, given: dict[str, str]) -> object:
    """Function Compute 3.0. Members of the body that are missing stay as they are."""
    domain = get(state["domains"], f"{given['region']} {given['domainName']}", "DomainNameNotFound")
    if action == "UpdateCustomDomain":
        body = json.loads(given["body"])
        assert set(body) == {"routeConfig"}
        domain.update(body["routeConfig"])
    return {"domainName": given["domainName"], "routeConfig": domain}


def identities(state: State, action: str, given: dict[str, str]) -> object:
    # The identity provider is part of RAM, but its operations are those of the product IMS.
    assert set(given) == {"OIDCProviderName", "IssuerUrl", "ClientIds", "Fingerprints"}
    return create(
        state["identity_providers"],
        given["OIDCProviderName"],
        given,
        "EntityAlreadyExists.OIDCProvider",
    )


def oss(state: State, words: list[str]) -> str:
    """`mb`, `stat`, `ls`, `logging` and `lifecycle` of a bucket, and `cp` of a file; in any region.

    `objects` are times by address, as ossutil prints them.
    """
    if "--region" in words and words[0] != "mb":
        words = words[: words.index("--region")]
    if words[0] == "mb":
        state["buckets"][words[1].removeprefix("oss://")] = options(words[2:])
        return ""
    if words[0] == "cp" and len(words) == 3:
        get(state["buckets"], words[2].removeprefix("oss://").split("/")[0], "NoSuchBucket")
        with open(words[1], "rb") as file:
            put(words[2], file.read())
        return ""
    if words[0] == "ls" and words[2:3] == ["--limited-num"] and len(words) == 4:
        listed = [url for url in sorted(state["objects"]) if url.startswith(words[1])]
        listed = listed[: int(words[3])]
        head = f"{'LastModifiedTime':<30}{'Size(B)':>12}  StorageClass   {'ETAG':<36}  ObjectName"
        rows = [
            f"{state['objects'][url]:<30}{1234:>12}  {'Standard':>12}   {'0C01':<36}  {url}"
            for url in listed
        ]
        return "\n".join([head, *rows, f"Object Number is: {len(rows)}", "", "0.1(s) elapsed"])
    if words[0] in ("stat", "ls") and len(words) == 2:
        return str(
            get(state["buckets"], words[1].removeprefix("oss://").split("/")[0], "NoSuchBucket")
        )
    if words[:3] == ["logging", "--method", "put"] and len(words) == 5:
        return ""
    if words[:2] != ["lifecycle", "--method"]:
        fail("InvalidArgument")
    bucket = words[3].removeprefix("oss://")
    if words[2] == "delete":
        del state["lifecycle"][bucket]
        return ""
    if words[2] == "put":
        with open(words[4], encoding="utf-8") as rules_file:
            state["lifecycle"][bucket] = rules_file.read()
        return ""
    if bucket not in state["lifecycle"]:
        sys.exit("Error: oss: service returned error: StatusCode=404, ErrorCode=NoSuchLifecycle")
    rules = str(state["lifecycle"][bucket]).replace("><", ">\n  <")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{rules}\n\n0.1(s) elapsed\n'


def put(url: str, body: bytes) -> None:
    """Into the local OSS that the environment names."""
    # Left out at the start (-S), since few commands need a package.
    import site

    site.main()
    sys.path.insert(0, os.path.abspath(f"{os.path.dirname(__file__)}/../.."))
    import requests

    import signer

    bucket, _, key = url.removeprefix("oss://").partition("/")
    endpoint = signer.Endpoint.path_style(os.environ["LINK_OSS_ENDPOINT"], "cn-hangzhou")
    keys = signer.Credentials.from_environment(os.environ)
    link = signer.presign("PUT", bucket, key, credentials=keys, endpoint=endpoint, expires_in=60)
    assert requests.put(link.url, data=body, headers=link.headers, timeout=10).status_code == 200


# What answers a product, and the versions of it that the CLI knows: of mns-open it knows the product and the address
# alone, so it needs --force.
PRODUCTS: dict[str, tuple[Callable[[State, str, dict[str, str]], object], list[str]]] = {
    "ram": (ram, ["2015-05-01"]),
    "mns-open": (queues, []),
    "sls": (logs, []),
    "cms": (metrics, ["2019-01-01"]),
    "fc": (domains, []),
    "ims": (identities, []),
}


def main(folder: str, *arguments: str) -> None:
    words = list(arguments)
    with open(os.path.join(folder, "calls"), "a", encoding="utf-8") as calls:
        calls.write(json.dumps(words) + "\n")
    state = read(folder)
    if words[0] == "oss":
        print(oss(state, words[1:]))
    else:
        product, action = words[:2]
        given = {name.removeprefix("--"): value for name, value in options(words[2:]).items()}
        known = PARAMETERS.get(f"{product} {action}", "").split()
        if not known or (product == "mns-open" and "--force" not in words):
            sys.exit(f"ERROR: '{action}' is not a valid api")
        answer, versions = PRODUCTS[product]
        version = given.pop("version", None)
        if version is not None and version not in versions:
            sys.exit(f"ERROR: unchecked version {version}")
        for name in given:
            if name not in (*known, "region"):
                sys.exit(f"ERROR: '--{name}' is not a valid parameter or flag")
        print(json.dumps(answer(state, action, given)))
    write(folder, state)
