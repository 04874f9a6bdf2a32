"""The operations page describes what the code writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.account import Account
from tests.deploy.project_copy import ROOT
from tests.deploy.test_operations_queries import PAGE, answered


def test_the_example_of_an_audit_line_has_the_members_of_a_real_one() -> None:
    (example,) = re.findall(r"```json\n(.*)\n```", PAGE)
    assert set(json.loads(example)) == set(json.loads(answered("/reports/q3.pdf")))


def commands(name: str, page: str = PAGE) -> list[str]:
    blocks = [block for language, block in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", page) if not language]
    return re.findall(rf"(?m)^{name} .*$", "".join(blocks))


def test_every_aliyun_command_is_one_that_the_stand_in_knows(tmp_path: Path) -> None:
    account, domain = Account(tmp_path), "cn-hangzhou links.example.com"
    old = {"routes": [{"path": "/*", "functionName": "links-http", "qualifier": "LATEST"}]}
    account.write({**account.state, "policies": {"links-deployer-dev": [{}]}, "domains": {domain: old}})
    moving = commands("aliyun fc UpdateCustomDomain", (ROOT / "docs/custom-runtime.md").read_text(encoding="utf-8"))
    assert (len(moving), len(commands("aliyun"))) == (1, 6)
    for command in [*moving, *commands("aliyun")]:
        environment = {"PATH": account.path}
        subprocess.run(["sh", "-ec", command], env=environment, check=True, capture_output=True, timeout=30)
        if command in moving:
            assert account.state["domains"][domain]["routes"][0]["functionName"] == "links-traffic"
    assert account.state["domains"][domain] == {"routes": [{**old["routes"][0], "qualifier": "prod"}]}
    assert "Role links-deploy-dev links-deployer-dev" in account.state["attached"]
    assert "repo:OWNER/REPOSITORY:environment:dev" in account.state["roles"]["links-deploy-dev"]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_a_failed_event_is_sent_again_to_its_own_environment(tmp_path: Path) -> None:
    """`mnscmd` prints what that of aliyun-mns-sdk 1.3.0 prints."""
    message = json.dumps({"requestPayload": '{"events": [{"a": "\\u00e9"}]}', "requestContext": {}})
    (tmp_path / "mnscmd/bin").mkdir(parents=True)
    scripts = {"mnscmd/bin/mnscmd": "cat message.txt", "s": 'echo "$@"; cat event.json'}
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    lines = ["peekmessage succeed!", "", f"MessageBody                   :{message}", "MessageID    :M1", ""]
    (tmp_path / "message.txt").write_text("\n".join(lines))
    (block,) = re.findall(r"(?ms)^```\n([^`]*?peekmessage.*?)^```$", PAGE)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-ec", block], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    arguments, event = done.stdout.splitlines()
    assert arguments == "links_events invoke --env prod --event-file event.json"
    assert json.loads(event) == {"events": [{"a": "\u00e9"}]}
