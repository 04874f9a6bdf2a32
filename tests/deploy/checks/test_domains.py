"""A custom domain is one that s deploy accepts, and public_url is an address that people can open."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.checks import domains, sharing
from deploy.model import ConfiguredFunction
from tests.deploy.checks import shipped
from tests.deploy.project_copy import ROOT

DOMAIN = {
    "domainName": "links.example.com",
    "protocol": "HTTP,HTTPS",
    "certConfig": {"certId": "12345678"},
    "route": {"path": "/*", "qualifier": "LATEST"},
}


def certificate_faults(certificate: dict[str, str]) -> list[str]:
    domain = {"domainName": "links.example.com", "protocol": "HTTPS", "route": {"path": "/*"}}
    props = {**shipped.web(), "customDomain": {**domain, "certConfig": certificate}}
    return list(domains.faults(shipped.read(props)))


@pytest.mark.parametrize("name", ["Links.example.com", "links.example.com."])
def test_a_domain_is_written_in_lower_case_and_without_a_dot_at_the_end(name: str) -> None:
    domain = {"domainName": name, "protocol": "HTTP", "route": {"path": "/*"}}
    assert [*domains.faults(shipped.read({**shipped.web(), "customDomain": domain}))] == [
        f"customDomain.domainName is {name!r}: write it in lower case, and without a dot at the end."
    ]


@pytest.mark.parametrize("identifier", ["12345678-cn-hangzhou", "", "links.example.com"])
def test_any_other_identifier_of_a_certificate_is_a_fault(identifier: str) -> None:
    assert certificate_faults({"certId": identifier}) == [
        f'customDomain.certConfig.certId must be an integer in quotes, such as "12345678" (got {identifier!r}).'
    ]


@pytest.mark.parametrize("name", ["https://links.example.com", "links.example.com/", "a.com:443"])
def test_the_name_of_a_domain_is_a_host_alone(name: str) -> None:
    props = {**shipped.web(), "customDomain": {**DOMAIN, "domainName": name}}
    assert list(domains.faults(shipped.read(props))) == [
        f"customDomain.domainName must be a host alone, such as links.example.com (got {name!r})."
    ]


def test_a_domain_may_stand_for_all_below_it() -> None:
    props = {**shipped.web(), "customDomain": {**DOMAIN, "domainName": "*.example.com"}}
    assert list(domains.faults(shipped.read(props))) == []


def with_public_url(
    folder: Path, public_url: str, environment: str | None = None, **changes: object
) -> ConfiguredFunction:
    """The HTTP function of an environment, with changes to its domain."""
    props = {**shipped.web(), "customDomain": {**DOMAIN, **changes}}
    content = (ROOT / "links.toml").read_text(encoding="utf-8")
    (folder / "links.toml").write_text(f'public_url = "{public_url}"\n{content}', encoding="utf-8")
    return shipped.configured(props, folder, environment)


def test_a_public_url_that_the_domain_serves_is_fine(tmp_path: Path) -> None:
    function = with_public_url(tmp_path, "https://links.example.com")
    assert [*domains.public_url_faults(function), *domains.warnings(function)] == []


def test_a_public_url_needs_https_at_the_domain(tmp_path: Path) -> None:
    function = with_public_url(tmp_path, "https://links.example.com", protocol="HTTP")
    assert list(domains.public_url_faults(function)) == [
        "links.toml: public_url is https://links.example.com, but customDomain.protocol is HTTP: add HTTPS to it."
    ]


def test_a_public_url_is_not_the_address_of_a_bucket(tmp_path: Path) -> None:
    content = (ROOT / "links.toml").read_text(encoding="utf-8")
    bound = content.replace('endpoint    = "public"', 'endpoint = "https://static.example.com"')
    public_url = 'public_url = "https://static.example.com"'
    (tmp_path / "links.toml").write_text(f"{public_url}\n{bound}", encoding="utf-8")
    assert list(domains.public_url_faults(shipped.configured(shipped.web(), tmp_path))) == [
        "links.toml: public_url is https://static.example.com, the endpoint of /exampledir/, where OSS answers: write "
        "the domain of the function."
    ]


def test_a_public_url_of_another_host_than_the_domain_is_a_warning(tmp_path: Path) -> None:
    function = with_public_url(tmp_path, "https://link.example.com")
    assert list(domains.warnings(function)) == [
        "links.toml: public_url is https://link.example.com, but customDomain.domainName is links.example.com: unless "
        "a CDN leads from one to the other, make them equal. make doctor with URL=https://… opens it."
    ]


def test_a_public_url_at_fcapp_run_is_a_warning(tmp_path: Path) -> None:
    public_url = "https://links-http-abcdefghij.cn-hangzhou.fcapp.run"
    function = with_public_url(tmp_path, public_url)
    assert list(domains.warnings(function)) == [
        f"links.toml: public_url is {public_url}, where browsers download pages instead of showing them: give the "
        "function a domain."
    ]


@pytest.mark.parametrize("alias", ["LATEST", "7", "prod"])
def test_a_route_to_a_version_or_to_the_alias_of_its_environment_is_fine(
    tmp_path: Path, alias: str
) -> None:
    function = with_public_url(
        tmp_path,
        "https://links.example.com",
        "prod",
        route={"path": "/*", "qualifier": alias},
    )
    assert list(domains.warnings(function)) == []


def test_a_route_to_another_alias_is_a_warning(tmp_path: Path) -> None:
    function = with_public_url(
        tmp_path,
        "https://links.example.com",
        "prod",
        route={"path": "/*", "qualifier": "prd"},
    )
    assert list(domains.warnings(function)) == [
        "links: customDomain.route.qualifier is prd, an alias which must exist first, or s deploy ends half way: check "
        "its name, or run s links alias publish --alias-name prd --version-id NUMBER"
    ]


def test_two_environments_with_one_domain_are_a_fault() -> None:
    dev, prod = (
        shipped.configured(
            {
                **shipped.web(),
                "functionName": name,
                "role": name,
                "customDomain": DOMAIN,
                "environmentVariables": {
                    "LINK_REGION": "cn-hangzhou",
                    "LINK_BUCKET": f"files-{name}",
                },
            },
            environment=name,
        )
        for name in ("dev", "prod")
    )
    assert list(sharing.across([dev, prod], {"dev"})) == [
        "env.yaml: dev and prod have the same customDomain, links.example.com: s deploy does not move a domain from "
        "one function to another, so each needs its own."
    ]
