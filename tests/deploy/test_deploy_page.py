"""Somebody who follows docs/deploy.md to the letter gets `dev`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import s_preview
from deploy.command import output_of
from local.stack import Stack
from tests.deploy.account import Account
from tests.deploy.project_copy import CHECKED, ROOT, ProjectCopy, install

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(
        not s_preview.INSTALLED_FOR_TESTS.exists(),
        reason="s is not installed: npm ci in tests/node",
    ),
]

PAGE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
PROJECT = (
    *CHECKED,
    "handler",
    "signer",
    "local",
    "deploy",
    "requirements.txt",
    "Makefile",
    "pyproject.toml",
    "LICENSE",
)
COMMANDS = ("npm", "make", "aliyun", "sh", "s", "export", "curl")
# `config add` asks on a terminal; here it gets the answers. `deploy` shows what would be deployed. A `preview` of the
# same environment is made once: the files stay as they are.
S = """[ "$1" = preview ] || echo "s $*" >> '{folder}/s-calls'
case "$1" in
  config) exec '{real}' config add -a default --AccountID 1000000000000001 \\
    --AccessKeyID LTAI5tEXAMPLE --AccessKeySecret EXAMPLE ;;
  preview) shown="{folder}/preview $*"; [ -e "$shown" ] || '{real}' "$@" > "$shown"; exec cat "$shown" ;;
  deploy) exec '{real}' preview --output json --silent "$2" "$3" > '{folder}/deployed.json' ;;
esac
exit 2
"""


def sections(level: int = 2) -> dict[str, str]:
    parts = re.split(rf"(?m)^{'#' * level} (.*)$", PAGE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(section: str) -> list[str]:
    """The blocks of commands in a section, without those of output."""
    blocks = re.findall(r"(?ms)^```\n(.*?)^```$", section)
    return [block for block in blocks if block.split()[0] in COMMANDS]


STEPS = {
    title: commands(section) for title, section in sections().items() if re.match(r"\d\. ", title)
}


@dataclass(frozen=True)
class Laptop:
    """A filled-in clone, and the account and OSS that its commands reach."""

    folder: Path
    account: Account
    stack: Stack

    def run(self, block: str) -> subprocess.CompletedProcess[str]:
        """A block of commands, in a shell that ends at the first failure."""
        url = re.sub(
            r"https://links-http-dev-\w+\.cn-hangzhou\.fcapp\.run", self.stack.http_url, block
        )
        return output_of(
            ["bash", "-ec", filled_in(url)],
            120,
            cwd=self.folder,
            env={
                "PATH": self.account.path,
                "HOME": str(self.account.folder),
                "NODE_ENV": "test",
                "LINK_OSS_ENDPOINT": self.stack.oss_url,
                "OSS_ACCESS_KEY_ID": self.stack.credentials.access_key_id,
                "OSS_ACCESS_KEY_SECRET": self.stack.credentials.access_key_secret,
                "OSS_SESSION_TOKEN": self.stack.credentials.security_token or "",
            },
        )


def filled_in(content: str) -> str:
    return content.replace("examplebucket", "my-links").replace("example-logs", "my-links-logs")


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """Step 1 of the page, and programs for the rest of it."""
    folder, programs = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("programs")
    copy = ProjectCopy.of(folder, PROJECT)
    for name in ("s.yaml", "env.yaml"):
        path = folder / name
        path.write_text(filled_in(path.read_text(encoding="utf-8")), encoding="utf-8")
    environment = folder / ".venv"
    environment.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (environment / name).symlink_to(Path(sys.prefix, name))
    (environment / "local.stamp").touch()
    account = Account(programs)
    install(programs / "s", S.format(folder=programs, real=s_preview.INSTALLED_FOR_TESTS))
    install(programs / "npm", "exit 0")
    with (programs / "log").open("w") as log, Stack.start(copy.config, log=log) as stack:
        yield Laptop(folder, account, stack)


@pytest.fixture(scope="module")
def followed(laptop: Laptop) -> dict[str, list[str]]:
    """What each command of steps 1 to 5 printed, in their order."""
    printed: dict[str, list[str]] = {}
    for title, blocks in STEPS.items():
        for block in blocks if title[0] <= "5" else ():
            done = laptop.run(block)
            assert done.returncode == 0, f"{title}: {block}\n{done.stdout}\n{done.stderr}"
            printed.setdefault(title, []).append(done.stdout)
    return printed


def test_the_commands_for_prod_are_those_for_dev() -> None:
    for_dev = [
        line
        for title, blocks in STEPS.items()
        if title[0] in "12345"
        for line in "".join(blocks).splitlines()
    ]
    once = ("npm ", "export DEPLOYER", "s config add")
    as_prod = [
        re.sub(r"\bdev\b", "prod", line)
        .replace("examplebucket", "examplebucket-prod")
        .replace("links-http-prod-", "links-http-")
        for line in for_dev
        if not line.startswith(once)
    ]
    (for_prod,) = STEPS["6. Do the same for prod"]
    assert sorted(for_prod.splitlines()) == sorted(as_prod)


def test_the_script_creates_what_the_page_says_must_exist(
    laptop: Laptop, followed: dict[str, list[str]]
) -> None:
    assert followed["1. Configure"][0].splitlines()[-1] == "s.yaml can be deployed to dev."
    state = laptop.account.state
    assert list(state["buckets"]) == ["my-links"]
    assert set(state["roles"]) == {
        "links-http-dev-role",
        "links-events-dev-role",
        "links-events-dev-caller",
    }
    assert "User links-deploy links-deployer" in state["attached"]
    assert list(state["queues"]) == ["cn-hangzhou links-events-dev-failures"]
    assert list(state["indexes"]) == [
        "my-links-logs links-http-dev-logs",
        "my-links-logs links-events-dev-logs",
    ]
    assert list(state["lifecycle"]) == ["my-links"]
    stores, queues = ([name.split()[1] for name in state[kind]] for kind in ("logstores", "queues"))
    table = sections()["What must exist"]
    assert [name for name in (*state["roles"], *stores, *queues) if f"`{name}`" not in table] == []


def test_each_way_to_see_something_is_a_command_that_sees_it(
    laptop: Laptop, followed: dict[str, list[str]]
) -> None:
    rows = re.findall(r"(?m)^\| (?!what|--).* \| `([^`]+)`[^|]*\|$", sections()["What must exist"])
    assert len(rows) == 9
    for command in rows:
        if command.startswith("aliyun fc"):
            continue  # the domain, which is for prod
        done = laptop.run(f"export LINK_REGION=cn-hangzhou LINK_BUCKET=examplebucket; {command}")
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_dev_is_what_is_deployed(laptop: Laptop, followed: dict[str, list[str]]) -> None:
    deployed = json.loads((laptop.account.folder / "deployed.json").read_text(encoding="utf-8"))
    functions = {name: resource["props"] for name, resource in deployed["resources"].items()}
    assert {props["functionName"] for props in functions.values()} == {
        "links-http-dev",
        "links-events-dev",
    }
    assert {props["environmentVariables"]["LINK_BUCKET"] for props in functions.values()} == {
        "my-links"
    }
    calls = (laptop.account.folder / "s-calls").read_text(encoding="utf-8").splitlines()
    assert calls == ["s config add", "s deploy --env dev -y"]


def test_the_last_command_prints_the_file(followed: dict[str, list[str]]) -> None:
    assert (
        followed["5. Deploy"][-1].strip() == (ROOT / "LICENSE").read_text(encoding="utf-8").strip()
    )


def test_the_doctor_finds_no_fault_and_prints_no_secret(
    laptop: Laptop, followed: dict[str, list[str]]
) -> None:
    keys = laptop.stack.credentials
    for secret in (keys.access_key_secret, keys.security_token or "", "x-oss-signature="):
        assert secret not in followed["5. Deploy"][0]
    lines = re.findall(r"(?m)^(ok|warning|fault|unknown) +(\S+) ", followed["5. Deploy"][0])
    assert "fault" not in {level for level, _ in lines}
    seen = {subject for level, subject in lines if level == "ok"}
    assert seen >= {
        "s.yaml",
        "role",
        "deployer",
        "queue",
        "log",
        "keys",
        "bucket",
        "state",
        "endpoint",
        "clock",
        "service",
        "canary",
        "forgery",
        "head",
        "events",
        "notices",
    }
