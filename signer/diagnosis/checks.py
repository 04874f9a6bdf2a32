"""What can be told of a link by looking at it: no secret, no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..link import MAX_EXPIRES_IN
from ..signed_request import REQUIRED, read_timestamp
from ..times import format_duration, format_timestamp
from ..verification import SKEW
from .advice import ADVICE
from .lenient_url import PARTS, S3_V4, V1, V2, V4, Reading
from .oss_error import word

PROVED, CERTAIN, LIKELY, POSSIBLE = "proved", "certain", "likely", "possible"

# Parameters that chat tools, mailings and scripts put on links, and that nobody signs.
_TRACKERS = re.compile(
    r"(?:utm_|mc_|pk_|hsa_|spm)[a-z_]*|fbclid|gclid|dclid|msclkid|yclid|igshid|twclid|nsukey|isappinstalled|wxshare_count"
    r"|from|scene|clicktime|enterid|sharer_\w+|_|_t|_ts|_r|t|ts|v|rand|random|nocache|timestamp|cachebuster|nonce|ref"
)
_OWN = frozenset((*REQUIRED, "x-oss-security-token", "x-oss-additional-headers", "security-token"))
_HEX = re.compile(r"[0-9a-f]{64}")


class Finding(NamedTuple):
    """One thing that is wrong: what, why that is believed, and what to do.

    `certainty` is "proved" (with the secret), "certain", "likely" or "possible".
    """

    code: str
    certainty: str
    evidence: str

    @property
    def title(self) -> str:
        """What is wrong, in a sentence."""
        return ADVICE[self.code][0]

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.code][1]


def of_text(link: Reading) -> Iterator[Finding]:
    """What happened to the text of the link, and what is missing from it."""
    for code, evidence in link.damages:
        yield Finding(code, CERTAIN, evidence)
    if link.version is None:
        yield Finding("unsigned", CERTAIN, "None of the parameters of a signature is in the query.")
        return
    if link.version != V4:
        yield from _missing(link)
        return
    signature = link.value("x-oss-signature")
    whole = _HEX.fullmatch(signature) is not None
    if signature and not whole:
        last = link.names[-1] == "x-oss-signature"
        if last and len(signature) < 64 and re.fullmatch("[0-9a-f]*", signature):
            yield Finding("truncated", CERTAIN, f"The signature has {len(signature)} of its 64 digits.")
        else:
            yield Finding("malformed_parameter", CERTAIN, "x-oss-signature is not 64 hexadecimal digits.")
    yield from _missing(link)
    yield from _malformed(link)


def _missing(link: Reading) -> Iterator[Finding]:
    required = PARTS[link.version or V4]
    absent = [name for name in required if not link.value(name)]
    if not absent:
        return
    named = ", ".join(absent)
    tail = absent[-1].lower().endswith("signature")
    if tail and not any(damage.code == "truncated" for damage in link.damages):
        shell = len(link.query) <= 1
        more = "; only the first parameter is left, as when a shell takes & for its own" if shell else ""
        yield Finding("truncated", CERTAIN, f"The link lacks {named}{more}.")
    elif not tail:
        yield Finding("missing_parameter", CERTAIN, f"The link lacks {named}, but has a signature.")


def _malformed(link: Reading) -> Iterator[Finding]:
    if len(link.names) != len(set(link.names)) and (twice := [n for n in _OWN if link.names.count(n) > 1]):
        yield Finding("malformed_parameter", CERTAIN, f"{', '.join(sorted(twice))} stands in the link twice.")
    date, credential = link.value("x-oss-date"), link.value("x-oss-credential")
    cut = not link.value("x-oss-signature")
    if date and read_timestamp(date) is None and not cut:
        yield Finding("malformed_parameter", CERTAIN, "x-oss-date is not of the form YYYYMMDDThhmmssZ.")
    if credential and not cut:
        parts = credential.split("/")
        if len(parts) != 5 or parts[4] != "aliyun_v4_request" or not all(parts):
            form = "access key/date/region/product/aliyun_v4_request"
            yield Finding("malformed_parameter", CERTAIN, f"x-oss-credential is not of the form {form}.")
        elif link.issued is not None and parts[1] != date[:8]:
            yield Finding("malformed_parameter", CERTAIN, "x-oss-credential and x-oss-date name different days.")
    version = link.value("x-oss-signature-version")
    if version and version != "OSS4-HMAC-SHA256" and not cut:
        yield Finding("malformed_parameter", CERTAIN, "x-oss-signature-version is none that OSS has.")
    if "x-oss-additional-headers" in link.names and not link.additional:
        yield Finding("malformed_parameter", CERTAIN, "x-oss-additional-headers is empty (EC 0002-00000076).")


def of_parameters(link: Reading) -> Iterator[Finding]:
    """What was put on the link after it was signed, and what is wrong with its token."""
    if link.version == V4:
        added = added_after_signing(link)
        tokens = [name for name in added if name.endswith("security-token")]
        others = [name for name in added if not name.endswith("security-token")]
        if others:
            yield Finding(
                "added_parameters",
                CERTAIN if set(others) <= set(_behind(link)) else LIKELY,
                f"{_listed(others)} {'stand' if len(others) > 1 else 'stands'} where the signer puts nothing, or "
                f"{'are' if len(others) > 1 else 'is'} of a kind that nobody signs.",
            )
        if tokens:
            yield Finding("token_not_signed", CERTAIN, f"{tokens[0]} stands behind the signature.")
        elif "security-token" in link.names and not link.value("x-oss-security-token"):
            yield Finding(
                "token_not_signed",
                CERTAIN,
                "It is called security-token, which to V4 is a parameter like any other.",
            )
    token = link.token
    if " " in token:
        yield Finding(
            "plus_decoded",
            CERTAIN,
            f"The security token holds {_count(token.count(' '), 'blank')}, where base64 has plus signs.",
        )
    temporary = link.access_key_id.startswith("STS.")
    if temporary and not token and link.value("x-oss-signature" if link.version in (V4, V2) else "Signature"):
        yield Finding("missing_token", CERTAIN, "The access key begins with STS., and the link has no security token.")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _behind(link: Reading) -> tuple[str, ...]:
    """The parameters behind the signature, where the order shows that the signer ended there.

    Signers either put the signature last, or sort all parameters by name; what does neither was added.
    """
    names = list(link.names)
    if "x-oss-signature" not in names or not set(REQUIRED) <= set(names):
        return ()
    end = max(names.index(name) for name in REQUIRED)
    if names[end] == "x-oss-signature":
        return tuple(names[end + 1 :])
    while end + 1 < len(names) and names[end] <= names[end + 1]:
        end += 1
    return tuple(names[end + 1 :]) if names[: end + 1] == sorted(names[: end + 1]) else ()


def added_after_signing(link: Reading) -> tuple[str, ...]:
    """The names of parameters that were most probably not signed."""
    trackers = tuple(name for name in link.names if _TRACKERS.fullmatch(name.lower()))
    return tuple(dict.fromkeys((*_behind(link), *trackers)))


def _listed(names: list[str]) -> str:
    shown = [word(name) for name in names[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def of_times(link: Reading, now: int) -> Iterator[Finding]:
    """Expiry and clocks; `now` in Unix seconds."""
    if link.version in (V4, S3_V4) and link.expires:
        whole = re.fullmatch(r"-?[0-9]{1,18}", link.expires) is not None
        if not whole:
            if link.value("x-oss-signature") or link.version == S3_V4:
                yield Finding("malformed_parameter", CERTAIN, "The expiry is no whole number of seconds.")
        elif not 1 <= int(link.expires) <= MAX_EXPIRES_IN:
            seconds = int(link.expires)
            unix = " It looks like a Unix time, as V1 has it." if seconds > 10**9 else ""
            yield Finding("expires_out_of_range", CERTAIN, f"The expiry is {seconds} seconds.{unix}")
            return
    if link.issued is not None and link.issued > now + SKEW:
        yield Finding(
            "date_in_future",
            CERTAIN,
            f"It is dated {format_timestamp(link.issued)}, {format_duration(link.issued - now)} ahead of the clock "
            f"here, {format_timestamp(now)}.",
        )
    if link.ends is not None and link.ends <= now:
        lived = f" It was made to live for {format_duration(link.lifetime)}." if link.lifetime else ""
        yield Finding(
            "expired",
            CERTAIN,
            f"It ended {format_timestamp(link.ends)}, {format_duration(now - link.ends)} ago.{lived}",
        )


def of_address(link: Reading) -> Iterator[Finding]:
    """Host, bucket, region and key."""
    if link.region and link.host_region and link.region != link.host_region:
        yield Finding(
            "wrong_region", CERTAIN, f"Signed for {word(link.region)}, but the host is in {word(link.host_region)}."
        )
    in_host = link.host.startswith(f"{link.bucket}.")
    if not in_host and link.host_kind in ("public", "internal", "accelerate", "dual-stack"):
        yield Finding("bucket_not_in_host", CERTAIN, f"The host is {link.host}, with no bucket before it.")
    if in_host and link.path.startswith(f"{link.bucket}/"):
        yield Finding("bucket_twice", LIKELY, f"The host begins with {link.bucket}, and so does the path.")
    if link.host_kind == "internal":
        yield Finding("internal_host", LIKELY, f"{link.host.partition(':')[0]} is an internal name.")
    segments = link.key.split("/")
    odd = [name for name in ("", ".", "..") if name in (segments[:-1] if name == "" else segments)]
    if odd or link.key.startswith("\\"):
        shown = ", ".join(f'"{name}"' for name in odd) or "a backslash at its beginning"
        yield Finding("rewritten_key", CERTAIN, f"The key has the segment {shown}." if odd else f"The key has {shown}.")
    elif re.search(r"[\x00-\x1f\x7f]", link.key):
        yield Finding("rewritten_key", LIKELY, "The key holds a control character, which many clients reject.")


def of_headers(link: Reading, sent: frozenset[str]) -> Iterator[Finding]:
    """Signed headers that are not among those sent (lower-case names)."""
    absent = [name for name in link.additional if name not in sent and name != "host"]
    if absent:
        yield Finding("missing_header", CERTAIN, f"{_listed(absent)} was signed, and is not among the headers given.")


VERSION_NOTES = {
    V1: "Signature V1 is being phased out: accounts and buckets that are new to OSS cannot use it. Sign with V4.",
    V2: "Signature V2 is no longer developed. Sign with V4.",
}
