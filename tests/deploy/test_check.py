"""The check names what would fail once deployed."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy import check, s_preview
from deploy.checks import links_toml
from deploy.errors import DeployError
from tests.deploy.project_copy import ROOT, ProjectCopy

pytestmark = pytest.mark.skipif(
    not s_preview.INSTALLED_FOR_TESTS.exists(), reason="s is not installed: npm ci in tests/node"
)

OUTBOX = """
[[mount]]
path   = "/outbox-2/"
target = "oss://${LINK_BUCKET}/outbox-2/"

[[sink]]
name   = "manifest-2"
target = "oss://${LINK_BUCKET}/.links/notices-2/"

[[notice]]
on    = "created"
mount = "/outbox-2/"
to    = ["manifest-2"]

[[notice]]
on    = "timer"
mount = "/exampledir/"
to    = ["manifest-2"]
"""
WATCHED = """      triggers:
        - triggerName: uploads
          triggerType: oss
          invocationRole: acs:ram::1000000000000001:role/oss-calls-links
          sourceArn: acs:oss:cn-hangzhou:1000000000000001:examplebucket
          triggerConfig:
            events: ["oss:ObjectCreated:PutObject"]
            filter: {key: {prefix: PREFIX, suffix: ""}}
"""

# Mistakes in s.yaml, and the beginning of the sentence that names each.
BROKEN = {
    "misspelt prop": ("memorySize: 512", "memorysize: 512", "links_http: memorysize is unknown to fc3: did you mean"),
    "unknown prop": (
        "diskSize: 512",
        "diskSize: 512\n      zone: a",
        "links_http: zone is unknown to fc3: choose one of",
    ),
    "region": (
        "region: cn-hangzhou",
        "region: cn-hangzou",
        "links_http and links_events: region is 'cn-hangzou': did you mean cn-hangzhou?",
    ),
    "missing handler": ("      handler: handler.on_http\n", "", "links_http: handler is missing."),
    "misspelt handler": ("handler.on_http\n", "handler.http\n", "links_http: handler is handler.http: choose one of"),
    "memory step": ("memorySize: 512", "memorySize: 500", "links_http: memorySize must be a multiple of 64 (got 500)."),
    "memory per vCPU": ("memorySize: 512", "memorySize: 2048", "links_http: memorySize 2048 with cpu 0.35:"),
    "timeout": (
        "timeout: 30\n      #",
        "timeout: 90000\n      #",
        "links_http: timeout must be at most 86400 (got 90000).",
    ),
    "timeout of the event function": (
        "timeout: 120",
        "timeout: 69",
        "links_events: timeout must be at least 70 for a function that sends notices (got 69):",
    ),
    "no timeout of the event function": (
        "      timeout: 120\n",
        "",
        "links_events: timeout must be at least 70 for a function that sends notices (got 3, the default):",
    ),
    "number in the environment": (
        "LINK_REGION: ${vars.region}",
        "LINK_REGION: 7",
        "links_http: environmentVariables.LINK_REGION must be a string: put it in quotes.",
    ),
    "reserved name": (
        "LINK_REGION: ${vars.region}",
        "LINK_REGION: ${vars.region}\n        FC_REGION: x",
        "links_http: environmentVariables.FC_REGION: names that begin with FC_",
    ),
    "secret by its name": (
        "LINK_REGION: ${vars.region}",
        "LINK_REGION: ${vars.region}\n        SHARE_SECRET: abc",
        "links_http: environmentVariables.SHARE_SECRET contains what looks like a secret (by its name)",
    ),
    "secret by its format": (
        "LINK_REGION: ${vars.region}",
        "LINK_REGION: ${vars.region}\n        OPS: https://oapi.dingtalk.com/robot/send?access_token=EXAMPLE",
        "links_http: environmentVariables.OPS contains what looks like a chat robot's address",
    ),
    "access key": (
        "LINK_REGION: ${vars.region}",
        "LINK_REGION: ${vars.region}\n        WHO: LTAI5tEXAMPLEEXAMPLE00",
        "links_http: environmentVariables.WHO contains what looks like an access key id",
    ),
    "4 KB": (
        "LINK_REGION: ${vars.region}",
        f"LINK_REGION: ${{vars.region}}\n        TEXT: {'a b ' * 1025}",
        "links_http: environmentVariables must be smaller than 4096 bytes in total (got 41",
    ),
    "variable of a laptop": (
        "LINK_REGION: ${vars.region}",
        "LINK_REGION: ${vars.region}\n        LINK_OSS_ENDPOINT: http://127.0.0.1:9001",
        "links_http: environmentVariables.LINK_OSS_ENDPOINT is only for a laptop: remove it.",
    ),
    "no HEAD": (
        "[GET, HEAD, POST",
        "[GET, POST",
        "links_http: trigger http: methods has GET, which does not include HEAD: add HEAD.",
    ),
    "a route's method": (
        ", DELETE, OPTIONS]",
        "]",
        "links_http: trigger http: methods must include DELETE, OPTIONS, which",
    ),
    "method in lower case": ("[GET,", "[get,", "links_http: trigger http: triggerConfig.methods[0] is 'get':"),
    "misspelt trigger key": (
        "disableURLInternet",
        "disableUrlInternet",
        "links_http: trigger http: triggerConfig.disableUrlInternet is unknown to fc3: did you mean disableURL",
    ),
    "another trigger's key": (
        "authType: anonymous",
        "authType: anonymous\n            cronExpression: '@every 1m'",
        "links_http: trigger http: triggerConfig.cronExpression is unknown to fc3:",
    ),
    "trigger type": ("triggerType: http", "triggerType: web", "links_http: triggers[0].triggerType is 'web':"),
    "unpinned component": (
        "fc3@0.1.22",
        "fc3",
        "links_http: component must be pinned to a version, such as fc3@0.1.22 (got fc3).",
    ),
    "no build": ("run: make build", "run: echo", "actions.pre-deploy must run make build:"),
    "rendered access": (
        "access: default",
        "access: ${env('KEY', 'x')}",
        "access must be the plain name of a key (got \"${env('KEY', 'x')}\")",
    ),
    "no role": ("      role: ${vars.role}\n", "", "links_http: role is missing: the function needs it"),
    "no ceiling": (
        "      concurrencyConfig:\n        reservedConcurrency: 20\n",
        "",
        "links_http: concurrencyConfig.reservedConcurrency is missing",
    ),
    "misspelt log key": ("logstore: links", "logStore: links", "links_http: logConfig.logstore is missing."),
    "no initializer": (
        "handler: handler.on_initialize",
        "handler: handler.on_init",
        "links_http: instanceLifecycleConfig.",
    ),
    "concurrency": (
        "diskSize: 512",
        "diskSize: 512\n      instanceConcurrency: 20",
        "links_http: instanceConcurrency must be 1 (got 20):",
    ),
    "unknown variable": ("${vars.role}", "${vars.roll}", "s preview cannot render s.yaml: ${vars.roll} not found."),
    "no policy": (
        "LINK_REGION: ${vars.region}",
        "LINK_REGION: ${vars.region}\n        LINK_CONFIG: other.toml",
        "links_http: File ",
    ),
    "variable of links.toml": (
        "LINK_BUCKET: ${vars.bucket}",
        "BUCKET: ${vars.bucket}",
        "links_http: links.toml: ",
    ),
    "trigger outside of the notice": (
        "      triggers:\n",
        WATCHED.replace("PREFIX", "inbox/"),
        "links_http: trigger uploads: it watches oss://examplebucket/inbox/, but its prefix must be in the target",
    ),
    "custom domain without certificate": (
        "      triggers:\n",
        "      customDomain: {domainName: a.example.com, protocol: HTTPS, route: {path: /*}}\n      triggers:\n",
        "links_http: customDomain.certConfig is required, because customDomain.protocol has HTTPS:",
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> ProjectCopy:
    return ProjectCopy.of(tmp_path)


def faults(config: Path, environment: str | None = None) -> list[str]:
    try:
        return check.check(config, environment)
    except DeployError as error:
        return [str(error)]


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_in_s_yaml_is_named(mistake: str, project: ProjectCopy) -> None:
    (project.folder / "env.yaml").unlink()
    project.edit("env: ./env.yaml\n", "")
    old, new, sentence = BROKEN[mistake]
    sentences = faults(project.edit(old, new))
    assert [line for line in sentences if line.startswith(sentence)], sentences
    assert all(line.endswith((".", "?")) for line in sentences)
    assert len(sentences) <= 2


@pytest.mark.parametrize("name", ["s.yaml", "deploy/custom-runtime/s.yaml"])
def test_the_files_in_the_repository_can_be_deployed_in_every_environment(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.check", name], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == ("s.yaml can be deployed.\n", 0)


def test_the_command_prints_one_line_per_fault_and_fails(project: ProjectCopy) -> None:
    project.edit("cpu: 0.35", "cpu: 20")
    config = project.edit("[GET,", "[get,")
    done = subprocess.run(
        [sys.executable, "-m", "deploy.check", str(config), "--env", "dev"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "dev: links_http: cpu must be at most 16 (got 20).",
        "dev: links_http: trigger http: triggerConfig.methods[0] is 'get': "
        "choose one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT.",
    ]


def test_a_misspelt_environment_is_refused_though_s_renders_it(project: ProjectCopy) -> None:
    assert s_preview.render(project.config, "prd")["resources"]["links_http"]["props"]["role"] == "links-http"
    assert faults(project.config, "prd") == [
        "Environment 'prd' not found in env.yaml, and s would deploy without it: choose one of dev, prod."
    ]


def test_an_overlay_without_effect_is_named(project: ProjectCopy) -> None:
    project.edit(
        "        links_http:\n          functionName: links-http-dev",
        "        links-http:\n          functionName: d",
        "env.yaml",
    )
    config = project.edit("region: cn-hangzhou", "region: cn-shanghai", "env.yaml")
    assert faults(config) == [
        "env.yaml: dev: overlays.resources.links-http does not exist in s.yaml: choose one of "
        + ", ".join(yaml.safe_load(config.read_text())["resources"])
        + ".",
        "env.yaml: dev: region is cn-shanghai, but the functions are in cn-hangzhou: it does not move a function, "
        "so overlay props.region too.",
    ]


def test_a_fault_of_one_environment_names_the_environment(project: ProjectCopy) -> None:
    config = project.edit("reservedConcurrency: 2", "reservedConcurrency: two", "env.yaml")
    assert faults(config) == ["dev: links_http: concurrencyConfig.reservedConcurrency must be a number."]


def test_the_commented_custom_domain_works_without_its_comment_signs(project: ProjectCopy) -> None:
    path = project.folder / "env.yaml"
    before, _, lines = path.read_text(encoding="utf-8").partition("          # customDomain:")
    path.write_text(before + "          customDomain:" + lines.replace("          # ", "          "), encoding="utf-8")
    config = project.config
    assert faults(config) == []
    props = s_preview.render(config, "prod")["resources"]["links_http"]["props"]
    assert props["customDomain"]["domainName"] == "links.example.com"


def trigger_faults(project: ProjectCopy, bucket: str, prefix: str) -> list[str]:
    path = project.folder / "links.toml"
    path.write_text(path.read_text(encoding="utf-8") + OUTBOX, encoding="utf-8")
    props = yaml.safe_load(WATCHED.replace("PREFIX", f"'{prefix}'"))
    props["environmentVariables"] = {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": bucket}
    return list(links_toml.faults(project.folder, props))


@pytest.mark.parametrize("prefix", ["outbox-2/", "outbox-2/reports/"])
def test_an_oss_trigger_may_watch_the_target_of_a_mount_with_a_created_notice(
    prefix: str, project: ProjectCopy
) -> None:
    assert trigger_faults(project, "examplebucket", prefix) == []


@pytest.mark.parametrize("prefix", ["outbox-2", "", "inbox/outbox-2/"])
def test_an_oss_trigger_that_watches_other_objects_is_a_fault(prefix: str, project: ProjectCopy) -> None:
    sentences = trigger_faults(project, "examplebucket", prefix)
    assert sentences[0].startswith(
        f"trigger uploads: it watches oss://examplebucket/{prefix}, but its prefix must be in the target"
    )
    assert "oss://examplebucket/outbox-2/" in sentences[0]


def test_a_trigger_of_another_bucket_is_a_fault(project: ProjectCopy) -> None:
    (sentence,) = trigger_faults(project, "otherbucket", "outbox-2/")
    assert sentence.startswith("trigger uploads: it watches oss://examplebucket/outbox-2/")


OPS = """
[[notice]]
on    = "created"
mount = "/exampledir/"
to    = ["ops"]
"""


def timer_faults(project: ProjectCopy, *triggers: tuple[str, bool], links: str = OPS, web: bool = False) -> list[str]:
    """The faults of a function with timers of these expressions, which are enabled or not."""
    path = project.folder / "links.toml"
    path.write_text(path.read_text(encoding="utf-8") + links, encoding="utf-8")
    timers = [
        {
            "triggerName": f"timer-{number}",
            "triggerType": "timer",
            "triggerConfig": {"cronExpression": expression, "enable": enabled},
        }
        for number, (expression, enabled) in enumerate(triggers)
    ]
    http = [{"triggerName": "http", "triggerType": "http", "triggerConfig": {}}] if web else []
    environment = {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}
    return list(links_toml.faults(project.folder, {"triggers": [*timers, *http], "environmentVariables": environment}))


@pytest.mark.parametrize(
    "expressions",
    [
        ["@every 1m"],
        ["@every 5m"],
        ["0 * * * * *"],
        ["* * * * * *"],
        ["0 0/5 * * * *"],
        ["CRON_TZ=Asia/Shanghai 0 * * * * *"],
        ["0 0 9 * * *", "@every 1m"],
    ],
)
def test_a_timer_that_sends_what_waits_is_fine(expressions: list[str], project: ProjectCopy) -> None:
    assert timer_faults(project, *((expression, True) for expression in expressions)) == []


@pytest.mark.parametrize(
    "expression",
    ["@every 6m", "@every 1h", "0 0/6 * * * *", "0 0 9 * * *", "0 * 9-17 * * *", "0 * * * * MON-FRI", "0 0 0 1 1 *"],
)
def test_a_timer_that_is_too_rare_is_a_fault(expression: str, project: ProjectCopy) -> None:
    assert timer_faults(project, (expression, True), ("@every 1m", False)) == [
        "no timer trigger calls it at least every 5 minutes, so what waits for ops is sent late: set cronExpression to "
        "'@every 1m'."
    ]


@pytest.mark.parametrize("triggers", [[], [("@every 1m", False)]])
def test_an_event_function_without_a_timer_is_a_fault(triggers: list[tuple[str, bool]], project: ProjectCopy) -> None:
    assert timer_faults(project, *triggers) == [
        "an enabled timer trigger is missing, so what waits for ops, such as digests and failed notices, is never "
        "sent: add one with cronExpression '@every 1m'."
    ]


def test_a_schedule_that_function_compute_would_refuse_is_a_fault(project: ProjectCopy) -> None:
    (sentence,) = timer_faults(project, ("* * * * *", True))
    assert sentence.startswith("Invalid schedule '* * * * *': expected @every 5m")


def test_functions_to_which_nothing_waits_need_no_timer(project: ProjectCopy) -> None:
    assert timer_faults(project, web=True) == []
    assert timer_faults(ProjectCopy.of(project.folder), links="") == []


def test_a_keys_file_that_would_be_deployed_is_refused(project: ProjectCopy) -> None:
    path = project.folder / "links.toml"
    others = re.sub(r"(?m)^keys .*$", "", path.read_text(encoding="utf-8"))
    path.write_text(f'keys = "file:keys.json"\n{others}', encoding="utf-8")
    assert [line for line in faults(project.config, "dev") if "would be deployed with the code" in line]


def test_the_schema_is_unchanged_and_its_source_and_licence_are_named() -> None:
    about = (ROOT / "deploy/checks/fc3-schema.md").read_text(encoding="utf-8")
    assert "https://github.com/devsapp/fc3" in about
    assert "MIT" in about
    assert "0.1.22" in about
    digest = hashlib.sha256((ROOT / "deploy/checks/fc3-schema.json").read_bytes()).hexdigest()
    assert digest == "898f3c98627525d28323fe8bd575c64c8d91c2324b1ad448882e5a9487b7ed15"


def test_a_fault_of_links_toml_is_said_once_for_all_functions_and_environments(project: ProjectCopy) -> None:
    path = project.folder / "links.toml"
    path.write_text(path.read_text("utf-8").replace("methods", "method", 1), "utf-8")
    sentences = [sentence for sentence in faults(project.folder / "s.yaml") if "links.toml" in sentence]
    assert len(sentences) == 1
    assert sentences[0].startswith("links_http and links_events: links.toml")
    assert "did you mean" in sentences[0].lower()
