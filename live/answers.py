"""What is kept of an answer, and how two compare. Values of one run become references, such as `<date:1>`."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from handler.core.cloud.http_client import HttpResponse

from .cases import Case, read_toml

Answer = dict[str, Any]

_KEPT = re.compile(
    r"content-(?:type|length|range|encoding|disposition|md5)|accept-ranges|cache-control|etag|vary|location"
    r"|access-control-.*|x-oss-(?:ec|object-type|storage-class|server-side-encryption|force-download|version-id)"
)
_VALUES = (
    ("string-to-sign", r"(?<=string to sign is:)(?s:.+)"),
    ("url", r"https?://[^\s<>\"']+"),
    (
        "date",
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT|\d{8}T\d{6}Z",
    ),
    ("address", r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
    ("value", r"(?=(?:[\w+/=%.-]*\d){3})[\w+/=%.-]{16,}"),  # an ID, a token, a signature
)
# Elements and headers of an answer whose values are never shown.
_HIDDEN = re.compile(
    r"(?:x-oss-|x-acs-)?request-?id|HostId|\w*AccessKey(?:Id|Secret)|SecurityToken|Signature\w*|StringToSign\w*|Arn"
    r"|CanonicalRequest\w*|ID|DisplayName|UploadId|AssumedRoleId|AuthPrincipal\w*(?:Id|Name)|EncodedDiagnosticMessage",
    re.IGNORECASE,
)


class Result(NamedTuple):
    """`verdict` is same, differs, only live or only here, "" if neither answered; `fields` are those that differ."""

    case: Case
    verdict: str
    fields: list[tuple[str, Any, Any]]


def elements(response: HttpResponse) -> list[tuple[str, str]]:
    """Names and values in XML or JSON; those of an error of HEAD are in a header. Empty for other content."""
    pairs: list[tuple[str, Any]] = []
    with suppress(ElementTree.ParseError, ValueError):
        body = response.body or b64decode(response.headers.get("x-oss-err", ""))
        if body.startswith(b"{"):
            json.loads(body, object_pairs_hook=pairs.extend)
        else:
            root = ElementTree.fromstring(body)  # noqa: S314 - OSS's answer, of limited size
            pairs = [
                (element.tag.rpartition("}")[2], (element.text or "").strip())
                for element in root.iter()
            ]
    return [(name, str(value)) for name, value in pairs]


def value_of(response: HttpResponse, name: str) -> str:
    """That of the first element of this name, or of the header, "" without either."""
    return next(
        (value for each, value in elements(response) if each == name),
        response.headers.get(name, ""),
    )


def secrets_of(response: HttpResponse) -> set[str]:
    """What an answer says of the account, its keys and the request."""
    return {
        value
        for name, value in [*elements(response), *response.headers.items()]
        if _HIDDEN.fullmatch(name)
    }


def keep(response: HttpResponse, known: Mapping[str, str], digests: Collection[str]) -> Answer:
    """What is compared; `known` has the kinds of values that become references, `digests` are those of own objects."""
    found = elements(response)
    shown = "\n".join(part for pair in (*found, *response.headers.items()) for part in pair)
    kinds = [
        (known[each], re.escape(each))
        for each in sorted(known, key=len, reverse=True)
        if each and each in shown
    ]
    kinds += _VALUES
    pattern = re.compile("|".join(f"({expression})" for _, expression in kinds))
    numbers: dict[str, dict[str, int]] = {}

    def refer(match: re.Match[str]) -> str:
        if match[0] in digests or re.fullmatch(r"[0-9A-F]{32}-\d+", match[0]):
            return match[0]
        kind = kinds[(match.lastindex or 1) - 1][0]
        seen = numbers.setdefault(kind, {})
        return f"<{kind}:{seen.setdefault(match[0], len(seen) + 1)}>"

    texts = dict(found) if response.status >= 300 else {}
    content = hashlib.md5(response.body, usedforsecurity=False).hexdigest() if response.body else ""
    # Not the length of a document, which depends on its IDs.
    kept = [
        name
        for name in response.headers
        if _KEPT.fullmatch(name) and not (found and name == "content-length")
    ]
    headers = {name: response.headers[name] for name in kept}
    headers |= {"location": urlsplit(headers["location"]).netloc} if "location" in headers else {}
    headers |= (
        {"x-oss-version-id": "<version:1>"}
        if headers.get("x-oss-version-id", "null") != "null"
        else {}
    )
    return {
        "status": response.status,
        **{field: pattern.sub(refer, texts.get(field, "")) for field in ("Code", "EC", "Message")},
        "body": " ".join(sorted({pattern.sub(refer, name) for name, _ in found})) or content,
        "names": " ".join(
            sorted(pattern.sub(refer, name) for name in response.headers if name != "connection")
        ),
        **{name: pattern.sub(refer, value) for name, value in headers.items()},
    }


def compare(case: Case, here: Answer | None, live: Answer | None) -> Result:
    """The local OSS leaves out (501) what a case marks so; a 501 of another case is an answer that differs."""
    if here is None or (case.only_live and here.get("status") == 501):
        return Result(case, "only live" if live and live.get("status") != 501 else "", [])
    if live is None:
        return Result(case, "only here", [])
    fields = [
        (name, here.get(name), live.get(name))
        for name in {**here, **live}
        if here.get(name) != live.get(name)
    ]
    return Result(case, "differs" if fields else "same", fields)


def unexpected(results: Iterable[Result], expected: Path) -> list[str]:
    """A sentence for each difference that is not listed, and for each listed one that does not differ."""
    entries = read_toml(expected).get("difference", []) if expected.exists() else []
    listed = {entry["case"] for entry in entries if entry.get("reason") and entry.get("date")}
    differing = {result.case.name for result in results if result.verdict == "differs"}
    advice = {
        True: "differs: correct the local OSS, or list it in",
        False: "does not differ: remove it from",
    }
    return [
        f"{name} {advice[name in differing]} {expected.name}."
        for name in sorted(differing ^ listed)
    ]


def render(results: Collection[Result], title: str) -> str:
    counts = Counter(result.verdict for result in results)
    summary = (
        f"{verdict}: {counts[verdict]}" for verdict in ("same", "differs", "only live", "only here")
    )
    lines = [f"## {title}\n\n{', '.join(summary)}\n"]
    for case, verdict, fields in results:
        lines += (
            [f"- `{case.name}` {verdict} ({case.settles})"]
            if verdict in ("differs", "only live")
            else []
        )
        lines += [f"  - {name}: here `{here}`, OSS `{live}`" for name, here, live in fields]
    return "\n".join(lines)


def check(text: str, secrets: Collection[str]) -> str:
    """The text. Raises `ValueError` if it holds a secret of the run, as it is or percent-encoded, in any case."""
    forms = {
        form.lower()
        for secret in secrets
        if len(secret) > 5
        for form in (secret, quote(secret, safe=""))
    }
    if any(form in text.lower() for form in forms):
        raise ValueError(
            "A report held a secret of this run, and was not written. Please report this."
        )
    return text
