"""Why a link fails: what it says of itself, what is wrong with it, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from textwrap import wrap
from typing import NamedTuple

from .. import v4
from ..credentials import Credentials
from ..link import check_credentials, seconds
from ..times import format_duration, format_relative, format_time, rfc3339
from . import checks as look
from . import ranking
from .checks import Finding
from .lenient_url import V4, Reading, read
from .oss_error import Difference, ServerError, read_error, word
from .repairs import Request

__all__ = ["Explanation", "Finding", "explain"]

_KINDS = {
    "public": "public",
    "internal": "internal, reached from inside its region only",
    "accelerate": "transfer acceleration",
    "dual-stack": "dual stack, IPv4 and IPv6",
    "address": "an address, bucket first in the path",
    "custom": "a custom domain",
}


class Explanation(NamedTuple):
    """What a link is, and why it fails. `str()` is the whole in words; nothing in it is secret.

    `version` is "V4", "V1", "V2", "S3-compatible V4", "S3-compatible V2", or None without a signature. `age`,
    `lifetime` and `remaining` are seconds, `remaining` negative where the link has ended. `temporary` says whether
    temporary credentials signed it, and `headers` names what must be sent with it as far as the link shows. `findings`
    are most probable first; `differences` are where OSS's canonical request is not the link's; `signature` is whether
    the signature is right, None where that is not known.
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
    headers: tuple[str, ...]
    signature: bool | None
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.findings

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        return f"Explanation(version={self.version!r}, findings={[finding.code for finding in self.findings]!r})"

    def to_json(self) -> dict[str, object]:
        """The same facts for programs; times in RFC 3339."""
        facts: dict[str, object] = self._asdict()
        for name in ("issued_at", "expires_at"):
            when = facts[name]
            facts[name] = rfc3339(when.timestamp()) if isinstance(when, datetime) else None
        facts["findings"] = [
            {**finding._asdict(), "title": finding.title, "advice": finding.advice} for finding in self.findings
        ]
        facts["differences"] = [difference._asdict() for difference in self.differences]
        return facts


def explain(
    url: str,
    *,
    error_xml: str | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    credentials: Credentials | None = None,
    now: datetime | float | None = None,
    bucket: str | None = None,
    inside: bool = False,
) -> Explanation:
    """Why a presigned URL fails, as far as what is given tells.

    `url` may be damaged, and may stand in other text. `error_xml` is what OSS answered. `method` and `headers` are
    those the link was used with; without `headers` none are held against it. With `credentials`, the fault is proved
    by trying repairs. `bucket` names that of a custom domain. `inside` says that the client is in the bucket's
    region, where internal hosts are right. Raises `InvalidLink` where there is no URL or no error document.
    """
    clock, method = seconds(now), method.upper()
    error = read_error(error_xml) if error_xml is not None else None
    if credentials is not None:
        check_credentials(credentials)
    link = read(url, bucket or _bucket_of(error))
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    request = Request(method, link.bucket or "", link.key, link.query, {"host": link.host, **sent})

    found = [*look.of_text(link)]
    if not any(finding.code in ("truncated", "unsigned") for finding in found):
        found += look.of_parameters(link)
    found += look.of_times(link, clock)
    found += look.of_address(link)
    if headers is not None:
        found += look.of_headers(link, frozenset(sent))
    if inside:
        found = [finding for finding in found if finding.code != "internal_host"]

    compared: tuple[Difference, ...] = ()
    if error is not None:
        compared = ranking.compare(request, link, error, knows_headers=headers is not None)
        found = ranking.heed(error, found, compared, link, method)
    signature, found, notes = ranking.prove(request, link, credentials, clock, found)

    found = list(ranking.in_order(found))
    given = [name for name in sent if v4.is_always_signed(name)]
    return Explanation(
        version=link.version,
        method=word(method),
        scheme=link.scheme,
        host=link.host,
        host_kind=link.host_kind,
        host_region=link.host_region,
        bucket=link.bucket,
        key=link.key,
        region=link.region,
        issued_at=_datetime(link.issued),
        expires_at=_datetime(link.ends),
        age=clock - link.issued if link.issued is not None else None,
        lifetime=link.lifetime,
        remaining=link.ends - clock if link.ends is not None else None,
        temporary=link.access_key_id.startswith("STS.") or bool(link.token),
        headers=tuple(dict.fromkeys((*(name for name in link.additional if name != "host"), *given))),
        signature=signature,
        findings=tuple(found),
        differences=compared,
        notes=(*_notes(link, method, is_whole=not found), *notes),
    )


def _bucket_of(error: ServerError | None) -> str | None:
    """The bucket that OSS saw, where it says."""
    path = error.canonical_request.split("\n")[1:2] if error else []
    return path[0].split("/")[1] or None if path and path[0].count("/") > 1 else None


def _notes(link: Reading, method: str, *, is_whole: bool) -> Iterator[str]:
    if link.version in look.VERSION_NOTES:
        yield look.VERSION_NOTES[link.version]
    if link.bucket is None:
        yield "A custom domain does not tell its bucket, which is part of what is signed."
    region = link.host_region or ""
    if is_whole and link.host_kind == "public" and region.startswith("cn-") and region != "cn-hongkong":
        yield "In mainland China, accounts new to OSS since 2025-03-20 need a custom domain (PublicEndpointForbidden)."
    if link.version == V4 and method == "HEAD":
        yield "GET and HEAD are different signatures: a link signed for GET is refused with HEAD."
    if link.version == V4 and method in ("PUT", "POST"):
        yield "If a Content-Type was signed, the same must be sent; a link does not show that."


def _datetime(moment: int | None) -> datetime | None:
    try:
        return None if moment is None else datetime.fromtimestamp(moment, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _lines(told: Explanation) -> Iterator[str]:
    if told.version:
        yield f"A presigned URL of OSS, signature {told.version}, used with {told.method}"
    else:
        yield "A URL without a signature"
    yield f"  object     {f'oss://{told.bucket}/{told.key}' if told.bucket else f'{told.key} (bucket not told)'}"
    yield f"  host       {told.host} ({_KINDS[told.host_kind]})"
    if told.region:
        yield f"  region     {told.region}"
    if told.issued_at and told.age is not None:
        yield f"  signed     {format_time(told.issued_at)}, {format_relative(told.age)}"
    if told.expires_at and told.remaining is not None:
        lived = f", made for {format_duration(told.lifetime)}" if told.lifetime and told.lifetime > 0 else ""
        verb = "ends" if told.remaining > 0 else "ended"
        yield f"  {verb:<10} {format_time(told.expires_at)}, {format_relative(-told.remaining)}{lived}"
    if told.version:
        yield f"  signed by  {'temporary credentials (STS)' if told.temporary else 'a permanent access key'}"
        yield f"  send       {', '.join(told.headers) or 'no header that the link names'}"
    if told.signature is not None:
        yield f"  signature  {'right' if told.signature else 'wrong'}, by the secret given"
    yield ""
    if not told.findings:
        more = "" if told.signature else " The secret, or OSS's error document, would tell more."
        yield "Nothing wrong was found." + more
    for number, finding in enumerate(told.findings, 1):
        yield from _wrapped(f"{number}. ", f"{finding.title} [{finding.code}, {finding.certainty}]")
        yield from _wrapped("   Seen: ", finding.evidence)
        yield from _wrapped("   Do:   ", finding.advice)
    for note in told.notes:
        yield from _wrapped("Note: ", note)


def _wrapped(label: str, text: str) -> list[str]:
    """A paragraph of 100 columns behind its label."""
    return wrap(
        text,
        100,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )
