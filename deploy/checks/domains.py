"""Checks custom domains, and that `public_url` in links.toml, which people get, is an address that they can open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.fc.functions import Function

from ..model import ConfiguredFunction

_BY_NAME = {"certName", "certificate", "privateKey"}  # of a certificate
_DOMAIN = re.compile(r"(\*\.)?[^\s/:]+")


def faults(function: Function) -> Iterator[str]:
    """A sentence for each fault of `customDomain`, if there is one."""
    domain = function.domain
    if domain is None:
        return
    if not _DOMAIN.fullmatch(domain.name):
        yield f"customDomain.domainName must be a host alone, such as links.example.com (got {domain.name!r})."
    elif domain.name != domain.name.lower().rstrip("."):
        yield f"customDomain.domainName is {domain.name!r}: write it in lower case, and without a dot at the end."
    certificate = domain.certificate
    if "HTTPS" in domain.protocol.split(",") and set(certificate) not in ({"certId"}, _BY_NAME):
        advice = f"write certId, or all of {', '.join(sorted(_BY_NAME))}"
        yield f"customDomain.certConfig is required, because customDomain.protocol has HTTPS: {advice}."
    number = certificate.get("certId")
    if number is not None and not re.fullmatch(r"[0-9]+", number):
        yield f'customDomain.certConfig.certId must be an integer in quotes, such as "12345678" (got {number!r}).'
    if "PRIVATE KEY" in certificate.get("privateKey", ""):
        yield "customDomain.certConfig.privateKey contains the key, and s deploy prints it: name the key's file."
    if domain.path != "/*":
        yield "customDomain.route.path must be /*: requests to other paths would not reach the function."


def public_url_faults(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence if `public_url` is an address that the function does not answer at."""
    public_url = configured.config.public_url
    if public_url is None:
        return
    where = f"{configured.file}: public_url is {public_url}"
    host = public_url.removeprefix("https://")
    domain = configured.function.domain
    if domain and host == domain.name and "HTTPS" not in domain.protocol.split(","):
        yield f"{where}, but customDomain.protocol is {domain.protocol}: add HTTPS to it."
    mounts = configured.config.mounts
    at_oss = sorted(m.path for m in mounts if host == m.endpoint.host(m.target.bucket))
    if at_oss:
        yield (
            f"{where}, the endpoint of {', '.join(at_oss)}, where OSS answers: write the domain of the function."
        )


def warnings(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence for an address that only something outside of the files can make right."""
    function = configured.function
    public_url = configured.config.public_url or ""
    host = public_url.removeprefix("https://")
    name = function.domain.name if function.domain and function.http else host
    alias = function.domain.qualifier if function.domain else "LATEST"
    in_fcapp = host.endswith(".fcapp.run")
    rules = (
        (
            in_fcapp,
            f"{configured.file}: public_url is {public_url}, where browsers download pages instead of showing them: "
            "give the function a domain.",
        ),
        (
            bool(host) and host != name and not in_fcapp,
            f"{configured.file}: public_url is {public_url}, but customDomain.domainName is {name}: unless a CDN leads "
            "from one to the other, make them equal. make doctor with URL=https://… opens it.",
        ),
        (
            alias not in ("LATEST", configured.environment_name) and not alias.isdecimal(),
            f"{function.resource}: customDomain.route.qualifier is {alias}, an alias which must exist first, or s "
            f"deploy ends half way: check its name, or run s {function.resource} alias publish --alias-name {alias} "
            "--version-id NUMBER",
        ),
    )
    yield from (sentence for applies, sentence in rules if applies)
