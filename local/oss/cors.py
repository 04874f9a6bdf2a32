"""Cross-origin access: a bucket's rules, their XML, and the headers that browsers look for."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from .answers import Node
from .errors import OssError, malformed_xml

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")


@dataclass(frozen=True)
class CorsRule:
    """One CORSRule; `max_age` is in seconds, 0 for none."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: int = 0

    def admits(self, origin: str, method: str, headers: Sequence[str] = ()) -> bool:
        """Whether a page of this origin may send this method with these (lower-case) headers."""
        return (
            any(fnmatch.fnmatchcase(origin, allowed) for allowed in self.origins)
            and method in self.methods
            and all(any(fnmatch.fnmatchcase(name, allowed.lower()) for allowed in self.headers) for name in headers)
        )


# A laptop's pages come from any port, and after a redirect across origins their origin is "null".
DEFAULT = (
    CorsRule(("*",), METHODS, ("*",), ("ETag", "x-oss-request-id", "x-oss-hash-crc64ecma", "x-oss-version-id"), 100),
)


def rules_of(stored: list[dict[str, Any]] | None) -> tuple[CorsRule, ...]:
    """The rules in a bucket's settings; the laptop's default where none were ever set."""
    if stored is None:
        return DEFAULT
    return tuple(CorsRule(**{name: _tuples(value) for name, value in rule.items()}) for rule in stored)


def stored(rules: Sequence[CorsRule]) -> list[dict[str, Any]]:
    """The rules as settings."""
    return [asdict(rule) for rule in rules]


def allowed(rules: Sequence[CorsRule], headers: Mapping[str, str], method: str) -> dict[str, str]:
    """The headers that an answer to a page carries; none where there is no Origin or no rule admits it."""
    origin = headers.get("origin")
    for rule in rules:
        if origin is not None and rule.admits(origin, method):
            found = {
                "Access-Control-Allow-Origin": "*" if "*" in rule.origins else origin,
                "Access-Control-Allow-Methods": ", ".join(rule.methods),
                "Access-Control-Expose-Headers": ", ".join(rule.exposed),
                "Access-Control-Max-Age": str(rule.max_age) if rule.max_age else "",
                "Vary": "" if "*" in rule.origins else "Origin",
            }
            return {name: value for name, value in found.items() if value}
    return {}


def preflight(rules: Sequence[CorsRule], headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that answer an OPTIONS request. Raises `OssError` AccessForbidden."""
    origin, method = headers.get("origin"), headers.get("access-control-request-method")
    asked = headers.get("access-control-request-headers", "")
    names = [name.strip().lower() for name in asked.split(",") if name.strip()]
    if not origin or not method:
        raise OssError(400, "InvalidArgument", "A preflight needs Origin and Access-Control-Request-Method.")
    if not rules:
        raise OssError(403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.")
    if not any(rule.admits(origin, method, names) for rule in rules):
        raise OssError(
            403,
            "AccessForbidden",
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request "
            "method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the "
            "resource's CORS spec.",
        )
    admitting = [rule for rule in rules if rule.admits(origin, method, names)]
    return {
        **allowed(admitting, headers, method),
        **({"Access-Control-Allow-Headers": ", ".join(names)} if names else {}),
    }


def parse(body: bytes) -> tuple[CorsRule, ...]:
    """The rules of a CORSConfiguration document. Raises `OssError` MalformedXML."""
    try:
        root = ElementTree.fromstring(body)
        rules = tuple(
            CorsRule(
                _texts(rule, "AllowedOrigin"),
                _texts(rule, "AllowedMethod"),
                _texts(rule, "AllowedHeader"),
                _texts(rule, "ExposeHeader"),
                int(rule.findtext("MaxAgeSeconds") or 0),
            )
            for rule in root.iter("CORSRule")
        )
    except (ElementTree.ParseError, ValueError):
        raise malformed_xml() from None
    if not rules or any(not rule.origins or not rule.methods or not set(rule.methods) <= {*METHODS} for rule in rules):
        raise malformed_xml()
    return rules


def nodes(rules: Sequence[CorsRule]) -> list[Node]:
    """The children of a CORSConfiguration document."""
    return [("CORSRule", _rule(rule)) for rule in rules]


def _rule(rule: CorsRule) -> list[Node]:
    children: list[Node] = [("AllowedOrigin", origin) for origin in rule.origins]
    children += [("AllowedMethod", method) for method in rule.methods]
    children += [("AllowedHeader", name) for name in rule.headers]
    children += [("ExposeHeader", name) for name in rule.exposed]
    return [*children, *([("MaxAgeSeconds", rule.max_age)] if rule.max_age else [])]


def _texts(rule: ElementTree.Element, name: str) -> tuple[str, ...]:
    return tuple((element.text or "").strip() for element in rule.findall(name))


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
