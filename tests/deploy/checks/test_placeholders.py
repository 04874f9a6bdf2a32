"""Names of examples are not deployed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy.checks import placeholders
from tests.deploy.checks import shipped
from tests.deploy.checks.shipped import Props
from tests.deploy.project_copy import ROOT

BUCKET = "{} is {}, a placeholder: write the name of your bucket."
DOCUMENT = yaml.safe_load((ROOT / "s.yaml").read_text(encoding="utf-8"))


def own(bucket: str = "mine", project: str = "my-logs") -> Props:
    """The event function of someone who has replaced all examples."""
    props = shipped.events()
    props["environmentVariables"]["LINK_BUCKET"] = bucket
    props["logConfig"]["project"] = project
    for trigger in props["triggers"]:
        if trigger["triggerType"] == "oss":
            trigger["sourceArn"] = f"acs:oss:cn-hangzhou:${{config('AccountID')}}:{bucket}"
            trigger["invocationRole"] = "links-events-caller"
    props["asyncInvokeConfig"]["destinationConfig"] = {}
    return props


def faults(
    props: Props, environments: dict[str, object] | None = None, document: object = DOCUMENT
) -> list[str]:
    return list(placeholders.faults([shipped.configured(props)], document, environments or {}))


def test_each_example_is_one_sentence_that_says_where_it_is_written() -> None:
    assert faults(own("examplebucket", "example-logs")) == [
        BUCKET.format("vars.bucket", "examplebucket"),
        "vars.log_project is example-logs, a placeholder: write the name of your log project.",
    ]


@pytest.mark.parametrize(
    "line",
    [
        '[[mount]]\npath = "/b/"\ntarget = "oss://examplebucket/b/"\n',
        'keys = "oss://examplebucket/keys.json"',
        'state = "oss://examplebucket/state/"',
        '[[sink]]\nname = "a"\ntarget = "oss://examplebucket/notices/"\n'
        '[[notice]]\non = "created"\nmount = "/a/"\ngive = "link"\nto = ["a"]',
    ],
)
def test_an_example_in_links_toml_names_the_file(line: str, tmp_path: Path) -> None:
    mount = '[[mount]]\npath = "/a/"\ntarget = "oss://mine/a/"\n'
    tables = [line, mount] if line.startswith(("keys", "state")) else [mount, line]
    (tmp_path / "links.toml").write_text(
        "\n".join(['region = "cn-hangzhou"', *tables]), encoding="utf-8"
    )
    assert list(placeholders.faults([shipped.configured(own(), tmp_path)], {}, {})) == [
        BUCKET.replace(" is ", " contains ").format("links.toml", "examplebucket")
    ]


@pytest.mark.parametrize("where", ["assume_role", "mount"])
def test_the_account_of_the_documentation_is_an_example_in_links_toml_too(
    where: str, tmp_path: Path
) -> None:
    arns = {
        name: f"acs:ram::{number}:role/a" for name, number in (("assume_role", 42), ("mount", 43))
    }
    arns[where] = "acs:ram::1000000000000001:role/a"
    mount = f'[[mount]]\npath = "/a/"\ntarget = "oss://mine/a/"\nrole = "{arns["mount"]}"\n'
    links = f'region = "cn-hangzhou"\n{mount}[assume_role]\nrole = "{arns["assume_role"]}"\n'
    (tmp_path / "links.toml").write_text(links, encoding="utf-8")
    assert list(placeholders.faults([shipped.configured(own(), tmp_path)], {}, {})) == [
        "links.toml contains 1000000000000001, a placeholder: write the number of your account."
    ]


def test_the_example_of_a_domain_is_a_placeholder() -> None:
    props = own()
    certificate = {"certId": "12345678"}
    props["customDomain"] = {
        "domainName": "links.example.com",
        "protocol": "HTTP",
        "certConfig": certificate,
        "route": {"path": "/*"},
    }
    document = {"resources": {"links_http": {"props": {"customDomain": props["customDomain"]}}}}
    where = "resources.links_http.props.customDomain"
    assert faults(props, document=document) == [
        f"{where}.domainName is links.example.com, a placeholder: write the name of your domain.",
        f"{where}.certConfig.certId is 12345678, a placeholder: write the number of your certificate.",
    ]
