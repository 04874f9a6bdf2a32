"""The check names what would fail once deployed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import check, s_preview
from deploy.errors import DeployError
from tests.deploy.deployments import rendered_here
from tests.deploy.project_copy import CHECKED, ROOT, ProjectCopy

needs_s = pytest.mark.skipif(
    not s_preview.INSTALLED_FOR_TESTS.exists(), reason="s is not installed: npm ci in tests/node"
)
VARIABLE = "LINK_REGION: ${this.props.region}"
OPEN = "authType: anonymous"
RESERVED = "        reservedConcurrency: 2\n"
PINNED = "component must be pinned to a version, such as fc3@0.1.22"
# Mistakes in s.yaml: what is replaced, by what, and how the sentence about links_http begins.
BROKEN = [
    ("memorySize: 512", "memorysize: 512", "memorysize is unknown to fc3: did you mean"),
    ("diskSize: 512", "diskSize: 512\n      zone: a", "zone is unknown to fc3: choose one of"),
    ("      handler: handler.on_http\n", "", "handler is missing."),
    ("handler.on_http\n", "handler.http\n", "handler is handler.http: choose one of"),
    ("memorySize: 512", "memorySize: 500", "memorySize must be a multiple of 64 (got 500)."),
    ("memorySize: 512", "memorySize: 2048", "memorySize 2048 with cpu 0.35:"),
    (
        "[GET, HEAD, POST",
        "[GET, POST",
        "trigger http: methods has GET, which does not include HEAD: add HEAD.",
    ),
    (", DELETE, OPTIONS]", "]", "trigger http: methods must include DELETE, OPTIONS, which"),
    (
        OPEN,
        f"{OPEN}\n            cronExpression: a",
        "trigger http: triggerConfig.cronExpression is unknown to fc3:",
    ),
    ("triggerType: http", "triggerType: web", "triggers[0].triggerType is 'web':"),
    ("fc3@0.1.22", "fc3", f"{PINNED} (got fc3)."),
    ("fc3@0.1.22", "fc3@0.1.22-beta", f"{PINNED} (got fc3@0.1.22-beta)."),
    ("      role: ${this.props.functionName}-role\n", "", "role is missing: the function needs it"),
    (
        f"      concurrencyConfig:\n{RESERVED}",
        "",
        "concurrencyConfig.reservedConcurrency is missing",
    ),
    ("logstore:", "logStore:", "logConfig.logstore is missing."),
    ("handler: handler.on_initialize", "handler: handler.on_init", "instanceLifecycleConfig."),
    (
        "diskSize: 512",
        "diskSize: 512\n      instanceConcurrency: 20",
        "instanceConcurrency must be 1 (got 20):",
    ),
    (OPEN, "authType: function", "trigger http: authType is function, so Function Compute refuses"),
    (
        "URLInternet: false",
        "URLInternet: true",
        "trigger http: disableURLInternet without a domain lets nobody in:",
    ),
    (
        "diskSize: 512",
        "diskSize: 512\n      nasConfig: auto",
        "nasConfig is auto, so s deploy would make a NAS",
    ),
    (
        "diskSize: 512",
        "diskSize: 512\n      vpcConfig: auto",
        "vpcConfig is auto, so s deploy would make a VPC",
    ),
    (VARIABLE, f"{VARIABLE}\n        LINK_CONFIG: other.toml", "File "),
    (VARIABLE, VARIABLE.removeprefix("LINK_"), "links.toml: "),
    (
        VARIABLE,
        "LINK_REGION: 7",
        "environmentVariables.LINK_REGION must be a string: put it in quotes.",
    ),
    *(
        (VARIABLE, f"{VARIABLE}\n        {line}", f"environmentVariables{sentence}")
        for line, sentence in (
            (f"TEXT: {'a b ' * 1025}", " must be smaller than 4096 bytes in total (got 41"),
            ("FC_REGION: x", ".FC_REGION: names must not begin with FC_."),
            ("SHARE_SECRET: abc", ".SHARE_SECRET contains what looks like a secret (by its name)"),
            ("WHO: LTAI5tEXAMPLEEXAMPLE00", ".WHO contains what looks like an access key id"),
            (
                "LINK_OSS_ENDPOINT: http://127.0.0.1:9001",
                ".LINK_OSS_ENDPOINT is only for a laptop: remove it.",
            ),
            (
                "LINK_BUCKETS: other",
                ".LINK_BUCKETS has no effect, because links.toml does not use it: did you mean",
            ),
        )
    ),
]
# The same of both functions, or of what they share.
BROKEN_IN_BOTH = [
    (
        "runtime: python3.10",
        "runtime: python3.9",
        "links_http and links_events: runtime python3.9 is not supported:",
    ),
    (
        "runtime: python3.10",
        "runtime: 3.10",
        "links_http and links_events: runtime must be a string: put it in",
    ),
    (
        "code: ./build/code",
        "code: ./build/code.zip",
        "code must be the same in all functions: they share one package",
    ),
]
WITHOUT_TRIGGERS = (
    "functionName: links-events",
    "functionName: links-events\n          triggers: []",
)
CUSTOM = "deploy/custom-runtime/s.yaml"
LATER = "links.toml: the page at /-/ opens once there are a custom domain and public_url."
NEW_ACCOUNTS = (
    "warning: links.toml: /exampledir/, /in/, /outbox/, /received/, /send/: in mainland China, OSS refuses "
    'endpoint = "public" to '
    "accounts that first used it since 2025-03-20 (PublicEndpointForbidden, EC 0048-00000401): bind a domain to "
    'the bucket and write endpoint = "https://static.example.com", or choose another region, such as cn-hongkong.'
)


def assert_s_renders_the_same(config: Path, environment: str | None) -> None:
    real, here = (
        render(config, environment)["resources"] for render in (s_preview.render, rendered_here)
    )
    assert {name: each["props"] for name, each in real.items()} == {
        name: each["props"] for name, each in here.items()
    }


@pytest.fixture
def project(tmp_path: Path) -> ProjectCopy:
    return ProjectCopy.of(tmp_path)


def faults(config: Path, environment: str | None = None) -> list[str]:
    try:
        return list(check.check(config, environment).faults)
    except DeployError as error:
        return [str(error)]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [*((old, new, f"links_http: {sentence}") for old, new, sentence in BROKEN), *BROKEN_IN_BOTH],
)
def test_a_mistake_in_s_yaml_is_named(old: str, new: str, sentence: str, base: ProjectCopy) -> None:
    sentences = faults(base.edit(old, new))
    assert [line for line in sentences if line.startswith(sentence)], sentences
    assert all(line.endswith((".", "?")) for line in sentences)
    assert len(sentences) <= 2


@pytest.mark.ci
@needs_s
@pytest.mark.parametrize(
    ("placeholder", "sentence"),
    [
        ("${vars.logs}", "${vars.logs} is missing or empty: give it a value."),
        ("${env('NOT_SET')}", "set the environment variable NOT_SET."),
    ],
)
def test_a_file_that_s_cannot_render_is_a_fault(
    placeholder: str, sentence: str, project: ProjectCopy
) -> None:
    config = project.edit("${vars.log_project}", placeholder)
    assert faults(config) == [f"s preview cannot render s.yaml: {sentence}"]


@pytest.mark.parametrize(
    "bucket", ["Acme-files", "' acme-files'", "oss://acme-files", "'\"acme-files\"'"]
)
def test_a_wrong_bucket_is_one_sentence_that_names_where_it_is_written(
    bucket: str, project: ProjectCopy
) -> None:
    (sentence,) = faults(project.edit("bucket: examplebucket", f"bucket: {bucket}"))
    name = bucket.strip("'")
    assert sentence.startswith(
        f"links_http and links_events: vars.bucket: Invalid bucket name {name!r}: it must have "
    )
    project.edit(f"bucket: {bucket}", "bucket: examplebucket")
    (sentence,) = faults(
        project.edit("LINK_BUCKET: examplebucket-prod", f"LINK_BUCKET: {bucket}", "env.yaml")
    )
    place = "env.yaml: prod: overlays.resources.links_http.environmentVariables.LINK_BUCKET"
    assert sentence.startswith(
        f"prod: links_http and links_events: {place}: Invalid bucket name {name!r}"
    )


def test_a_region_with_a_blank_is_one_sentence_that_names_where_it_is_written(
    project: ProjectCopy,
) -> None:
    assert faults(project.edit("region: cn-hangzhou", "region: 'cn-hangzhou '")) == [
        "links_http and links_events: vars.region: Invalid region 'cn-hangzhou ': expected for example cn-hangzhou."
    ]


def test_a_file_that_is_not_yaml_is_named_as_it_was_named(
    project: ProjectCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.edit("    type: testing", "\ttype: testing", "env.yaml")
    monkeypatch.chdir(project.folder)
    (sentence,) = faults(Path("s.yaml"))
    assert sentence.startswith("env.yaml is not valid YAML (line ")


Run = Callable[..., tuple[list[str], int]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The lines that the command prints, and its status; in this process, which takes less time."""
    monkeypatch.chdir(ROOT)

    def main(*arguments: str | Path) -> tuple[list[str], int]:
        status = check.main([str(argument) for argument in arguments])
        return capsys.readouterr().out.splitlines(), status

    return main


def test_on_a_terminal_a_sentence_is_wrapped_and_otherwise_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as terminal:
        terminal.setenv("COLUMNS", "80")
        terminal.setattr("sys.stdout.isatty", lambda: True)
        wrapped, _ = run("s.yaml", "--allow-placeholders")
    assert max(map(len, wrapped)) <= 80
    lines, _ = run("s.yaml", "--allow-placeholders")
    assert " ".join(line.strip() for line in wrapped) == " ".join(lines)


# CI also runs `make check` for both, in which s renders them.
@pytest.mark.parametrize("name", ["s.yaml", CUSTOM])
def test_the_files_in_the_repository_can_be_deployed_in_every_environment(
    name: str, run: Run
) -> None:
    assert run(name, "--allow-placeholders") == (
        [NEW_ACCOUNTS, LATER, f"{name} can be deployed."],
        0,
    )


@pytest.mark.ci
@needs_s
def test_s_renders_files_as_these_tests_do(project: ProjectCopy) -> None:
    for environment in (None, "dev", "prod"):
        assert_s_renders_the_same(ROOT / "s.yaml", environment)
        assert_s_renders_the_same(ROOT / CUSTOM, environment)
    with_domain(project)
    assert_s_renders_the_same(project.edit(*WITHOUT_TRIGGERS, "env.yaml"), "prod")


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


def test_the_command_prints_one_line_per_fault_and_fails(project: ProjectCopy, run: Run) -> None:
    project.edit("cpu: 0.35", "cpu: 20")
    config = project.edit("[GET,", "[get,")
    assert run(config, "--env", "dev", "--allow-placeholders") == (
        [
            "dev: links_http: cpu must be at most 16 (got 20).",
            "dev: links_http: trigger http: triggerConfig.methods[0] is 'get': "
            "choose one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT.",
            NEW_ACCOUNTS,
        ],
        1,
    )


def test_new_accounts_are_warned_of_the_public_endpoint_in_mainland_china_alone(
    project: ProjectCopy, run: Run
) -> None:
    config = project.edit("region: cn-hangzhou", "region: cn-hongkong")
    assert run(config, "--allow-placeholders") == ([LATER, f"{config} can be deployed."], 0)
    project.edit("cn-hongkong", "cn-shanghai")
    project.edit(
        "\n[[mount]]\n",
        '\n[[mount]]\nendpoint = "https://static.example.com"\n',
        "links.toml",
        everywhere=True,
    )
    project.edit('endpoint    = "public"\n', "", "links.toml")
    assert run(config, "--allow-placeholders") == ([LATER, f"{config} can be deployed."], 0)


@pytest.mark.filterwarnings("error:Unknown region")
def test_an_unknown_region_is_a_warning(project: ProjectCopy, run: Run) -> None:
    config = project.edit("region: cn-hangzhou", "region: cn-hangzou")
    warning = "warning: region cn-hangzou is unknown to fc3: did you mean cn-hangzhou?"
    assert run(config, "--allow-placeholders") == (
        [warning, NEW_ACCOUNTS, LATER, f"{config} can be deployed."],
        0,
    )
    project.edit("cn-hangzou", "mars-north-1")
    warning = "warning: region mars-north-1 is unknown to fc3: it is new or misspelt."
    assert run(config, "--allow-placeholders") == (
        [warning, LATER, f"{config} can be deployed."],
        0,
    )


def test_it_says_what_a_list_on_an_anonymous_mount_opens(project: ProjectCopy, run: Run) -> None:
    # Of those that list, only this one is anonymous.
    project.edit("[[mount]]\n", "[[mount]]\nlist = true\n", "links.toml")
    config = (
        project.edit('["PUT", "POST"]', '["GET", "PUT", "POST"]', "links.toml").parent / "s.yaml"
    )
    output, status = run(config, "--allow-placeholders")
    assert status == 0
    (opened,) = [line for line in output if "list = true" in line]
    assert opened.startswith(
        "warning: links.toml: list = true on the anonymous mount /exampledir/ shows everyone the names, sizes and "
        "times of all its objects, and OSS bills each list as a PUT"
    )


def test_a_space_that_nobody_sees_in_a_path_or_a_target_is_a_warning(
    project: ProjectCopy, run: Run
) -> None:
    project.edit('"/send/"', '"/send /"', "links.toml")
    config = project.edit("}/send/", "}/ send/", "links.toml")
    output, status = run(config, "--allow-placeholders")
    assert status == 0
    found = [line for line in output if "begins or ends with a space" in line]
    places = [re.findall("links.toml: '(.*)' of mount /send /: ", line) for line in found]
    assert places == [
        ["/send /"],
        ["oss://examplebucket/ send/"],
        ["oss://examplebucket-prod/ send/"],
    ]


def test_a_sink_that_is_not_in_links_toml_is_a_warning_once_and_no_fault(
    project: ProjectCopy, run: Run
) -> None:
    config = project.edit('["manifest"]', '["manifest", "ops"]', "links.toml").parent / "s.yaml"
    warning = (
        "warning: links.toml: a notice goes to ops, which is not a [[sink]] there: run make doctor, which reads the "
        "keys document."
    )
    assert run(config, "--allow-placeholders") == (
        [NEW_ACCOUNTS, warning, LATER, f"{config} can be deployed."],
        0,
    )
    assert faults(config) == []


# One mistake for each kind of check, as file, old, new, and the beginning of the sentence that names it.
EVERY_KIND = (
    (
        "s.yaml",
        "access: default",
        "access: undefined",
        "access must not be undefined: s itself saves keys under this",
    ),
    (
        "s.yaml",
        "run: make check",
        "run: echo",
        "actions.pre-deploy must run make check, then make build,",
    ),
    (
        "s.yaml",
        "Name}-logs",
        "Name}-Logs",
        "links_http: logConfig.logstore links-http-dev-Logs is invalid",
    ),
    (
        "s.yaml",
        VARIABLE,
        "LINK_REGION: cn-shanghai",
        "links_http: environmentVariables.LINK_REGION is cn-shanghai",
    ),
    (
        "s.yaml",
        ":/queues/",
        ":/queue/",
        "links_events: asyncInvokeConfig.destinationConfig.onFailure.destination is",
    ),
    (
        "s.yaml",
        "'@every 1m'",
        "'@every 1'",
        "links_events: trigger minute: cronExpression: Invalid schedule",
    ),
    (
        "s.yaml",
        "events-dev",
        "events-dev\n      timeout: 30",
        "links_events: timeout must be at least 70",
    ),
    ("s.yaml", "prefix: outbox/", "prefix: other/", "links_events: an oss trigger is missing"),
    (
        "s.yaml",
        "      timeout: 120\n",
        "",
        "links_events: trigger outbox: it watches oss://examplebucket/other/",
    ),
    (
        "env.yaml",
        "links-events\n",
        "links-events-dev\n",
        "env.yaml: dev and prod deploy the same function",
    ),
    (
        "env.yaml",
        "  # customDomain:",
        "  customDomain: DOMAIN",
        "prod: links_http: customDomain.certConfig.",
    ),
    ("links.toml", "keys  =", "# keys =", "links_http: links.toml: keys is missing"),
)
DOMAIN = (
    "{domainName: a.com, protocol: HTTPS, certConfig: {certId: 1-cn-hangzhou}, route: {path: /*}}"
)


def test_mistakes_of_every_kind_are_named_once(project: ProjectCopy) -> None:
    for file, old, new, _ in EVERY_KIND:
        project.edit(old, new.replace("DOMAIN", DOMAIN), file)
    sentences = faults(project.config)
    for *_, beginning in EVERY_KIND:
        assert len([sentence for sentence in sentences if sentence.startswith(beginning)]) == 1, (
            beginning,
            sentences,
        )


def test_production_in_s_yaml_itself_is_a_fault(project: ProjectCopy) -> None:
    project.edit("functionName: links-http\n", "functionName: links-http-2\n", "env.yaml")
    config = project.edit("type: testing", "type: production", "env.yaml")
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
def base(project: ProjectCopy) -> ProjectCopy:
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
def test_a_function_of_this_project_with_misspelt_code_is_a_fault(
    code: str, base: ProjectCopy
) -> None:
    assert faults(base.edit("code: ./build/code", f"code: {code}")) == [
        f"links_http: code must be a folder below build/, such as ./build/code (got {code}).",
        f"code must be the same in all functions: they share one package (got {', '.join(sorted([code, SHARED]))}).",
    ]


def test_the_root_needs_an_event_function_for_its_notices_but_the_custom_runtime_does_not(
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


def test_an_overlay_that_replaces_the_triggers_is_checked_too(project: ProjectCopy) -> None:
    sentences = faults(project.edit(*WITHOUT_TRIGGERS, "env.yaml"))
    missing = "prod: links_events: an oss trigger is missing, so the created notice of"
    assert [each.partition(" in links.toml")[0] for each in sentences] == [
        f"{missing} /received/",
        f"{missing} /outbox/",
    ]


def test_a_misspelt_environment_is_refused_though_s_renders_it(project: ProjectCopy) -> None:
    assert faults(project.config, "prd") == [
        "Environment 'prd' not found in env.yaml, and s would deploy without it: choose one of dev, prod."
    ]


def test_an_overlay_without_effect_is_named(project: ProjectCopy) -> None:
    project.edit("        links_events:", "        links-events:", "env.yaml")
    config = project.edit(
        "    type: testing\n", "    type: testing\n    region: cn-shanghai\n", "env.yaml"
    )
    assert faults(config) == [
        "env.yaml: dev: region is cn-shanghai, but the functions are in cn-hangzhou: it does not move a function, "
        "so overlay props.region too.",
        "env.yaml: prod: overlays.resources.links-events does not exist in s.yaml: choose one of links_http, "
        "links_events.",
        "env.yaml: dev and prod deploy the same function, links-events-dev: each needs its own functionName.",
    ]


def with_domain(project: ProjectCopy) -> None:
    """Without the comment signs before the custom domain."""
    path = project.folder / "env.yaml"
    before, _, lines = path.read_text(encoding="utf-8").partition("          # customDomain:")
    path.write_text(
        before + "          customDomain:" + lines.replace("          # ", "          "),
        encoding="utf-8",
    )


def test_the_commented_custom_domain_works_without_its_comment_signs(
    project: ProjectCopy, run: Run
) -> None:
    with_domain(project)
    printed, status = run(project.config, "--allow-placeholders")
    assert (
        status,
        "warning: links.toml: the page at /-/ opens once there is public_url." in printed,
    ) == (0, True)
    props = rendered_here(project.config, "prod")["resources"]["links_http"]["props"]
    assert props["customDomain"]["domainName"] == "links.example.com"


def test_a_keys_file_that_would_be_deployed_is_refused(project: ProjectCopy) -> None:
    path = project.folder / "links.toml"
    others = re.sub(r"(?m)^keys .*$", "", path.read_text(encoding="utf-8"))
    path.write_text(f'keys = "file:keys.json"\n{others}', encoding="utf-8")
    assert [
        line for line in faults(project.config, "dev") if "would be deployed with the code" in line
    ]


def test_the_schema_is_unchanged_and_its_source_and_licence_are_named() -> None:
    about = (ROOT / "local/fc/fc3-schema.md").read_text(encoding="utf-8")
    assert "https://github.com/devsapp/fc3" in about
    assert "MIT" in about
    assert "0.1.22" in about
    digest = hashlib.sha256((ROOT / "local/fc/fc3-schema.json").read_bytes()).hexdigest()
    assert digest == "898f3c98627525d28323fe8bd575c64c8d91c2324b1ad448882e5a9487b7ed15"
