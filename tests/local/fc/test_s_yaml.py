"""`s.yaml` as it is read locally: rendered as Serverless Devs renders it, refused with a sentence if invalid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from local.fc.functions import Function, HttpTrigger, Initializer, read
from local.fc.s_yaml import TemplateError, render

ROOT = Path(__file__).parents[3]
COMPLETE = """
edition: 3.0.0
name: links
access: default
vars:
  region: ${env('LINK_REGION', 'cn-hangzhou')}
  bucket: ${env('LINK_BUCKET', 'examplebucket')}
  timeout: 10
resources:
  links_http:
    component: fc3@0.1.22
    props:
      functionName: links-http
      region: ${vars.region}
      runtime: python3.10
      handler: handler.on_http
      code: ./build
      timeout: ${vars.timeout}
      memorySize: 256
      role: acs:ram::${config('AccountID')}:role/links-reader
      environmentVariables:
        LINK_BUCKET: ${vars.bucket}
        LINK_REGION: ${this.props.region}
        LINK_NAME: ${this.name} of ${resources.links_http.props.region}, ${vars.timeout} s
      instanceLifecycleConfig:
        initializer:
          handler: handler.on_initialize
          timeout: 20
      concurrencyConfig:
        reservedConcurrency: 20
      triggers:
        - triggerName: web
          triggerType: http
          triggerConfig:
            authType: anonymous
            methods: [GET, HEAD]
        - triggerName: uploads
          triggerType: oss
          triggerConfig:
            events: ["oss:ObjectCreated:*"]
            filter: {key: {prefix: in/, suffix: ""}}
  other:
    component: fc3-domain
"""


def write(folder: Path, content: str) -> Path:
    path = folder / "s.yaml"
    path.write_text(content)
    return path


def with_props(props: str) -> str:
    """A document with one function: the required props and `props`."""
    required = "functionName: f\nregion: cn-hangzhou\nruntime: python3.10\nhandler: index.handler\n"
    if "code:" not in props:
        required += "code: ./build\n"
    return "resources:\n  f:\n    component: fc3\n    props:\n" + indent(
        required + dedent(props), " " * 6
    )


def only_function(folder: Path, content: str, **environ: str) -> Function:
    (one,) = read(write(folder, content), environ).functions
    return one


def test_a_function_is_read_with_its_placeholders_replaced(tmp_path: Path) -> None:
    one = only_function(tmp_path, COMPLETE, LINK_BUCKET="reports")
    assert (one.resource, one.name, one.region) == ("links_http", "links-http", "cn-hangzhou")
    assert (one.runtime, one.handler, one.timeout, one.memory) == (
        "python3.10",
        "handler.on_http",
        10,
        256,
    )
    assert one.role == "acs:ram::1000000000000001:role/links-reader"
    assert one.environment == {
        "LINK_BUCKET": "reports",
        "LINK_REGION": "cn-hangzhou",
        "LINK_NAME": "links_http of cn-hangzhou, 10 s",
    }
    assert one.initializer == Initializer("handler.on_initialize", 20)
    assert one.instances == 20
    assert one.http == HttpTrigger("web", ("GET", "HEAD"), "anonymous")
    assert [trigger.kind for trigger in one.triggers] == ["http", "oss"]


def test_missing_props_have_the_defaults_of_the_component(tmp_path: Path) -> None:
    one = only_function(tmp_path, with_props(""))
    assert (one.timeout, one.memory, one.role, one.environment) == (3, 512, "", {})
    assert (one.initializer, one.http, one.instances, one.triggers) == (None, None, None, ())


def test_sources_next_to_s_yaml_run_if_they_hold_the_handler(tmp_path: Path) -> None:
    (tmp_path / "handler").mkdir()
    assert only_function(tmp_path, COMPLETE).code == tmp_path


@pytest.mark.parametrize(
    "code", ["code: ./build", "code: {src: build, ossBucketName: b, ossObjectName: o}"]
)
def test_the_code_folder_runs_if_the_handler_is_not_next_to_s_yaml(
    tmp_path: Path, code: str
) -> None:
    assert only_function(tmp_path, with_props(code)).code == tmp_path / "build"


def test_a_placeholder_is_replaced() -> None:
    rows: list[tuple[str, object]] = [
        ("${vars.number}", 7),
        ("${ vars.number }", 7),
        ("${vars.list}", ["a", "b"]),
        ("n=${vars.number}, f=${vars.flag}", "n=7, f=true"),
        ("${vars.deep.er}", "down"),
        ("${vars.again}", 7),
        ('${env("SET")}', "from outside"),
        ("${env('UNSET', '')}", ""),
        ("${env('UNSET', 'a } brace')}", "a } brace"),
        ("${env('SET', 'unused')}", "from outside"),
        ("$HOME and {braces} stay", "$HOME and {braces} stay"),
    ]
    for string, value in rows:
        variables = {
            "number": 7,
            "flag": True,
            "list": ["a", "b"],
            "deep": {"er": "down"},
            "again": "${vars.number}",
            "requested": string,
        }
        rendered = render({"vars": variables, "resources": {"f": {}}}, {"SET": "from outside"})
        assert rendered["vars"]["requested"] == value


def test_an_invalid_placeholder_is_refused() -> None:
    rows: list[tuple[str, str]] = [
        ("${env('UNSET')}", "environment variable UNSET is required"),
        ("${vars.missing}", "'missing' not found"),
        ("${vars.round}", "refers to itself"),
        ("${vars.unclosed", "unclosed placeholder"),
        ("a-${vars.empty}", "is empty: give it a value"),
        ("${config('AccessKeySecret')}", "not supported locally"),
        ("${file('x')}", "is not supported. Use vars"),
        ("${git.branch}", "is not supported. Use vars"),
        ("a ${vars.list}", "must be the entire value"),
        ("${this.props.region}", "inside a resource only"),
    ]
    for string, sentence in rows:
        variables: dict[str, object] = {
            "list": [],
            "empty": None,
            "round": "${vars.trip}",
            "trip": "${vars.round}",
            "requested": string,
        }
        with pytest.raises(TemplateError, match=sentence):
            render({"vars": {"requested": string} | variables, "resources": {"f": {}}}, {})


def test_a_file_without_a_function_is_refused_with_its_name(tmp_path: Path) -> None:
    rows: list[tuple[str, str]] = [
        ("", "must hold a mapping"),
        ("- a list", "must hold a mapping"),
        ("a: [1", "is not valid YAML (line 1)"),
        ("vars: {a: b}", "`resources` is required"),
        ("resources: {}", "`resources` is required"),
        ("extend: ./base.yaml\nresources: {f: {}}", "`extend` is not supported"),
        ("vars: [a]\nresources: {f: {}}", "`vars` must be a mapping"),
        (
            "resources: {f: {component: fc3-domain}}",
            "at least one resource with `component: fc3` is required",
        ),
        ("resources: {f: {component: fc3, props: {}}}", "runtime is missing"),
        ("resources: {f: {component: fc3, props: x}}", "props must be a mapping"),
    ]
    for content, sentence in rows:
        path = write(tmp_path, content)
        with pytest.raises(TemplateError) as refusal:
            read(path, {})
        assert str(refusal.value).startswith(str(path))
        assert sentence in str(refusal.value)


def test_an_invalid_function_is_refused_with_its_name(tmp_path: Path) -> None:
    http = (
        "{triggerName: w, triggerType: http, triggerConfig: {authType: anonymous, methods: [GET]}}"
    )
    rows: list[tuple[str, str]] = [
        ("timeout: 0", "timeout must be at least 1 (got 0)"),
        ("timeout: 86401", "timeout must be at most 86400 (got 86401)"),
        ("timeout: true", "timeout must be an integer"),
        ("timeout: 10s", "timeout must be an integer"),
        ("memorySize: lots", "memorySize must be an integer"),
        ("environmentVariables: {FC_REGION: x}", "names must not begin with FC_"),
        ("environmentVariables: {COUNT: 3}", "environmentVariables.COUNT must be a string"),
        (
            "environmentVariables: {A: " + "x" * 4096 + "}",
            "must be smaller than 4096 bytes in total (got 4097)",
        ),
        ("instanceLifecycleConfig: {initializer: {timeout: 3}}", "initializer.handler is missing"),
        ("instanceLifecycleConfig: {initializer: {handler: ''}}", "handler must not be empty"),
        ("instanceLifecycleConfig: {initializer: {handler: a.b, timeout: 301}}", "at most 300"),
        ("concurrencyConfig: {reservedConcurrency: 0}", "reservedConcurrency must be at least 1"),
        ("concurrencyConfig: {reservedConcurrency: 1.5}", "reservedConcurrency must be an integer"),
        ("customRuntimeConfig: {port: 65536}", "port must be at most 65535"),
        (
            "asyncInvokeConfig: {maxAsyncRetryAttempts: 9}",
            "maxAsyncRetryAttempts must be at most 8",
        ),
        ("asyncInvokeConfig: {maxAsyncRetryAttempts: 1.5}", "must be an integer"),
        ("instanceConcurrency: 201", "instanceConcurrency must be at most 200"),
        ("timeOut: 3", "timeOut is unknown to fc3: did you mean timeout?"),
        ("triggers: {web: x}", "triggers must be a list"),
        ("triggers: [{triggerName: web}]", "triggerType is missing"),
        (f"triggers: [{http}]".replace("authType: anonymous, ", ""), "authType is missing"),
        (f"triggers: [{http}]".replace("GET", "get"), "methods[0] is 'get'"),
        (f"triggers: [{http}]".replace("GET", ""), "methods must not be empty"),
        (f"triggers: [{http}, {http.replace('w', 'other', 1)}]", "two http triggers"),
    ]
    for props, sentence in rows:
        with pytest.raises(TemplateError) as refusal:
            read(write(tmp_path, with_props(props)), {})
        assert "resources.f: " in str(refusal.value)
        assert sentence in str(refusal.value)


def test_only_who_reads_an_s_yaml_imports_jsonschema() -> None:
    program = (
        "import sys, local.command, local.invoke, deploy.check; print('jsonschema' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "False\n", done.stderr


def test_two_functions_with_the_same_name_are_refused(tmp_path: Path) -> None:
    second = with_props("").replace("  f:\n", "  g:\n").removeprefix("resources:\n")
    with pytest.raises(TemplateError, match="two functions are called 'f'"):
        read(write(tmp_path, with_props("") + second), {})


def test_a_missing_file_is_reported_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"does not exist\. Name the file with --config\."):
        read(tmp_path / "s.yaml", {})
