"""Checks what a link itself shows: without a secret, without the network."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from ..common.display import join_names, printable_name
from ..link import MAX_EXPIRES_IN
from ..signed_request import REQUIRED, read_timestamp
from ..times import format_duration, format_timestamp
from ..v4 import ALGORITHM
from ..verification import SKEW
from .causes import with_trait
from .evidence import CERTAIN, DAMAGE, LIKELY, LINK, POSSIBLE, Evidence
from .lenient_url import (
    REQUIRED_PARAMETERS,
    S3_V4,
    SIGNATURES,
    V1,
    V2,
    V4,
    LenientUrl,
    is_region,
)

VERSION_NOTES = {
    V1: "OSS is phasing out signature V1: new accounts and buckets cannot use it. Sign with V4.",
    V2: "Signature V2 is no longer developed. Sign with V4.",
}

# Parameters that chat tools, mailings and scripts add to links, and that nobody signs.
_TRACKERS = re.compile(
    r"(?:utm_|mc_|pk_|hsa_|spm)[a-z_]*|fbclid|gclid|dclid|msclkid|yclid|igshid|twclid|nsukey|isappinstalled|wxshare_count"
    r"|from|scene|clicktime|enterid|sharer_\w+|_|_t|_ts|_r|t|ts|v|rand|random|nocache|timestamp|cachebuster|nonce|ref"
)
# Other services: the end of their hosts, or the parameters that only their links have.
_SERVICES = {
    "Amazon S3": r"\.amazonaws\.com(?:\.cn)?$",
    "Amazon CloudFront": r"\.cloudfront\.net$|&Key-Pair-Id&",
    "Tencent COS": r"\.(?:myqcloud\.com|tencentcos\.cn)$|&q-sign-algorithm&",
    "Kingsoft KS3": r"\.ksyun(?:cs)?\.com$|&KSSAccessKeyId&",
    "UCloud US3": r"\.ufileos\.com$|&UCloudPublicKey&",
    "JD Cloud OSS": r"\.jdcloud-oss\.com$",
    "Firebase": r"^firebasestorage\.googleapis\.com$",
    "Upyun": r"\.(?:upaiyun\.com|upcdn\.net)$|&_upt&",
    "Supabase": r"\.supabase\.(?:co|in)$",
    "Huawei OBS": r"\.myhuaweicloud\.(?:com|eu)$|&AccessKeyId&|&x-obs-[a-z-]+&",
    "Google Cloud Storage": r"(?:^|\.)storage\.(?:googleapis|cloud\.google)\.com$|&GoogleAccessId&|&X-Goog-Signature&",
    "Azure Blob Storage": r"\.blob\.core\.(?:windows\.net|chinacloudapi\.cn)$|&sv&(?:.*&)?sig&|&sig&(?:.*&)?sv&",
    "Qiniu Kodo": r"\.(?:qiniucs\.com|qiniudn\.com|qnssl\.com|clouddn\.com|qbox\.me)$|&e&(?:.*&)?token&",
    "Volcengine TOS": r"\.volces\.com$|&X-Tos-Signature&",
    "Baidu BOS": r"\.bcebos\.com$",
    "another S3": r"\.(?:cloudflarestorage|wasabisys|backblazeb2|digitaloceanspaces)\.com$|^play\.min\.io$",
}
_INCOMPLETE = with_trait("incomplete")
# Of a token; a shorter one is a fake.
_BASE64 = re.compile("[A-Za-z0-9+/]{64,}={0,2}")
_OPTIONAL = ("x-oss-security-token", "x-oss-additional-headers", "security-token")


def link_evidence(
    link: LenientUrl,
    now: int,
    sent: Container[str] | None,
    *,
    inside: bool,
    log_time: tuple[int, int] | None = None,
) -> list[Evidence]:
    """What the link shows at `now`, in Unix seconds; `sent` are lower-case names of headers, None if not known.

    `log_time` is between which times it was used, where a log says it.
    """
    evidence = [*check_text(link)]
    if not any(piece.code in _INCOMPLETE for piece in evidence):
        evidence += check_parameters(link)
    evidence += check_times(link, now, log_time)
    evidence += [
        piece for piece in check_address(link) if not (inside and piece.code == "internal_host")
    ]
    return evidence if sent is None else [*evidence, *check_headers(link, sent)]


def other_service(link: LenientUrl) -> Evidence | None:
    """The evidence that another service signed the link, where its host or its parameters show it."""
    names = "".join(f"&{name}&" for name in link.names)
    for service, form in _SERVICES.items() if link.host_kind == "custom" else ():
        if re.search(form, link.host.partition(":")[0]):
            return Evidence("other_service", LINK, CERTAIN, f"Its host is that of {service}.")
        if link.version in (None, V1) and not link.access_key_id and re.search(form, names):
            return Evidence(
                "other_service", LINK, LIKELY, f"Its parameters are those of {service}."
            )
    return None


def check_text(link: LenientUrl) -> Iterator[Evidence]:
    """Damage on the way, and parts of the signature that are missing or invalid."""
    for code, sentence, is_certain in link.damages:
        yield Evidence(code, DAMAGE, CERTAIN if is_certain else LIKELY, sentence)
    is_cut = any(damage.code == "truncated" for damage in link.damages)
    if link.wrapper:
        where = (
            "in the path"
            if link.wrapper == "path"
            else f"the parameter {printable_name(link.wrapper)}"
        )
        sentence = f"It is {where} of another address, and is explained here."
        yield Evidence("wrapped", LINK, CERTAIN, sentence)
    if link.version is None:
        if not is_cut:
            yield _unsigned(link)
        return
    complete, beginning, form = SIGNATURES.get(link.version, ("", "", ""))
    signature = link.signature.replace(" ", "+")
    if form and signature and not re.fullmatch(complete, signature):
        if link.names[-1] == link.signature_name and re.fullmatch(beginning, signature):
            length = len(signature.partition("%")[0])
            yield Evidence("truncated", LINK, CERTAIN, f"The signature has {length} of its {form}.")
        else:
            yield Evidence(
                "malformed_parameter", LINK, CERTAIN, f"{link.signature_name} must be {form}."
            )
    yield from _check_required(link, link.version)
    own = (*REQUIRED_PARAMETERS[link.version], *_OPTIONAL) if form else ()
    repeated = sorted(name for name in own if link.names.count(name) > 1)
    if repeated:
        yield Evidence(
            "malformed_parameter",
            LINK,
            CERTAIN,
            f"The link contains {', '.join(repeated)} more than once.",
        )
    if link.version == V4:
        yield from _check_values(link)


def _unsigned(link: LenientUrl) -> Evidence:
    is_oss = link.host_kind not in ("custom", "address")
    if f"{link.bucket or ''}/{link.path}/".lstrip("/").startswith("-/s/") and not is_oss:
        return Evidence(
            "share_address", LINK, CERTAIN, "Its path begins with /-/s/, and it has no signature."
        )
    if link.host.endswith(".mimecast.com"):
        hidden = "Mimecast's address does not contain the link: open it in a browser, and copy the link from there."
        return Evidence("wrapped", LINK, CERTAIN, hidden)
    return Evidence(
        "unsigned",
        LINK,
        CERTAIN if is_oss else LIKELY,
        "The query has none of the parameters of a signature.",
    )


def _check_required(link: LenientUrl, version: str) -> Iterator[Evidence]:
    missing = [name for name in REQUIRED_PARAMETERS[version] if not link.value(name)]
    if not missing:
        return
    names = ", ".join(missing)
    if not missing[-1].lower().endswith("signature"):
        yield Evidence(
            "missing_parameter", LINK, CERTAIN, f"The link has a signature, but not {names}."
        )
    elif not any(damage.code == "truncated" for damage in link.damages):
        shell = (
            "; only the first parameter is left, as when a shell stops at &"
            if len(link.query) <= 1
            else ""
        )
        yield Evidence("truncated", LINK, CERTAIN, f"The link does not have {names}{shell}.")


def _check_values(link: LenientUrl) -> Iterator[Evidence]:
    date, credential, version = map(
        link.value, ("x-oss-date", "x-oss-credential", "x-oss-signature-version")
    )
    parts = credential.split("/")
    is_credential = len(parts) == 5 and parts[4] == "aliyun_v4_request" and all(parts)
    form = "access key/date/region/product/aliyun_v4_request"
    is_signed = bool(link.value("x-oss-signature"))
    has_date = link.issued_at is not None
    is_other_day = is_credential and has_date and parts[1] != date[:8]
    has_no_names = "x-oss-additional-headers" in link.names and not link.additional_headers
    for is_malformed, sentence in (
        (
            is_signed and date and read_timestamp(date) is None,
            "x-oss-date must have the form YYYYMMDDThhmmssZ.",
        ),
        (
            is_signed and credential and not is_credential,
            f"x-oss-credential must have the form {form}.",
        ),
        (is_signed and is_other_day, "x-oss-credential and x-oss-date must have the same date."),
        (
            is_signed and version not in ("", ALGORITHM),
            f"x-oss-signature-version must be {ALGORITHM}.",
        ),
        (has_no_names, "x-oss-additional-headers must not be empty (EC 0002-00000076)."),
    ):
        if is_malformed:
            yield Evidence("malformed_parameter", LINK, CERTAIN, sentence)


def check_parameters(link: LenientUrl) -> Iterator[Evidence]:
    """Parameters that were added after signing, and the security token."""
    if link.version == V4:
        added = added_after_signing(link)
        tokens = [name for name in added if name.endswith("security-token")]
        others = [name for name in added if name not in tokens]
        if others:
            certainty = CERTAIN if set(others) <= set(_after_signature(link)) else LIKELY
            sentence = f"Not signed, judging by place or name: {join_names(others)}."
            yield Evidence("added_parameters", LINK, certainty, sentence)
        if tokens:
            yield Evidence(
                "token_not_signed", LINK, CERTAIN, f"{tokens[0]} comes after the signature."
            )
        elif "security-token" in link.names and not link.value("x-oss-security-token"):
            sentence = "Its name is security-token, which for V4 is a parameter like any other."
            yield Evidence("token_not_signed", LINK, CERTAIN, sentence)
    for what, value in (
        ("security token", link.token),
        ("signature", link.signature if link.version == V1 else ""),
    ):
        if spaces := value.count(" "):
            count = "a space" if spaces == 1 else f"{spaces} spaces"
            yield Evidence(
                "plus_decoded",
                LINK,
                CERTAIN,
                f"The {what} contains {count} where base64 has plus signs.",
            )
    if _BASE64.fullmatch(link.token) and len(link.token) % 4:
        # STS fills every token up with = to a multiple of four.
        sentence = (
            f"The security token has {len(link.token)} characters, and base64 has a multiple of 4: "
        )
        sentence += "some were lost, most likely plus signs."
        yield Evidence("plus_decoded", LINK, LIKELY, sentence)
    if link.access_key_id.startswith("STS.") and not link.token and link.signature:
        sentence = "The access key starts with STS., but the link has no security token."
        yield Evidence("missing_token", LINK, CERTAIN, sentence)


def _after_signature(link: LenientUrl) -> tuple[str, ...]:
    """The parameters after those of the signer, where their order shows where the signer ended.

    Signers either put the signature last or sort all parameters by name; anything else was added.
    """
    names = list(link.names)
    if not set(REQUIRED) <= set(names):
        return ()
    end = max(names.index(name) for name in REQUIRED)
    if names[end] == "x-oss-signature":
        return tuple(names[end + 1 :])
    while end + 1 < len(names) and names[end] <= names[end + 1]:
        end += 1
    return tuple(names[end + 1 :]) if names[: end + 1] == sorted(names[: end + 1]) else ()


def added_after_signing(link: LenientUrl) -> tuple[str, ...]:
    """The names of parameters that were most probably not signed."""
    trackers = (name for name in link.names if _TRACKERS.fullmatch(name.lower()))
    return tuple(dict.fromkeys((*_after_signature(link), *trackers)))


def check_times(
    link: LenientUrl, now: int, log_time: tuple[int, int] | None = None
) -> Iterator[Evidence]:
    """Expiry and clocks; `now`, and between which times the link was used, in Unix seconds."""
    if link.version in (V4, S3_V4) and link.expires:
        if not re.fullmatch(r"-?[0-9]{1,18}", link.expires):
            if link.value("x-oss-signature") or link.version == S3_V4:
                yield Evidence(
                    "malformed_parameter",
                    LINK,
                    CERTAIN,
                    "The expiry must be an integer, in seconds.",
                )
        elif not 1 <= int(link.expires) <= MAX_EXPIRES_IN:
            seconds = int(link.expires)
            unix = " This looks like a Unix time, as V1 uses it." if seconds > 10**9 else ""
            yield Evidence(
                "expires_out_of_range", LINK, CERTAIN, f"The expiry is {seconds} seconds.{unix}"
            )
            return
    if link.version == V1 and link.expires and link.expires_at is None and link.signature:
        yield Evidence(
            "malformed_parameter", LINK, CERTAIN, "Expires must be a Unix time, in seconds."
        )
    if link.issued_at is not None and link.issued_at > now + SKEW:
        ahead = format_duration(link.issued_at - now)
        sentence = f"That is {ahead} after now, {format_timestamp(now)}."
        yield Evidence(
            "date_in_future",
            LINK,
            CERTAIN,
            f"It is dated {format_timestamp(link.issued_at)}. {sentence}",
        )
    earliest, latest = log_time or (now, now)
    if link.expires_at is not None and link.expires_at <= min(latest, now):
        certainty = CERTAIN if link.expires_at <= earliest else POSSIBLE
        lifetime = f" It was valid for {format_duration(link.lifetime)}." if link.lifetime else ""
        expired = (
            f"{format_timestamp(link.expires_at)}, {format_duration(now - link.expires_at)} ago"
        )
        yield Evidence("expired", LINK, certainty, f"It expired at {expired}.{lifetime}")


def check_address(link: LenientUrl) -> Iterator[Evidence]:
    """Host, bucket, region and key."""
    # Clients of S3 sign for regions of their own, and OSS takes these.
    is_whole = link.value("x-oss-credential").count("/") == 4
    region = link.region if link.version == V4 and is_whole else None
    if region and link.host_region and region != link.host_region:
        signed = region if is_region(region) else "another region"
        sentence = f"The link is signed for {signed}, but the host is in {printable_name(link.host_region or '')}."
        yield Evidence("wrong_region", LINK, CERTAIN, sentence)
    in_host = link.host.startswith(f"{link.bucket}.")
    if not in_host and link.host_kind in ("public", "internal", "accelerate", "dual-stack"):
        yield Evidence(
            "bucket_not_in_host", LINK, CERTAIN, f"The host is {link.host}, without the bucket."
        )
    if in_host and link.path.startswith(f"{link.bucket}/"):
        yield Evidence(
            "bucket_twice", LINK, LIKELY, f"The host and the path both start with {link.bucket}."
        )
    if link.host_kind == "internal":
        yield Evidence(
            "internal_host", LINK, LIKELY, f"{link.host.partition(':')[0]} is an internal host."
        )
    # Of an unsigned one, it may be the address of another link that was cut.
    segments = link.key.split("/") if link.version else []
    odd = [name for name in ("", ".", "..") if name in (segments[:-1] if name == "" else segments)]
    if odd:
        names = ", ".join(f'"{name}"' for name in odd)
        yield Evidence("rewritten_key", LINK, CERTAIN, f"The key has the segment {names}.")
    elif link.key.startswith("\\"):
        yield Evidence("rewritten_key", LINK, CERTAIN, "The key starts with a backslash.")
    elif re.search(r"[\x00-\x1f\x7f]", link.key):
        yield Evidence(
            "rewritten_key",
            LINK,
            LIKELY,
            "The key contains a control character, which many clients reject.",
        )


def check_headers(link: LenientUrl, sent: Container[str]) -> Iterator[Evidence]:
    """Signed headers that are not among those sent (lower-case names)."""
    missing = [name for name in link.additional_headers if name not in sent and name != "host"]
    if missing:
        yield Evidence(
            "missing_header",
            LINK,
            CERTAIN,
            f"Signed, but not among the headers sent: {join_names(missing)}.",
        )
