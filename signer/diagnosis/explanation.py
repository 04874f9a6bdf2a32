"""An explanation: what a link is and why it fails, for programs and in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from textwrap import wrap
from typing import NamedTuple

from ..common.display import printable
from ..times import format_duration, format_relative, format_time, rfc3339
from .canonical_request import Difference
from .causes import causes_in
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


_KINDS = {
    "link": "a link",
    "other link": "another link, which is not explained",
    "answer": "an answer of OSS: {}",
    "status": "the status {}",
    "request": "the method {}",
    "time": "the time {}",
}
_MAX_READ = 8  # parts that are named
WORDS = {
    "zh": {
        "Read: ": "已读取：",
        ", ": "、",
        "a link": "链接",
        "another link, which is not explained": "另一个链接（未诊断）",
        "an answer of OSS: {}": "OSS 的响应：{}",
        "the status {}": "HTTP 状态码 {}",
        "the method {}": "请求方法 {}",
        " with ": "，带请求头 ",
        "the time {}": "时间 {}",
        " of {}": "（来自 {}）",
        " of a {} command": "（来自 {} 命令）",
        " (line {})": "（第 {} 行）",
        " (lines {} to {})": "（第 {} 至 {} 行）",
        "OSS presigned URL, signature {}, used with {}": "OSS 签名 URL，签名版本 {}，请求方法 {}",
        "URL not signed for OSS": "不是 OSS 签名的 URL",
        "OSS's answer, without its link": "OSS 的响应，没有对应的链接",
        "bucket unknown": "Bucket 未知",
        "public": "公网",
        "internal, works only inside its region": "内网，只能在其地域内访问",
        "transfer acceleration": "传输加速",
        "dual stack, IPv4 and IPv6": "IPv4 和 IPv6 双栈",
        "an address, with the bucket first in the path": "IP 地址，路径以 Bucket 开头",
        "a custom domain": "自定义域名",
        "object    ": "对象     ",
        "host      ": "主机     ",
        "region    ": "地域     ",
        "signed    ": "签名时间 ",
        "expired   ": "已过期   ",
        "expires   ": "过期时间 ",
        "at the latest {}; earlier if the security token does": "最晚 {}；如果安全令牌更早过期，则以令牌为准",
        "signed by ": "签名者   ",
        "temporary credentials (STS)": "临时凭证（STS）",
        "a permanent access key": "长期 AccessKey",
        "headers   ": "请求头   ",
        "the link requires none": "链接不要求任何请求头",
        "{} (sent)": "{}（已发送）",
        "signature ": "签名     ",
        "matches with the given secret": "与给定的 AccessKey Secret 一致",
        "does not match with the given secret": "与给定的 AccessKey Secret 不一致",
        "Nothing wrong was found.": "没有发现问题。",
        " With the secret, or OSS's error document, more can be found.": "提供 Secret 或 OSS 的响应，还能查出更多。",
        "   Evidence: ": "   依据：",
        "   Fix:      ": "   建议：",
        "Note: ": "注意：",
    }
}


class Explanation(NamedTuple):
    """What a link is, and why it fails. `str()` is the full explanation in words; nothing in it is secret.

    `host` is "" for an answer without its link. `version` is "V4", "V1", "V2", "S3-compatible V4", "S3-compatible V2",
    or None without a signature. `age`, `lifetime` and `remaining` are seconds; `remaining` is negative after the
    expiry. `temporary` says whether temporary credentials signed the link. `headers` are the names of the headers
    that the link requires, as far as it shows them, and of `sent_headers`, which were sent and count for the signature.
    `signature` is whether the signature is right, None where that is not known.
    `findings` are most probable first; `differences` are where OSS's canonical request differs from the link's. A link
    that `has_token` expires at `expires_at` at the latest; earlier if the security token does, which does not show its
    own expiry. `read` is what was read, each with its lines.
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
    sent_headers: tuple[str, ...]
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
        return self.in_words("en")

    def in_words(self, language: str) -> str:
        """The full explanation in "en" or "zh"; evidence, notes and durations are English in both."""
        return "\n".join(map(printable, _lines(self, language)))

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


def _lines(e: Explanation, language: str) -> Iterator[str]:
    words = WORDS.get(language, {})
    causes = causes_in(language)

    def say(sentence: str, *values: object) -> str:
        return words.get(sentence, sentence).format(*values)

    if e.read:
        comma = say(", ")
        parts = comma.join(_part(part, say) for part in e.read[:_MAX_READ])
        yield from _paragraph(say("Read: "), parts)
    if e.version:
        yield say("OSS presigned URL, signature {}, used with {}", e.version, e.method)
    else:
        yield say("URL not signed for OSS") if e.host else say("OSS's answer, without its link")
    yield from _link_lines(e, say)
    yield ""
    if not e.findings:
        more = (
            ""
            if e.signature
            else say(" With the secret, or OSS's error document, more can be found.")
        )
        yield say("Nothing wrong was found.") + more
    for number, finding in enumerate(e.findings, 1):
        title = causes[finding.code].title
        yield from _paragraph(f"{number}. ", f"{title} [{finding.code}, {finding.certainty}]")
        yield from _paragraph(say("   Evidence: "), finding.evidence)
        yield from _paragraph(say("   Fix:      "), causes[finding.code].advice)
    for note in e.notes:
        yield from _paragraph(say("Note: "), note)


def _link_lines(e: Explanation, say: Callable[..., str]) -> Iterator[str]:
    if e.host:
        unknown = f"{e.key} ({say('bucket unknown')})"
        yield f"  {say('object    ')} {f'oss://{e.bucket}/{e.key}' if e.bucket else unknown}"
        yield f"  {say('host      ')} {e.host} ({say(_HOST_KINDS[e.host_kind])})"
    if e.region:
        yield f"  {say('region    ')} {e.region}"
    if e.issued_at and e.age is not None:
        yield f"  {say('signed    ')} {format_time(e.issued_at)}, {format_relative(e.age)}"
    if e.expires_at and e.remaining is not None:
        lifetime = (
            f", valid for {format_duration(e.lifetime)}" if e.lifetime and e.lifetime > 0 else ""
        )
        when = f"{format_time(e.expires_at)}, {format_relative(-e.remaining)}{lifetime}"
        if e.remaining <= 0:
            yield f"  {say('expired   ')} {when}"
        elif e.has_token:
            yield f"  {say('expires   ')} {say('at the latest {}; earlier if the security token does', when)}"
        else:
            yield f"  {say('expires   ')} {when}"
    if e.version:
        signer = "temporary credentials (STS)" if e.temporary else "a permanent access key"
        yield f"  {say('signed by ')} {say(signer)}"
        headers = [say("{} (sent)", name) if name in e.sent_headers else name for name in e.headers]
        yield f"  {say('headers   ')} {', '.join(headers) or say('the link requires none')}"
    if e.signature is not None:
        matches = (
            "matches with the given secret"
            if e.signature
            else "does not match with the given secret"
        )
        yield f"  {say('signature ')} {say(matches)}"


def _part(part: Read, say: Callable[..., str]) -> str:
    """`an answer of OSS: AccessDenied, EC 0003-00000001 (line 4)`."""
    of_what = " of {}" if part.source.isupper() else " of a {} command"
    source = part.source and say(of_what, part.source)
    lines = say(" (line {})" if len(part.lines) == 1 else " (lines {} to {})", *part.lines)
    # Of a request, the method and the headers.
    comma = say(" with ") if part.kind == "request" else ", "
    return f"{say(_KINDS[part.kind], part.detail.replace(', ', comma, 1))}{source}{lines}"


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
