"""The cases of docs/explain.md, from OSS's stand-in and `explain` themselves; run as a program, it rewrites the page.

Each fenced block behind a comment `<!-- answer: name -->` or `<!-- explain: name -->` is made here.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import signer
from local.oss import create_app
from local.oss.errors import OssError
from signer import v4

PAGE = Path(__file__).parents[3] / "docs" / "explain.md"
BLOCK = re.compile(r"(<!-- (answer|explain): ([a-z-]+) -->\n```[a-z]*\n)(.*?)(```\n)", re.DOTALL)

ISSUED = 1_764_000_000  # 2025-11-24 16:00:00 UTC
NOW = ISSUED + 120
BUCKET = "examplebucket"
KEY = "reports/q3 final.pdf"
PERMANENT = signer.Credentials("LTAI5tEXAMPLE", "secretEXAMPLEsecretEXAMPLE")
TEMPORARY = signer.Credentials("STS.EXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIS+token/EXAMPLE+EXAMPLE==")
HANGZHOU = signer.Endpoint.public("cn-hangzhou")


class Case(NamedTuple):
    """A link as it was used; `answer` is OSS's where it is none that the stand-in gives."""

    url: str
    method: str = "GET"
    headers: dict[str, str] | None = None
    now: int = NOW
    credentials: signer.Credentials = PERMANENT
    answer: OssError | None = None
    has_answer: bool = True
    with_secret: bool = False
    explained_method: str | None = None


def link(
    method: str = "GET",
    credentials: signer.Credentials = PERMANENT,
    endpoint: signer.Endpoint = HANGZHOU,
    key: str = KEY,
    **more: object,
) -> str:
    made = signer.presign(
        method,
        BUCKET,
        key,
        credentials=credentials,
        endpoint=endpoint,
        expires_in=600,
        now=ISSUED,
        **more,  # type: ignore[arg-type]
    )
    return made.url


def cases() -> dict[str, Case]:
    tokenless = link(credentials=TEMPORARY._replace(security_token=None))
    token = quote(TEMPORARY.security_token or "", safe="")
    broken = link()
    forbidden = OssError(
        400, "PublicEndpointForbidden", "Public endpoint is forbidden for this operation.", ec="0048-00000401"
    )
    archived = OssError(403, "InvalidObjectState", "The operation is not valid for the object's state.")
    wrong_region = OssError(
        403,
        "AccessDenied",
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all "
        "future requests to this endpoint.",
        details=(("Bucket", BUCKET), ("Endpoint", "oss-cn-shanghai.aliyuncs.com")),
    )
    return {
        "expired": Case(link(), now=ISSUED + 7200),
        "truncated": Case(link()[:-40]),
        "line-broken": Case("\r\n".join(broken[i : i + 76] for i in range(0, len(broken), 76)), has_answer=False),
        "html-escaped": Case(link().replace("&", "&amp;")),
        "double-encoded": Case(link().replace("%", "%25")),
        "plus-decoded": Case(link(credentials=TEMPORARY).replace("%2B", "+"), credentials=TEMPORARY),
        "added-parameters": Case(link() + "&utm_source=newsletter"),
        "wrong-method": Case(link(), method="HEAD"),
        "extra-header": Case(link("PUT"), method="PUT", headers={"Content-Type": "application/x-www-form-urlencoded"}),
        "missing-token": Case(tokenless, credentials=TEMPORARY),
        "token-not-signed": Case(f"{tokenless}&x-oss-security-token={token}", credentials=TEMPORARY),
        "wrong-region": Case(
            link(endpoint=signer.Endpoint("https", HANGZHOU.domain, "cn-shanghai")), answer=wrong_region
        ),
        "bucket-twice": Case(link(key=f"{BUCKET}/{KEY}")),
        "internal-host": Case(link(endpoint=signer.Endpoint.internal("cn-hangzhou")), has_answer=False),
        "public-endpoint-forbidden": Case(link(), answer=forbidden),
        "date-in-future": Case(link(), now=ISSUED - 8 * 3600),
        "expires-out-of-range": Case(by_hand("2592000")),
        "rewritten-key": Case(by_hand("600", "reports//q3.pdf"), has_answer=False),
        "archived": Case(link(), answer=archived),
        "wrong-secret": Case(link(credentials=PERMANENT._replace(access_key_secret="secretEXAMPLEsecretEXAMPL"))),
        "proved": Case(link().replace("x-oss-expires=600", "x-oss-expires=86400"), has_answer=False, with_secret=True),
    }


def by_hand(expires: str, key: str = KEY) -> str:
    """What `presign` refuses to sign."""
    stamp = v4.timestamp(ISSUED)
    scope = v4.scope(stamp[:8], "cn-hangzhou")
    own = {
        "x-oss-credential": f"{PERMANENT.access_key_id}/{scope}",
        "x-oss-date": stamp,
        "x-oss-expires": expires,
        "x-oss-signature-version": v4.ALGORITHM,
    }
    query = v4.canonical_query(v4.canonical_parameter(*pair) for pair in own.items())
    request = v4.canonical_request("GET", v4.canonical_path(BUCKET, v4.encode_key(key)), query, "", "")
    signing_key = v4.signing_key(PERMANENT.access_key_secret, stamp[:8], "cn-hangzhou")
    signature = v4.signature(signing_key, v4.string_to_sign(stamp, scope, request))
    return f"{HANGZHOU.url(BUCKET, v4.encode_key(key))}?{query}&x-oss-signature={signature}"


def answer(case: Case, root: Path) -> str:
    """What OSS's stand-in answers to the link as it was used."""
    if case.answer is not None:
        return case.answer.xml("692480C0E5A1B2C3D4E5F607", f"{BUCKET}.oss-cn-hangzhou.aliyuncs.com").decode()
    app = create_app(
        root, region="cn-hangzhou", credentials=[case.credentials], buckets=[BUCKET], now=lambda: float(case.now)
    )
    address, _, query = case.url.partition("?")
    path = "/" + address.split("/", 3)[3]
    client = app.test_client()
    sent = client.open(
        path,
        method=case.method,
        base_url=f"https://{BUCKET}.oss-cn-hangzhou.aliyuncs.com",
        query_string=query,
        headers=case.headers,
        environ_overrides={"RAW_URI": f"{path}?{query}", "REQUEST_URI": f"{path}?{query}"},
    )
    assert sent.status_code >= 400
    return sent.headers["x-oss-err"] if case.method == "HEAD" else sent.text


def shown(xml: str) -> str:
    """An answer as the page shows it: nothing secret, and what is the same everywhere left out."""
    if "<" not in xml:
        from base64 import b64decode

        xml = b64decode(xml).decode()
    xml = re.sub(r"<(OSSAccessKeyId|SignatureProvided)>[^<]*<", r"<\1>REDACTED<", xml)
    xml = re.sub(r"<(\w+Bytes)>[^<]*<", r"<\1>...<", xml)
    xml = re.sub(r"<RequestId>[^<]*<", "<RequestId>692480C0E5A1B2C3D4E5F607<", xml)
    xml = re.sub(r"\n[0-9a-f]{64}<", "\n...<", xml)
    return signer.redact(xml).replace('<?xml version="1.0" encoding="UTF-8"?>\n', "")


def explained(case: Case, xml: str | None) -> str:
    told = signer.explain(
        case.url,
        error_xml=xml,
        method=case.method,
        headers=None,
        now=case.now,
        credentials=case.credentials if case.with_secret else None,
    )
    return str(told) + "\n"


def page(text: str) -> str:
    """The page with every block as it must be."""
    known = cases()
    blocks: dict[tuple[str, str], str] = {}
    for name, case in known.items():
        with tempfile.TemporaryDirectory() as root:
            xml = answer(case, Path(root)) if case.has_answer else None
        blocks["explain", name] = explained(case, xml)
        if xml is not None:
            blocks["answer", name] = shown(xml)
    used = {(found[2], found[3]) for found in BLOCK.finditer(text)}
    missing = sorted(set(blocks) - used)
    assert not missing, f"the page does not show {missing}"
    replace: Callable[[re.Match[str]], str] = lambda found: found[1] + blocks[found[2], found[3]] + found[5]  # noqa: E731
    return BLOCK.sub(replace, text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
