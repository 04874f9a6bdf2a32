"""The check names what would fail once deployed."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

from deploy import check, s_preview
from deploy.errors import DeployError
from deploy.model import read_environments
from local.fc import s_yaml
from local.ram import ACCOUNT
from tests.deploy.project_copy import CHECKED, ROOT, ProjectCopy

pytestmark = pytest.mark.skipif(
    not s_preview.INSTALLED_FOR_TESTS.exists(), reason="s is not installed: npm ci in tests/node"
)

VARIABLE = "LINK_REGION: ${this.props.region}"
# Mistakes in s.yaml, and the beginning of the sentence that names each.
BROKEN = {
    "misspelt prop": ("memorySize: 512", "memorysize: 512", "links_http: memorysize is unknown to fc3: did you mean"),
    "unknown prop": (
        "diskSize: 512",
        "diskSize: 512\n      zone: a",
        "links_http: zone is unknown to fc3: choose one of",
    ),
    "unsupported runtime": (
        "runtime: python3.10",
        "runtime: python3.9",
        "links_http and links_events: runtime python3.9 is not supported: choose one of python3.10, ",
    ),
    "missing handler": ("      handler: handler.on_http\n", "", "links_http: handler is missing."),
    "misspelt handler": ("handler.on_http\n", "handler.http\n", "links_http: handler is handler.http: choose one of"),
    "memory step": ("memorySize: 512", "memorySize: 500", "links_http: memorySize must be a multiple of 64 (got 500)."),
    "memory per vCPU": ("memorySize: 512", "memorySize: 2048", "links_http: memorySize 2048 with cpu 0.35:"),
    "number in the environment": (
        VARIABLE,
        "LINK_REGION: 7",
        "links_http: environmentVariables.LINK_REGION must be a string: put it in quotes.",
    ),
    "4 KB": (
        VARIABLE,
        f"{VARIABLE}\n        TEXT: {'a b ' * 1025}",
        "links_http: environmentVariables must be smaller than 4096 bytes in total (got 41",
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
    "component of another version": (
        "fc3@0.1.22",
        "fc3@0.1.22-beta",
        "links_http: component must be pinned to a version, such as fc3@0.1.22 (got fc3@0.1.22-beta).",
    ),
    "no role": (
        "      role: ${this.props.functionName}-role\n",
        "",
        "links_http: role is missing: the function needs it",
    ),
    "no ceiling": (
        "      concurrencyConfig:\n        reservedConcurrency: 2\n",
        "",
        "links_http: concurrencyConfig.reservedConcurrency is missing",
    ),
    "misspelt log key": ("logstore:", "logStore:", "links_http: logConfig.logstore is missing."),
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
    "an authentication that no visitor has": (
        "authType: anonymous",
        "authType: function",
        "links_http: trigger http: authType is function, so Function Compute refuses every visitor: write anonymous.",
    ),
    "no address on the internet": (
        "disableURLInternet: false",
        "disableURLInternet: true",
        "links_http: trigger http: disableURLInternet without a domain lets nobody in: write false.",
    ),
    "a file system to pay for": (
        "diskSize: 512",
        "diskSize: 512\n      nasConfig: auto",
        "links_http: nasConfig is auto, so s deploy would make a NAS file system that you pay for: remove it.",
    ),
    "code that is not built": (
        "code: ./build/code",
        "code: ./build/code.zip",
        "code must be the same in all functions: they share one package (got ./build/code, ./build/code.zip).",
    ),
    "runtime without quotes": (
        "runtime: python3.10",
        "runtime: 3.10",
        "links_http and links_events: runtime must be a string: put it in quotes.",
    ),
    "no policy": (VARIABLE, f"{VARIABLE}\n        LINK_CONFIG: other.toml", "links_http: File "),
    "variable of links.toml": (VARIABLE, VARIABLE.removeprefix("LINK_"), "links_http: links.toml: "),
}

# One more environment variable, and the sentence that names it.
MORE_VARIABLES = {
    "reserved name": ("FC_REGION: x", "FC_REGION: names must not begin with FC_."),
    "secret by its name": ("SHARE_SECRET: abc", "SHARE_SECRET contains what looks like a secret (by its name)"),
    "secret by its format": (
        "OPS: https://oapi.dingtalk.com/robot/send?access_token=EXAMPLE",
        "OPS contains what looks like a chat robot's address",
    ),
    "access key": ("WHO: LTAI5tEXAMPLEEXAMPLE00", "WHO contains what looks like an access key id"),
    "variable of a laptop": (
        "LINK_OSS_ENDPOINT: http://127.0.0.1:9001",
        "LINK_OSS_ENDPOINT is only for a laptop: remove it.",
    ),
    "misspelt variable": (
        "LINK_BUCKETS: other",
        "LINK_BUCKETS has no effect, because links.toml does not use it: did you mean LINK_BUCKET?",
    ),
}
BROKEN |= {
    name: (VARIABLE, f"{VARIABLE}\n        {line}", f"links_http: environmentVariables.{sentence}")
    for name, (line, sentence) in MORE_VARIABLES.items()
}

CUSTOM = "deploy/custom-runtime/s.yaml"
LATER = "links.toml: the page at /-/ opens once there are a custom domain and public_url."
NEW_ACCOUNTS = (
    'warning: links.toml: /exampledir/, /in/, /outbox/, /send/: in mainland China, OSS refuses endpoint = "public" to '
    "accounts that first used it since 2025-03-20 (PublicEndpointForbidden, EC 0048-00000401): bind a domain to "
    'the bucket and write endpoint = "https://static.example.com", or choose another region, such as cn-hongkong.'
)


def overlaid(value: Any, overlay: Any) -> Any:
    if isinstance(value, dict) and isinstance(overlay, dict):
        return {**value, **{name: overlaid(value.get(name), overlay[name]) for name in overlay}}
    return overlay


def rendered_here(config: Path, environment: str | None = None) -> dict[str, Any]:
    """As s renders it, in less time."""
    source: Any = s_yaml.read_yaml(config)
    known = read_environments(config, source)
    overlays = known[environment].get("overlays", {}).get("resources", {}) if environment else {}
    for name in overlays.keys() & source["resources"].keys():
        source["resources"][name]["props"] = overlaid(source["resources"][name]["props"], overlays[name])
    return s_yaml.render(source, {})


def assert_s_renders_the_same(config: Path, environment: str | None) -> None:
    """Also the account, which `s preview` leaves open."""
    real = json.dumps(s_preview.render(config, environment)["resources"]).replace("${config('AccountID')}", ACCOUNT)
    here = rendered_here(config, environment)["resources"]
    assert {name: resource["props"] for name, resource in json.loads(real).items()} == {
        name: resource["props"] for name, resource in here.items()
    }


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "render", rendered_here)


@pytest.fixture
def project(tmp_path: Path) -> ProjectCopy:
    return ProjectCopy.of(tmp_path)


def faults(config: Path, environment: str | None = None) -> list[str]:
    try:
        return list(check.check(config, environment).faults)
    except DeployError as error:
        return [str(error)]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_in_s_yaml_is_named(mistake: str, project: ProjectCopy) -> None:
    (project.folder / "env.yaml").unlink()
    project.edit("env: ./env.yaml\n", "")
    old, new, sentence = BROKEN[mistake]
    sentences = faults(project.edit(old, new))
    assert [line for line in sentences if line.startswith(sentence)], sentences
    assert all(line.endswith((".", "?")) for line in sentences)
    assert len(sentences) <= 2


@pytest.mark.parametrize(
    ("placeholder", "sentence"),
    [
        ("${vars.logs}", "${vars.logs} is missing or empty: give it a value."),
        ("${env('NOT_SET')}", "set the environment variable NOT_SET."),
    ],
)
def test_a_file_that_s_cannot_render_is_a_fault(placeholder: str, sentence: str, project: ProjectCopy) -> None:
    config = project.edit("${vars.log_project}", placeholder)
    assert faults(config) == [f"s preview cannot render s.yaml: {sentence}"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("bucket", ["Acme-files", "' acme-files'", "oss://acme-files", "'\"acme-files\"'"])
def test_a_wrong_bucket_is_one_sentence_that_names_where_it_is_written(bucket: str, project: ProjectCopy) -> None:
    (sentence,) = faults(project.edit("bucket: examplebucket", f"bucket: {bucket}"))
    name = bucket.strip("'")
    assert sentence.startswith(f"links_http and links_events: vars.bucket: Invalid bucket name {name!r}: it must have ")
    project.edit(f"bucket: {bucket}", "bucket: examplebucket")
    (sentence,) = faults(project.edit("LINK_BUCKET: examplebucket-prod", f"LINK_BUCKET: {bucket}", "env.yaml"))
    place = "env.yaml: prod: overlays.resources.links_http.environmentVariables.LINK_BUCKET"
    assert sentence.startswith(f"prod: links_http and links_events: {place}: Invalid bucket name {name!r}")


class Run(Protocol):
    def __call__(self, *arguments: str | Path) -> tuple[list[str], int]: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The lines that the command prints, and its status; in this process, which takes less time."""
    monkeypatch.chdir(ROOT)

    def main(*arguments: str | Path) -> tuple[list[str], int]:
        status = check.main([str(argument) for argument in arguments])
        return capsys.readouterr().out.splitlines(), status

    return main


# CI also runs `make check` for both, in which s renders them.
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["s.yaml", CUSTOM])
def test_the_files_in_the_repository_can_be_deployed_in_every_environment(name: str, run: Run) -> None:
    assert run(name, "--allow-placeholders") == ([NEW_ACCOUNTS, LATER, f"{name} can be deployed."], 0)


@pytest.mark.ci
@pytest.mark.parametrize("name", ["s.yaml", CUSTOM])
def test_s_renders_the_files_in_the_repository_as_these_tests_do(name: str) -> None:
    for environment in (None, "dev", "prod"):
        assert_s_renders_the_same(ROOT / name, environment)


def test_a_fresh_clone_names_what_to_change(run: Run) -> None:
    assert run("s.yaml") == (
        [
            "vars.bucket is examplebucket, a placeholder: write the name of your bucket.",
            "vars.log_project is example-logs, a placeholder: write the name of your log project.",
            "env.yaml: prod: overlays.resources.links_http.environmentVariables.LINK_BUCKET is examplebucket-prod, a "
            "placeholder: write the name of your bucket.",
            NEW_ACCOUNTS,
            LATER,
        ],
        1,
    )


def test_the_command_prints_one_line_per_fault_and_fails(project: ProjectCopy) -> None:
    project.edit("cpu: 0.35", "cpu: 20")
    config = project.edit("[GET,", "[get,")
    command = [sys.executable, "-m", "deploy.check", str(config), "--env", "dev", "--allow-placeholders"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.splitlines(), done.returncode) == (
        [
            "dev: links_http: cpu must be at most 16 (got 20).",
            "dev: links_http: trigger http: triggerConfig.methods[0] is 'get': "
            "choose one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT.",
            NEW_ACCOUNTS,
        ],
        1,
    )


@pytest.mark.usefixtures("quick")
def test_new_accounts_are_warned_of_the_public_endpoint_in_mainland_china_alone(project: ProjectCopy, run: Run) -> None:
    config = project.edit("region: cn-hangzhou", "region: cn-hongkong")
    assert run(config, "--allow-placeholders") == ([LATER, f"{config} can be deployed."], 0)
    project.edit("cn-hongkong", "cn-shanghai")
    project.edit("[[mount]]\n", '[[mount]]\nendpoint = "https://static.example.com"\n', "links.toml", everywhere=True)
    project.edit('endpoint    = "public"\n', "", "links.toml")
    assert run(config, "--allow-placeholders") == ([LATER, f"{config} can be deployed."], 0)


@pytest.mark.usefixtures("quick")
def test_an_unknown_region_is_a_warning(project: ProjectCopy, run: Run) -> None:
    config = project.edit("region: cn-hangzhou", "region: cn-hangzou")
    warning = "warning: region cn-hangzou is unknown to fc3: did you mean cn-hangzhou?"
    assert run(config, "--allow-placeholders") == (
        [warning, NEW_ACCOUNTS, LATER, f"{config} can be deployed."],
        0,
    )
    project.edit("cn-hangzou", "mars-north-1")
    assert run(config, "--allow-placeholders") == (
        ["warning: region mars-north-1 is unknown to fc3: it is new or misspelt.", LATER, f"{config} can be deployed."],
        0,
    )


@pytest.mark.usefixtures("quick")
def test_it_says_what_a_list_on_an_anonymous_mount_opens(project: ProjectCopy, run: Run) -> None:
    # Of those that list, only this one is anonymous.
    project.edit("[[mount]]\n", "[[mount]]\nlist = true\n", "links.toml")
    config = project.edit('["PUT", "POST"]', '["GET", "PUT", "POST"]', "links.toml").parent / "s.yaml"
    output, status = run(config, "--allow-placeholders")
    assert status == 0
    (opened,) = [line for line in output if "list = true" in line]
    assert opened.startswith(
        "warning: links.toml: list = true on the anonymous mount /exampledir/ shows everyone the names, sizes and "
        "times of all its objects, and OSS bills each list as a PUT"
    )


@pytest.mark.usefixtures("quick")
def test_a_space_that_nobody_sees_in_a_path_or_a_target_is_a_warning(project: ProjectCopy, run: Run) -> None:
    project.edit('"/send/"', '"/send /"', "links.toml")
    config = project.edit("}/send/", "}/ send/", "links.toml")
    output, status = run(config, "--allow-placeholders")
    assert status == 0
    found = [line for line in output if "begins or ends with a space" in line]
    places = [re.findall("links.toml: '(.*)' of mount /send /: ", line) for line in found]
    assert places == [["/send /"], ["oss://examplebucket/ send/"], ["oss://examplebucket-prod/ send/"]]


def test_a_sink_that_is_not_in_links_toml_is_a_warning_once_and_no_fault(project: ProjectCopy, run: Run) -> None:
    config = project.edit('["manifest"]', '["manifest", "ops"]', "links.toml").parent / "s.yaml"
    assert run(config, "--allow-placeholders") == (
        [
            NEW_ACCOUNTS,
            "warning: links.toml: a notice goes to ops, which is not a [[sink]] there: run make doctor, which reads "
            "the keys document.",
            LATER,
            f"{config} can be deployed.",
        ],
        0,
    )
    assert faults(config) == []


# One mistake for each kind of check, as file, old, new, and the beginning of the sentence that names it.
EVERY_KIND = (
    ("s.yaml", "access: default", "access: undefined", "access must not be undefined"),
    ("s.yaml", "run: make check", "run: echo", "actions.pre-deploy must run make check, then make build,"),
    ("s.yaml", "Name}-logs", "Name}-Logs", "links_http: logConfig.logstore links-http-dev-Logs is invalid"),
    (
        "s.yaml",
        "${this.props.region}\n",
        "cn-shanghai\n",
        "links_http: environmentVariables.LINK_REGION is cn-shanghai",
    ),
    ("s.yaml", ":/queues/", ":/queue/", "links_events: asyncInvokeConfig.destinationConfig.onFailure.destination is"),
    ("s.yaml", "'@every 1m'", "'@every 1'", "links_events: trigger minute: cronExpression: Invalid schedule"),
    ("s.yaml", "events-dev", "events-dev\n      timeout: 30", "links_events: timeout must be at least 70"),
    ("s.yaml", "prefix: outbox/", "prefix: inbox/", "links_events: an oss trigger is missing"),
    ("s.yaml", "      timeout: 120\n", "", "links_events: trigger outbox: it watches oss://examplebucket/inbox/"),
    ("env.yaml", "links-events\n", "links-events-dev\n", "env.yaml: dev and prod deploy the same function"),
    (
        "env.yaml",
        "          # customDomain:",
        "          customDomain: DOMAIN",
        "prod: links_http: customDomain.certConfig.",
    ),
    ("links.toml", "keys  =", "# keys =", "links_http: links.toml: keys is missing"),
)
DOMAIN = "{domainName: a.com, protocol: HTTPS, certConfig: {certId: 1-cn-hangzhou}, route: {path: /*}}"


@pytest.mark.usefixtures("quick")
def test_mistakes_of_every_kind_are_named_once(project: ProjectCopy) -> None:
    for file, old, new, _ in EVERY_KIND:
        project.edit(old, new.replace("DOMAIN", DOMAIN), file)
    sentences = faults(project.config)
    for *_, beginning in EVERY_KIND:
        assert len([sentence for sentence in sentences if sentence.startswith(beginning)]) == 1, (beginning, sentences)


@pytest.mark.usefixtures("quick")
def test_production_in_s_yaml_itself_is_a_fault(project: ProjectCopy) -> None:
    project.edit("functionName: links-http\n", "functionName: links-http-2\n", "env.yaml")
    config = project.edit(
        "  - name: dev\n    description: For testing changes\n    type: testing",
        "  - name: dev\n    type: production",
        "env.yaml",
    )
    assert [sentence for sentence in faults(config) if "overwrite" in sentence] == [
        f"s.yaml alone deploys {name}, as dev does, whose type is not testing: s deploy without --env, or with a "
        "misspelt one, would overwrite it. Make s.yaml dev, or use a name that nobody uses."
        for name in ("links-http-dev", "links-events-dev")
    ]


OTHER = """
  other:
    component: fc3@0.1.22
    props: {functionName: other, region: cn-beijing, runtime: nodejs20, handler: index.handler, code: ./other}
"""


@pytest.fixture
def base(project: ProjectCopy, quick: None) -> ProjectCopy:
    """A project without environments."""
    (project.folder / "env.yaml").unlink()
    project.edit("env: ./env.yaml\n", "")
    return project


def test_a_file_with_functions_of_other_kinds_only_is_a_fault(base: ProjectCopy) -> None:
    head = base.config.read_text(encoding="utf-8").partition("\n  links_http:")[0]
    base.config.write_text(head + OTHER, encoding="utf-8")
    assert faults(base.config) == [
        "s.yaml has no function with code below build/, such as code: ./build/code: add a resource with component: "
        "fc3@0.1.22 and props."
    ]


SHARED = "./build/code"


@pytest.mark.parametrize("code", ["./bulid/code", "../build/code", "./build"])
def test_a_function_of_this_project_with_misspelt_code_is_a_fault(code: str, base: ProjectCopy) -> None:
    assert faults(base.edit("code: ./build/code", f"code: {code}")) == [
        f"links_http: code must be a folder below build/, such as ./build/code (got {code}).",
        f"code must be the same in all functions: they share one package (got {', '.join(sorted([code, SHARED]))}).",
    ]


@pytest.mark.usefixtures("quick")
def test_the_root_needs_an_event_function_for_its_notices_and_the_custom_runtime_beside_it_does_not(
    tmp_path: Path,
) -> None:
    project = ProjectCopy.of(tmp_path, (*CHECKED, "deploy/custom-runtime"))
    content = project.config.read_text(encoding="utf-8").partition("\n  links_events:")[0]
    project.config.write_text(content, encoding="utf-8")
    assert faults(project.config, "dev") == [
        "dev: s.yaml has no function that takes events, but links.toml has a [[notice]]: add a function with "
        "handler.on_event, or remove the notice."
    ]
    custom = tmp_path / "deploy/custom-runtime/s.yaml"
    assert faults(custom, "dev") == []
    project.edit("port: 9000", "port: 8080", "deploy/custom-runtime/s.yaml")
    assert faults(custom, "dev") == [
        "dev: links_traffic: customRuntimeConfig.port must be 9000 (got 8080): the server listens there."
    ]


@pytest.mark.usefixtures("quick")
def test_an_overlay_that_replaces_the_triggers_is_checked_too(project: ProjectCopy) -> None:
    triggers = "functionName: links-events\n          triggers: []"
    (sentence,) = faults(project.edit("functionName: links-events", triggers, "env.yaml"))
    assert_s_renders_the_same(project.config, "prod")
    assert sentence.startswith("prod: links_events: an oss trigger is missing, so the created notice of /outbox/")


def test_a_misspelt_environment_is_refused_though_s_renders_it(project: ProjectCopy) -> None:
    assert s_preview.render(project.config, "prd")["resources"]["links_http"]["props"]["role"] == "links-http-dev-role"
    assert faults(project.config, "prd") == [
        "Environment 'prd' not found in env.yaml, and s would deploy without it: choose one of dev, prod."
    ]


@pytest.mark.usefixtures("quick")
def test_an_overlay_without_effect_is_named(project: ProjectCopy) -> None:
    project.edit("        links_events:", "        links-events:", "env.yaml")
    config = project.edit("    type: testing\n", "    type: testing\n    region: cn-shanghai\n", "env.yaml")
    assert faults(config) == [
        "env.yaml: dev: region is cn-shanghai, but the functions are in cn-hangzhou: it does not move a function, "
        "so overlay props.region too.",
        "env.yaml: prod: overlays.resources.links-events does not exist in s.yaml: choose one of links_http, "
        "links_events.",
        "env.yaml: dev and prod deploy the same function, links-events-dev: each needs its own functionName.",
    ]


@pytest.mark.usefixtures("quick")
def test_the_commented_custom_domain_works_without_its_comment_signs(project: ProjectCopy, run: Run) -> None:
    path = project.folder / "env.yaml"
    before, _, lines = path.read_text(encoding="utf-8").partition("          # customDomain:")
    path.write_text(before + "          customDomain:" + lines.replace("          # ", "          "), encoding="utf-8")
    config = project.config
    printed, status = run(config, "--allow-placeholders")
    assert (status, "warning: links.toml: the page at /-/ opens once there is public_url." in printed) == (0, True)
    props = rendered_here(config, "prod")["resources"]["links_http"]["props"]
    assert props["customDomain"]["domainName"] == "links.example.com"
    assert_s_renders_the_same(config, "prod")


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
