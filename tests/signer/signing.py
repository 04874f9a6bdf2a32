"""Requests to sign, as Hypothesis strategies, and example credentials."""

from __future__ import annotations

import string
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from hypothesis import strategies as st

from signer import Credentials, Endpoint, Link, presign

NOW = 1_772_347_271  # 2026-03-01T06:41:11Z
TOKEN = "CAISEXAMPLE+token/of+STS=="
KEYS = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
TEMPORARY = Credentials("STS.EXAMPLE", "temporarysecretEXAMPLE", TOKEN)
HANGZHOU = Endpoint.public("cn-hangzhou")
BUCKET = "examplebucket"
KEY = "exampledir/exampleobject.txt"

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
RESERVED = (
    "x-oss-additional-headers",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-security-token",
    "x-oss-signature",
    "x-oss-signature-version",
)
MAX_EXPIRES_IN = 604_800  # seconds
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z


class LinkRequest(NamedTuple):
    """The arguments of one link."""

    method: str
    bucket: str
    key: str
    credentials: Credentials
    region: str
    product: str
    expires_in: int
    query: Mapping[str, str]
    headers: Mapping[str, str]
    signed_headers: tuple[str, ...]
    now: int

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint.public(self.region, product=self.product)

    @property
    def host(self) -> str:
        return f"{self.bucket}.oss-{self.region}.aliyuncs.com"

    @property
    def signed_at(self) -> datetime:
        return datetime.fromtimestamp(self.now, timezone.utc)

    def link(self) -> Link:
        """The link, which no end of the credentials shortens."""
        return presign(
            self.method,
            self.bucket,
            self.key,
            credentials=self.credentials._replace(expires_at=self.now + self.expires_in),
            endpoint=self.endpoint,
            expires_in=self.expires_in,
            query=self.query,
            headers=self.headers,
            signed_headers=self.signed_headers,
            now=self.now,
        )


def sign(method: str = "GET", bucket: str = BUCKET, key: str = KEY, **arguments: Any) -> Link:
    """An example link; arguments replace the defaults."""
    defaults: dict[str, Any] = {"credentials": KEYS, "endpoint": HANGZHOU, "now": NOW}
    return presign(method, bucket, key, **{**defaults, **arguments})


_UNICODE = st.characters(codec="utf-8", exclude_characters=[*map(chr, range(32)), "\x7f"])
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_LETTERS = string.ascii_letters + string.digits
# Characters that encoders treat differently are drawn often.
_TRICKY = st.sampled_from(
    [*" +%&=#?;:@/~.*'()|\\\"<>[]{}!$,`^", "é", "报", "🙂", "\u00a0", "\u2028", "%20", "%2F", "&amp;"]
)
_TEXT = st.lists(st.one_of(_UNICODE, _TRICKY), max_size=12).map("".join)

_segments = st.lists(st.one_of(_UNICODE, _TRICKY), min_size=1, max_size=20).map(
    lambda parts: "".join(parts).replace("/", "-")
)
keys = (
    st.builds(
        lambda segments, end: "/".join(segments) + end,
        st.lists(_segments.filter(lambda segment: segment not in (".", "..")), min_size=1, max_size=5),
        st.sampled_from(["", "/"]),
    )
    .filter(lambda key: key[0] != "\\")
    .filter(lambda key: len(key.encode()) <= 1023)
)
buckets = st.from_regex(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", fullmatch=True)
regions = st.one_of(
    st.sampled_from(["cn-hangzhou", "us-west-1", "ap-southeast-1", "cn-hongkong"]),
    st.from_regex(r"[a-z]{2}-[a-z0-9-]{0,15}[a-z0-9]", fullmatch=True).filter(lambda name: "internal" not in name),
)
credentials = st.builds(
    Credentials,
    st.text(_LETTERS + ".", min_size=1, max_size=30),
    st.text(_VISIBLE, min_size=1, max_size=40),
    st.one_of(st.none(), st.text(_VISIBLE, min_size=1, max_size=200)),
    st.none(),
)
queries = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["versionId", "uploads", "response-expires", "x-oss-process", "x-oss-traffic-limit", "a", "a-b"]
        ),
        _TEXT.filter(lambda name: name != "" and name.lower() not in RESERVED),
    ),
    _TEXT,
    max_size=6,
)
_header_names = st.one_of(
    st.sampled_from(["Content-Type", "content-md5", "x-oss-meta-Author", "X-Oss-Callback", "x-oss-content-sha256"]),
    st.text("!#$%&'*+.^_`|~-" + _LETTERS, min_size=1, max_size=12),
)
_header_values = st.text(_VISIBLE + " ", max_size=20).map(str.strip)
headers = st.lists(
    st.tuples(_header_names.filter(lambda name: name.lower() != "host"), _header_values),
    max_size=6,
    unique_by=lambda pair: pair[0].lower(),
).map(lambda pairs: {n: "UNSIGNED-PAYLOAD" if n.lower() == "x-oss-content-sha256" else value for n, value in pairs})
times = st.one_of(st.integers(0, 2**32), st.integers(0, LAST_SECOND - 2 * MAX_EXPIRES_IN))
lifetimes = st.one_of(st.sampled_from([1, 600, MAX_EXPIRES_IN]), st.integers(1, MAX_EXPIRES_IN))


@st.composite
def link_requests(draw: st.DrawFn, methods: tuple[str, ...] = METHODS) -> LinkRequest:
    """Any valid request for a link."""
    drawn_headers = draw(headers)
    with_value = sorted(name for name, value in drawn_headers.items() if value)
    signed_headers = draw(st.lists(st.sampled_from([*with_value, "host"]), max_size=4, unique=True))
    return LinkRequest(
        draw(st.sampled_from(methods)),
        draw(buckets),
        draw(keys),
        draw(credentials),
        draw(regions),
        draw(st.sampled_from(["oss", "oss-cloudbox"])),
        draw(lifetimes),
        draw(queries),
        drawn_headers,
        tuple(signed_headers),
        draw(times),
    )
