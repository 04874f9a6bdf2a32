"""Cross-origin access: a bucket's rules, their XML, and the headers that browsers read."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from .errors import Node, OssError, malformed_xml
from .incoming import parse_xml
from .storage import Bucket

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")


class CorsRule(NamedTuple):
    """One CORSRule; `max_age` is in seconds, 0 for none."""

    origins: Sequence[str]
    methods: Sequence[str]
    headers: Sequence[str] = ()
    exposed: Sequence[str] = ()
    max_age: int = 0

    def allows(self, origin: str, method: str, headers: Sequence[str] = ()) -> bool:
        """Whether a page of this origin may send this method with these (lower-case) headers."""
        return (
            any(fnmatch.fnmatchcase(origin, allowed) for allowed in self.origins)
            and method in self.methods
            and all(
                any(fnmatch.fnmatchcase(name, allowed) for allowed in self.headers)
                for name in headers
            )
        )


class CorsConfiguration(NamedTuple):
    """A bucket's rules; with `response_vary` every response has `Vary: Origin`, without it none has."""

    rules: tuple[CorsRule, ...]
    response_vary: bool = False


def from_settings(settings: Mapping[str, Any]) -> CorsConfiguration:
    """The rules in a bucket's settings."""
    rules = tuple(CorsRule(**rule) for rule in settings["cors"] or ())
    return CorsConfiguration(rules, settings.get("response_vary", False))


def to_settings(configuration: CorsConfiguration) -> dict[str, Any]:
    """The settings of a bucket with these rules, for `from_settings`."""
    return {
        "cors": [rule._asdict() for rule in configuration.rules],
        "response_vary": configuration.response_vary,
    }


def allow_pages(bucket: Bucket, origin: str) -> None:
    """Adds the rule that pages of this origin need to upload, unless one allows it."""
    configuration = from_settings(bucket.settings())
    rule = CorsRule((origin,), ("PUT", "POST", "DELETE"), ("*",), ("ETag",))
    if not any(each.allows(origin, "PUT") for each in configuration.rules):
        bucket.change(**to_settings(configuration._replace(rules=(*configuration.rules, rule))))


def response_headers(
    rules: Sequence[CorsRule], headers: Mapping[str, str], method: str
) -> dict[str, str]:
    """The CORS headers of a response; none if the request has no Origin or no rule allows it."""
    origin = headers.get("origin")
    for rule in rules:
        if origin is not None and rule.allows(origin, method):
            candidates = {
                "Access-Control-Allow-Origin": "*" if "*" in rule.origins else origin,
                "Access-Control-Allow-Methods": ", ".join(rule.methods),
                "Access-Control-Expose-Headers": ", ".join(rule.exposed),
                "Access-Control-Max-Age": str(rule.max_age) if rule.max_age else "",
            }
            return {name: value for name, value in candidates.items() if value}
    return {}


def preflight_headers(rules: Sequence[CorsRule], headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the response to an OPTIONS request. Raises `OssError` AccessForbidden."""
    origin = headers.get("origin")
    method = headers.get("access-control-request-method")
    requested = headers.get("access-control-request-headers", "")
    names = [name.strip().lower() for name in requested.split(",") if name.strip()]
    if not origin or not method:
        message = "A preflight request requires Origin and Access-Control-Request-Method."
        raise OssError(400, "InvalidArgument", message)
    if not rules:
        raise OssError(403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.")
    matching = [rule for rule in rules if rule.allows(origin, method, names)]
    if not matching:
        message = (
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request "
            "method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the "
            "resource's CORS spec."
        )
        raise OssError(403, "AccessForbidden", message)
    allowed = response_headers(matching, headers, method)
    if names:
        allowed["Access-Control-Allow-Headers"] = ", ".join(names)
    return allowed


def parse(body: bytes) -> CorsConfiguration:
    """A CORSConfiguration document. Raises `OssError` MalformedXML."""
    root = parse_xml(body)
    try:
        rules = tuple(
            CorsRule(
                origins=_values(rule, "AllowedOrigin"),
                methods=_values(rule, "AllowedMethod"),
                headers=tuple(name.lower() for name in _values(rule, "AllowedHeader")),
                exposed=_values(rule, "ExposeHeader"),
                max_age=int(rule.findtext("MaxAgeSeconds") or 0),
            )
            for rule in root.iter("CORSRule")
        )
    except ValueError:
        raise malformed_xml() from None
    if not rules or any(
        not rule.origins or not rule.methods or not set(rule.methods) <= {*METHODS}
        for rule in rules
    ):
        raise malformed_xml()
    response_vary = root.findtext("ResponseVary", "false").strip().lower()
    if response_vary not in ("true", "false"):
        raise malformed_xml()
    return CorsConfiguration(rules, response_vary == "true")


def to_xml(configuration: CorsConfiguration) -> list[Node]:
    """The children of a CORSConfiguration document."""
    nodes: list[Node] = []
    for rule in configuration.rules:
        children: list[Node] = [("AllowedOrigin", origin) for origin in rule.origins]
        children += [("AllowedMethod", method) for method in rule.methods]
        children += [("AllowedHeader", name) for name in rule.headers]
        children += [("ExposeHeader", name) for name in rule.exposed]
        if rule.max_age:
            children.append(("MaxAgeSeconds", rule.max_age))
        nodes.append(("CORSRule", children))
    return [*nodes, ("ResponseVary", configuration.response_vary)]


def _values(rule: ElementTree.Element, name: str) -> tuple[str, ...]:
    return tuple((element.text or "").strip() for element in rule.findall(name))
