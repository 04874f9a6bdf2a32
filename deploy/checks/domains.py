"""Checks the custom domain of a function."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .functions import Props, mapping


def faults(props: Props) -> Iterator[str]:
    """A sentence for each fault of `customDomain`, if there is one."""
    domain = mapping(props.get("customDomain"))
    if not domain:
        return
    certificate = mapping(domain.get("certConfig"))
    by_name = {"certName", "certificate", "privateKey"}
    if "HTTPS" in domain["protocol"].split(",") and set(certificate) not in ({"certId"}, by_name):
        yield (
            "customDomain.certConfig is required, because customDomain.protocol has HTTPS: write certId, or all of "
            f"{', '.join(sorted(by_name))}."
        )
    if "certId" in certificate and not re.fullmatch(r"[0-9]+", certificate["certId"]):
        yield (
            'customDomain.certConfig.certId must be an integer in quotes, such as "12345678" '
            f"(got {certificate['certId']!r})."
        )
    if "PRIVATE KEY" in str(certificate.get("privateKey")):
        yield "customDomain.certConfig.privateKey contains the key, and s deploy prints it: name the key's file."
    if mapping(domain.get("route")).get("path") != "/*":
        yield "customDomain.route.path must be /*: requests to other paths would not reach the function."
