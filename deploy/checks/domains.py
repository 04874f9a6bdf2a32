"""Checks the custom domain of a function."""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.fc.functions import Function

_BY_NAME = {"certName", "certificate", "privateKey"}


def faults(function: Function) -> Iterator[str]:
    """A sentence for each fault of `customDomain`, if there is one."""
    domain = function.domain
    if domain is None:
        return
    certificate = domain.certificate
    if "HTTPS" in domain.protocol.split(",") and set(certificate) not in ({"certId"}, _BY_NAME):
        yield (
            "customDomain.certConfig is required, because customDomain.protocol has HTTPS: write certId, or all of "
            f"{', '.join(sorted(_BY_NAME))}."
        )
    if "certId" in certificate and not re.fullmatch(r"[0-9]+", certificate["certId"]):
        yield (
            'customDomain.certConfig.certId must be an integer in quotes, such as "12345678" '
            f"(got {certificate['certId']!r})."
        )
    if "PRIVATE KEY" in certificate.get("privateKey", ""):
        yield "customDomain.certConfig.privateKey contains the key, and s deploy prints it: name the key's file."
    if domain.path != "/*":
        yield "customDomain.route.path must be /*: requests to other paths would not reach the function."
