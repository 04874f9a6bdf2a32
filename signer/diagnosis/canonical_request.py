"""Reads OSS's canonical request, and compares it with that of a link, line by line."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from ..common.display import join_names, printable_name

# What people and programs put in place of a secret before they pass an answer on.
_MASKED = re.compile(r"REDACTED|\*\*\*|\.\.\.|…")


class Difference(NamedTuple):
    """Where two canonical requests differ; `code` is the finding that this most probably means."""

    line: str
    code: str
    sentence: str


class CanonicalRequest(NamedTuple):
    """The lines of a canonical request; the values of a repeated parameter are joined with "&"."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    additional_headers: str
    payload: str


def parse_canonical_request(request: str) -> CanonicalRequest | None:
    """The lines of a canonical request, or of a string to sign of V1, whose payload is then ""; None for others."""
    lines = request.split("\n")
    if len(lines) > 4 and lines[-1].startswith("/"):
        path, _, resources = lines[-1].partition("?")
        pairs = [
            (name, value)
            for name, value in (("content-md5", lines[1]), ("content-type", lines[2]))
            if value
        ]
        pairs += [line.partition(":")[::2] for line in lines[4:-1]]
        resource = [pair.partition("=")[::2] for pair in resources.split("&") if pair]
        return CanonicalRequest(
            method=lines[0],
            path=path,
            query={"Expires": lines[3], **dict(resource)},
            headers=dict(pairs),
            additional_headers="",
            payload="",
        )
    # A line that is no header shows that other text stands in it.
    if len(lines) < 6 or any(line and ":" not in line for line in lines[3:-2]):
        return None
    query: dict[str, str] = {}
    for name, _, value in (
        parameter.partition("=") for parameter in lines[2].split("&") if parameter
    ):
        query[name] = f"{query[name]}&{value}" if name in query else value
    return CanonicalRequest(
        method=lines[0],
        path=lines[1],
        query=query,
        headers=dict(line.partition(":")[::2] for line in lines[3:-2] if line),
        additional_headers=lines[-2],
        payload=lines[-1],
    )


def compare_canonical_requests(
    received: str,
    expected: str,
    *,
    unknown_headers: frozenset[str] = frozenset(),
    knows_headers: bool = True,
) -> tuple[Difference, ...]:
    """How the request that OSS received differs from the one that the link is for, line by line.

    `unknown_headers` are those whose value is not known. Unless `knows_headers`, a header that only OSS shows may have
    been signed. No sentence holds a value that may be secret.
    """
    theirs = parse_canonical_request(received)
    ours = parse_canonical_request(expected)
    if theirs is None or ours is None:
        return ()
    differences = []
    if theirs.method != ours.method:
        sentence = f"Line 1 (method): OSS received {printable_name(theirs.method)} instead of {ours.method}."
        differences.append(Difference("verb", "wrong_method", sentence))
    if theirs.path != ours.path:
        code, what = _compare_paths(theirs.path, ours.path)
        differences.append(Difference("path", code, f"Line 2 (path): {what}."))
    differences += _compare_queries(theirs.query, ours.query)
    differences += _compare_headers(theirs.headers, ours.headers, unknown_headers, knows_headers)
    if theirs.additional_headers != ours.additional_headers:
        sentence = "Additional headers: OSS received other names than those in the link."
        differences.append(Difference("additional headers", "changed_query", sentence))
    if theirs.payload != ours.payload:
        sentence = "Payload (last line): x-oss-content-sha256 was sent but not signed, or signed but not sent."
        differences.append(Difference("payload", "extra_header", sentence))
    return tuple(differences)


def _compare_paths(received: str, expected: str) -> tuple[str, str]:
    bucket = expected.split("/")[1]
    if unquote(received) == expected:
        return "double_encoded", "OSS received it encoded twice, %2520 for %20"
    if unquote(received) == unquote(unquote(expected)):
        return "decoded", "OSS received it decoded once too often"
    if received in (expected.replace("%2B", "%20"), expected.replace("%2B", "")):
        return "plus_decoded", "OSS received it without its plus signs"
    if received == f"/{bucket}{expected}":
        return "bucket_twice", "OSS received it with the bucket twice"
    if received == _remove_dot_segments(expected):
        return "rewritten_key", 'a client removed its empty, "." and ".." segments'
    pairs = enumerate(zip(received, expected, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(received), len(expected)))
    left = received[at : at + 24]
    right = expected[at : at + 24]
    return "changed_path", f"from character {at + 1} on, OSS received {left!r} instead of {right!r}"


def _remove_dot_segments(path: str) -> str:
    """RFC 3986 section 5.2.4; empty segments are removed too, as careless clients do."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments[-1:] = []
        elif segment not in ("", "."):
            segments.append(segment)
    is_folder = path.rpartition("/")[2] in ("", ".", "..")
    return "/" + "/".join(segments) + ("/" if is_folder and segments else "")


def _compare_queries(received: dict[str, str], expected: dict[str, str]) -> list[Difference]:
    differences = []
    added = [unquote(name) for name in received if name not in expected]
    lost = [unquote(name) for name in expected if name not in received]
    if added:
        code = (
            "token_not_signed"
            if all("security-token" in name for name in added)
            else "added_parameters"
        )
        differences.append((code, f"received {join_names(added)}, which is not in the link"))
    if lost:
        code = (
            "missing_token" if any("security-token" in name for name in lost) else "changed_query"
        )
        differences.append((code, f"did not receive {join_names(lost)} of the link"))
    for name, value in received.items():
        if value != expected.get(name, value):
            if value.count("&") > expected[name].count("&"):
                code = "added_parameters"
                how = "more than once"
            elif name in ("x-oss-credential", "x-oss-security-token") and _MASKED.search(value):
                continue
            elif value.replace("%20", "%2B") == expected[name].replace("%20", "%2B"):
                code = "plus_decoded"
                how = "with spaces for plus signs"
            elif value == expected[name].replace("%2B", ""):
                code = "plus_decoded"
                how = "without its plus signs"
            elif unquote(value) == expected[name]:
                code = "double_encoded"
                how = "encoded twice"
            else:
                code = "changed_query"
                how = "with another value"
            differences.append((code, f"received {printable_name(unquote(name))} {how}"))
    return [Difference("query", code, f"Line 3 (query): OSS {what}.") for code, what in differences]


def _compare_headers(
    received: dict[str, str], expected: dict[str, str], unknown: frozenset[str], knows_headers: bool
) -> list[Difference]:
    differences = []
    for name in sorted((received.keys() | expected.keys()) - unknown):
        if received.get(name) == expected.get(name):
            continue
        if name not in expected:
            code = "extra_header"
            what = "was sent but not signed"
            if not knows_headers:
                what = "was sent. Either it was not signed with this value, or the link was signed with another secret"
        elif name not in received:
            code = "missing_header"
            what = "was signed but not sent"
        else:
            code = "wrong_host" if name == "host" else "changed_header"
            what = "was sent with another value than the signed one"
        differences.append(Difference("headers", code, f"Headers: {printable_name(name)} {what}."))
    return differences
