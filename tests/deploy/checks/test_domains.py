"""The custom domain of a function."""

from __future__ import annotations

import pytest

from deploy.checks import names
from tests.deploy.checks import shipped


def faults(certificate: dict[str, str]) -> list[str]:
    domain = {"domainName": "links.example.com", "protocol": "HTTPS", "route": {"path": "/*"}}
    props = {**shipped.web(), "customDomain": {**domain, "certConfig": certificate}}
    return list(names.domain_faults(shipped.read(props)))


def test_a_certificate_is_named_by_its_number() -> None:
    assert faults({"certId": "12345678"}) == []


@pytest.mark.parametrize("identifier", ["12345678-cn-hangzhou", "", "links.example.com"])
def test_any_other_identifier_of_a_certificate_is_a_fault(identifier: str) -> None:
    assert faults({"certId": identifier}) == [
        f'customDomain.certConfig.certId must be an integer in quotes, such as "12345678" (got {identifier!r}).'
    ]
