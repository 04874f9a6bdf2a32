"""An explanation: what a link is and why it fails, for programs and in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from textwrap import wrap
from typing import NamedTuple

from ..display import printable
from ..times import format_duration, format_relative, format_time, rfc3339
from .canonical_request import Difference
from .evidence import Finding
from .pasted import Read

_HOST_KINDS = {
    "public": "public",
    "internal": "internal, works only inside its region",
    "accelerate": "transfer acceleration",
    "dual-stack": "dual stack, IPv4 and IPv6",
    "address": "an address, with the bucket first in the path",
    "custom": "a custom domain",
}


class Explanation(NamedTuple):
    """What a link is, and why it fails. `str()` is the full explanation in words; nothing in it is secret.

    `host` is "" for an answer without its link. `version` is "V4", "V1", "V2", "S3-compatible V4", "S3-compatible V2",
    or None without a signature. `age`, `lifetime` and `remaining` are seconds; `remaining` is negative after the
    expiry. `temporary` says whether temporary credentials signed the link. `headers` are the names that must be sent
    with it, as far as the link shows them. `signature` is whether the signature is right, None where that is not known.
    `findings` are most probable first; `differences` are where OSS's canonical request differs from the link's. A link
    that `has_token` expires at `expires_at` at the latest; earlier if the security token does, which does not show its
    own expiry.
    """

    version: str | None
    method: str
    scheme: str
    host: str
    host_kind: str
    host_region: str | None
    bucket: str | None
    key: str
    region: str | None
    issued_at: datetime | None
    expires_at: datetime | None
    age: int | None
    lifetime: int | None
    remaining: int | None
    temporary: bool
    has_token: bool
    headers: tuple[str, ...]
    signature: bool | None
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    read: tuple[Read, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def __str__(self) -> str:
        return "\n".join(map(printable, _lines(self)))

    def __repr__(self) -> str:
        return f"Explanation(version={self.version!r}, findings={[finding.code for finding in self.findings]!r})"

    def to_json(self) -> dict[str, object]:
        """The same for programs, as JSON types; times in RFC 3339."""
        members: dict[str, object] = self._asdict()
        for name, time in (("issued_at", self.issued_at), ("expires_at", self.expires_at)):
            members[name] = rfc3339(time.timestamp()) if time else None
        members["findings"] = [
            {**finding._asdict(), "title": finding.title, "advice": finding.advice}
            for finding in self.findings
        ]
        members["read"] = [part._asdict() for part in self.read]
        members["differences"] = [difference._asdict() for difference in self.differences]
        return members


def _lines(e: Explanation) -> Iterator[str]:
    signed = (
        f"OSS presigned URL, signature {e.version}, used with {e.method}"
        if e.version
        else "URL not signed for OSS"
    )
    yield signed if e.host else "OSS's answer, without its link"
    if e.host:
        yield f"  object     {f'oss://{e.bucket}/{e.key}' if e.bucket else f'{e.key} (bucket unknown)'}"
        yield f"  host       {e.host} ({_HOST_KINDS[e.host_kind]})"
    if e.region:
        yield f"  region     {e.region}"
    if e.issued_at and e.age is not None:
        yield f"  signed     {format_time(e.issued_at)}, {format_relative(e.age)}"
    if e.expires_at and e.remaining is not None:
        lifetime = (
            f", valid for {format_duration(e.lifetime)}" if e.lifetime and e.lifetime > 0 else ""
        )
        when = f"{format_time(e.expires_at)}, {format_relative(-e.remaining)}{lifetime}"
        if e.remaining <= 0:
            yield f"  expired    {when}"
        elif e.has_token:
            yield f"  expires    at the latest {when}; earlier if the security token does"
        else:
            yield f"  expires    {when}"
    if e.version:
        yield f"  signed by  {'temporary credentials (STS)' if e.temporary else 'a permanent access key'}"
        yield f"  headers    {', '.join(e.headers) or 'the link requires none'}"
    if e.signature is not None:
        yield f"  signature  {'matches' if e.signature else 'does not match'} with the given secret"
    yield ""
    if not e.findings:
        more = (
            "" if e.signature else " With the secret, or OSS's error document, more can be found."
        )
        yield "Nothing wrong was found." + more
    for number, finding in enumerate(e.findings, 1):
        yield from _paragraph(
            f"{number}. ", f"{finding.title} [{finding.code}, {finding.certainty}]"
        )
        yield from _paragraph("   Evidence: ", finding.evidence)
        yield from _paragraph("   Fix:      ", finding.advice)
    for note in e.notes:
        yield from _paragraph("Note: ", note)


def _paragraph(label: str, sentences: str) -> list[str]:
    indent = " " * len(label)
    return wrap(
        sentences,
        100,
        initial_indent=label,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
