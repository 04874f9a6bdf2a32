"""An account behind a stand-in of the `aliyun` CLI: what its commands create is kept in a file beside it.

It knows the operations that the documentation of RAM, SMQ, SLS, FC and OSS names, with their parameters and their
errors, and refuses every other command.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

State = dict[str, dict[str, Any]]
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
    "lifecycle",
    "buckets",
    "domains",
    "identity_providers",
)


class Account:
    """Its state, and the commands that were run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = folder / "aliyun"
        # A script calls it often: a module that is imported is compiled only once, and needs no site-packages.
        here = os.path.dirname(__file__)
        start = "import sys; sys.path[0] = sys.argv.pop(1); import account; account.main(*sys.argv[1:])"
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
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

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
    print(f"ERROR: SDK.ServerError\nErrorCode: {code}\nRecommend: \nRequestId: 0C01-EXAMPLE", file=sys.stderr)
    sys.exit(1)


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
            get(state["roles"], arn.rpartition("role/")[2], "InvalidParameter.AssumeRolePolicyDocument")
    return document


def longest_session(seconds: str) -> int:
    if not 3600 <= int(seconds) <= 43_200:
        fail("InvalidParameter.MaxSessionDuration")
    return int(seconds)


def ram(state: State, action: str, given: dict[str, str]) -> object:
    roles, policies, attached = state["roles"], state["policies"], state["attached"]
    role, policy = given.get("RoleName", ""), given.get("PolicyName", "")
    if action == "GetRole":
        trust, longest = get(roles, role, "EntityNotExist.Role"), state["longest_sessions"][role]
        return {"Role": {"RoleName": role, "AssumeRolePolicyDocument": trust, "MaxSessionDuration": longest}}
    if action == "CreateRole":
        create(roles, role, trust_in(state, given["AssumeRolePolicyDocument"]), "EntityAlreadyExists.Role")
        state["longest_sessions"][role] = longest_session(given.get("MaxSessionDuration", "3600"))
        return {}
    if action == "UpdateRole":
        get(roles, role, "EntityNotExist.Role")
        roles[role] = trust_in(state, given["NewAssumeRolePolicyDocument"])
        state["longest_sessions"][role] = longest_session(given.get("NewMaxSessionDuration", "3600"))
        return {}
    if action == "GetPolicy":
        versions = get(policies, policy, "EntityNotExist.Policy")
        return {"DefaultPolicyVersion": {"PolicyDocument": json.dumps(versions[-1]), "IsDefaultVersion": True}}
    if action == "CreatePolicy":
        return create(policies, policy, [json.loads(given["PolicyDocument"])], "EntityAlreadyExists.Policy")
    if action == "CreatePolicyVersion":
        versions = get(policies, policy, "EntityNotExist.Policy")
        if len(versions) == 5 and "RotateStrategy" not in given:
            fail("LimitExceeded.Policy.Version")
        versions.append(json.loads(given["PolicyDocument"]))
        del versions[:-5]
        return {}
    if action in ("AttachPolicyToRole", "AttachPolicyToUser"):
        kind = action.removeprefix("AttachPolicyTo")
        get(policies, policy, "EntityNotExist.Policy")
        if kind == "Role":
            get(roles, role, "EntityNotExist.Role")
        name = role or given["UserName"]
        return create(attached, f"{kind} {name} {policy}", True, f"EntityAlreadyExists.{kind}.Policy")
    if action in ("ListPoliciesForRole", "ListPoliciesForUser"):
        owner = [action.removeprefix("ListPoliciesFor"), role or given["UserName"]]
        names = [key.split()[2] for key in attached if key.split()[:2] == owner]
        return {"Policies": {"Policy": [{"PolicyName": name, "PolicyType": "Custom"} for name in names]}}
    fail("InvalidAction.NotFound")


def queues(state: State, action: str, given: dict[str, str]) -> object:
    # The CLI has a region of its own.
    name = f"{given.get('region', 'cn-hangzhou')} {given['QueueName']}"
    if action == "CreateQueue":
        return create(state["queues"], name, True, "QueueAlreadyExist")
    if action == "GetQueueAttributes":
        get(state["queues"], name, "QueueNotExist")
        return {"Data": {"QueueName": given["QueueName"]}}
    fail("InvalidAction.NotFound")


def logs(state: State, action: str, given: dict[str, str]) -> object:
    body = json.loads(given.get("body", "{}"))
    project = given.get("project") or body["projectName"]
    store = f"{project} {given.get('logstore') or body.get('logstoreName')}"
    if action == "GetProject":
        return get(state["projects"], project, "ProjectNotExist")
    if action == "CreateProject":
        return create(state["projects"], project, body, "ProjectAlreadyExist")
    get(state["projects"], project, "ProjectNotExist")
    if action == "GetLogStore":
        return get(state["logstores"], store, "LogStoreNotExist")
    if action == "CreateLogStore":
        return create(state["logstores"], store, body, "LogStoreAlreadyExist")
    get(state["logstores"], store, "LogStoreNotExist")
    if action == "CreateIndex":
        return create(state["indexes"], store, body, "IndexAlreadyExist")
    fail("InvalidAction.NotFound")


def domains(state: State, action: str, given: dict[str, str]) -> object:
    """Function Compute 3.0. Members of the body that are missing stay as they are."""
    name = f"{given['region']} {given['domainName']}"
    domain = get(state["domains"], name, "DomainNameNotFound")
    if action == "UpdateCustomDomain" and set(given) == {"region", "domainName", "body"}:
        body = json.loads(given["body"])
        assert set(body) == {"routeConfig"}
        domain.update(body["routeConfig"])
    elif action != "GetCustomDomain" or set(given) != {"region", "domainName"}:
        fail("InvalidArgument")
    return {"domainName": given["domainName"], "routeConfig": domain}


def identities(state: State, action: str, given: dict[str, str]) -> object:
    if action != "CreateOIDCProvider":
        fail("InvalidAction.NotFound")
    # The identity provider is part of RAM, but its operations are those of the product IMS.
    assert set(given) == {"OIDCProviderName", "IssuerUrl", "ClientIds", "Fingerprints"}
    return create(state["identity_providers"], given["OIDCProviderName"], given, "EntityAlreadyExists.OIDCProvider")


def oss(state: State, words: list[str]) -> str:
    """`mb`, `stat`, `ls` and `lifecycle` of a bucket, and `cp` of a file; in any region."""
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
    if words[0] in ("stat", "ls") and len(words) == 2:
        return str(get(state["buckets"], words[1].removeprefix("oss://").split("/")[0], "NoSuchBucket"))
    if words[:2] != ["lifecycle", "--method"]:
        fail("InvalidArgument")
    bucket = words[3].removeprefix("oss://")
    if words[2] == "put":
        with open(words[4], encoding="utf-8") as rules_file:
            state["lifecycle"][bucket] = rules_file.read()
        return ""
    if bucket not in state["lifecycle"]:
        print("Error: oss: service returned error: StatusCode=404, ErrorCode=NoSuchLifecycle", file=sys.stderr)
        sys.exit(1)
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
    link = signer.presign(
        "PUT",
        bucket,
        key,
        credentials=signer.Credentials.from_environment(os.environ),
        endpoint=endpoint,
        expires_in=60,
    )
    assert requests.put(link.url, data=body, headers=link.headers, timeout=10).status_code == 200


def main(folder: str, *arguments: str) -> None:
    words = list(arguments)
    with open(os.path.join(folder, "calls"), "a", encoding="utf-8") as calls:
        calls.write(json.dumps(words) + "\n")
    state = read(folder)
    if words[0] == "oss":
        print(oss(state, words[1:]))
    else:
        products: dict[str, Callable[[State, str, dict[str, str]], object]] = {
            "ram": ram,
            "mns-open": queues,
            "sls": logs,
            "fc": domains,
            "ims": identities,
        }
        if words[0] not in products:
            fail(f"InvalidProduct: {words[0]}")
        given = {name.removeprefix("--"): value for name, value in options(words[2:]).items()}
        print(json.dumps(products[words[0]](state, words[1], given)))
    write(folder, state)
