"""`s.yaml` as the laptop reads it: rendered as Serverless Devs does, and refused with a sentence where it is bad."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from local.fc.functions import Function, HttpTrigger, Initializer, read
from local.fc.s_yaml import TemplateError, render

WHOLE = """
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
  other:
    component: fc3-domain
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "s.yaml"
    path.write_text(text)
    return path


def with_props(props: str) -> str:
    """A document with one function, whose props are the least that is needed and `props`."""
    least = "functionName: f\nregion: cn-hangzhou\nruntime: python3.10\nhandler: index.handler\n"
    return "resources:\n  f:\n    component: fc3\n    props:\n" + indent(least + dedent(props), " " * 6)


def only_function(folder: Path, text: str, **environ: str) -> Function:
    (one,) = read(written(folder, text), environ).functions
    return one


def test_a_function_is_read_with_its_variables_filled_in(tmp_path: Path) -> None:
    one = only_function(tmp_path, WHOLE, LINK_BUCKET="reports")
    assert (one.resource, one.name, one.region) == ("links_http", "links-http", "cn-hangzhou")
    assert (one.runtime, one.handler, one.timeout, one.memory) == ("python3.10", "handler.on_http", 10, 256)
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


def test_what_is_left_out_is_what_the_component_would_deploy(tmp_path: Path) -> None:
    one = only_function(tmp_path, with_props(""))
    assert (one.timeout, one.memory, one.role, one.environment) == (3, 512, "", {})
    assert (one.initializer, one.http, one.instances, one.triggers) == (None, None, None, ())


def test_the_sources_beside_s_yaml_are_run_where_they_hold_the_handler(tmp_path: Path) -> None:
    (tmp_path / "handler").mkdir()
    assert only_function(tmp_path, WHOLE).code == tmp_path


@pytest.mark.parametrize("code", ["code: ./build", "code:\n  src: build"])
def test_the_code_folder_is_run_where_the_handler_is_not_beside_s_yaml(tmp_path: Path, code: str) -> None:
    assert only_function(tmp_path, with_props(code)).code == tmp_path / "build"


@pytest.mark.parametrize(
    ("text", "value"),
    [
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
    ],
)
def test_a_placeholder_is_filled_in(text: str, value: object) -> None:
    variables = {
        "number": 7,
        "flag": True,
        "list": ["a", "b"],
        "deep": {"er": "down"},
        "again": "${vars.number}",
        "asked": text,
    }
    rendered = render({"vars": variables, "resources": {"f": {}}}, {"SET": "from outside"})
    assert rendered["vars"]["asked"] == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("${env('UNSET')}", "the environment has no UNSET"),
        ("${vars.missing}", "there is no 'missing'"),
        ("${vars.round}", "needs itself"),
        ("${vars.unclosed", "does not end"),
        ("${config('AccessKeySecret')}", "not known on a laptop"),
        ("${file('x')}", "is not understood"),
        ("${git.branch}", "is not understood"),
        ("a ${vars.list}", "can only stand alone"),
        ("${this.props.region}", "inside a resource only"),
    ],
)
def test_a_placeholder_that_names_nothing_is_refused(text: str, sentence: str) -> None:
    variables = {"list": [], "round": "${vars.trip}", "trip": "${vars.round}", "asked": text}
    with pytest.raises(TemplateError, match=sentence):
        render({"vars": {"asked": text} | variables, "resources": {"f": {}}}, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no mapping"),
        ("- a list", "holds no mapping"),
        ("a: [1", "is not YAML (line 1)"),
        ("vars: {a: b}", "there are no `resources`"),
        ("resources: {}", "there are no `resources`"),
        ("extend: ./base.yaml\nresources: {f: {}}", "`extend` is not followed"),
        ("vars: [a]\nresources: {f: {}}", "`vars` is no mapping"),
        ("resources: {f: {component: fc3-domain}}", "no resource has `component: fc3`"),
        ("resources: {f: {component: fc3}}", "runtime is missing"),
        ("resources: {f: {component: fc3, props: x}}", "props is no mapping"),
    ],
)
def test_a_file_that_describes_no_function_is_refused_by_its_name(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TemplateError) as refusal:
        read(path, {})
    assert str(refusal.value).startswith(str(path))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("props", "sentence"),
    [
        ("timeout: 0", "timeout is a whole number from 1 to 86400"),
        ("timeout: true", "timeout is a whole number"),
        ("timeout: 10s", "timeout is a whole number"),
        ("memorySize: lots", "memorySize is a whole number"),
        ("environmentVariables: {FC_REGION: x}", "may not begin with FC_"),
        ("environmentVariables: {COUNT: 3}", "environmentVariables.COUNT is no string"),
        ("environmentVariables: {A: " + "x" * 4096 + "}", "more than 4096 bytes"),
        ("instanceLifecycleConfig: {initializer: {timeout: 3}}", "handler is missing"),
        ("instanceLifecycleConfig: {initializer: {handler: a.b, timeout: 301}}", "from 1 to 300"),
        ("concurrencyConfig: {reservedConcurrency: 0}", "reservedConcurrency is a whole number"),
        ("triggers: {web: x}", "triggers is no list"),
        ("triggers: [{triggerName: web}]", "triggerType is missing"),
        ("triggers: [{triggerName: w, triggerType: http, triggerConfig: {methods: [GET]}}]", "authType is one of"),
        (
            "triggers: [{triggerName: w, triggerType: http, triggerConfig: {authType: anonymous, methods: [get]}}]",
            "methods is a list of",
        ),
        (
            """
            triggers:
              - {triggerName: a, triggerType: http, triggerConfig: {authType: anonymous, methods: [GET]}}
              - {triggerName: b, triggerType: http, triggerConfig: {authType: anonymous, methods: [GET]}}
            """,
            "two http triggers",
        ),
    ],
)
def test_a_bad_function_is_refused_by_its_name(tmp_path: Path, props: str, sentence: str) -> None:
    with pytest.raises(TemplateError) as refusal:
        read(written(tmp_path, with_props(props)), {})
    assert "resources.f: " in str(refusal.value)
    assert sentence in str(refusal.value)


def test_two_functions_of_one_name_are_refused(tmp_path: Path) -> None:
    second = with_props("").replace("  f:\n", "  g:\n").removeprefix("resources:\n")
    with pytest.raises(TemplateError, match="two functions are called 'f'"):
        read(written(tmp_path, with_props("") + second), {})


def test_a_missing_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="does not exist: name the file with --config"):
        read(tmp_path / "s.yaml", {})
