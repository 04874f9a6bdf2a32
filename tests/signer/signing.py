"""Random requests to sign, each from a seed, and example credentials."""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

from signer import Credentials, Endpoint, Link, link, presign

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
    """The arguments of one link; the defaults are those of an example."""

    method: str
    bucket: str = BUCKET
    key: str = KEY
    credentials: Credentials = KEYS
    region: str = "cn-hangzhou"
    product: str = "oss"
    expires_in: int = 600
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    signed_headers: tuple[str, ...] = ()
    now: int = NOW

    @property
    def host(self) -> str:
        return f"{self.bucket}.oss-{self.region}.aliyuncs.com"

    @property
    def signed_at(self) -> datetime:
        return datetime.fromtimestamp(self.now, timezone.utc)

    def link(self, endpoint: Endpoint | None = None) -> Link:
        """The link, which no end of the credentials shortens, at an endpoint of its region."""
        return presign(
            self.method,
            self.bucket,
            self.key,
            credentials=self.credentials._replace(expires_at=self.now + self.expires_in),
            endpoint=(endpoint or Endpoint.public(self.region))._replace(product=self.product),
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


def sign_without_token(credentials: Credentials, **arguments: Any) -> str:
    """A URL that lacks the token of its temporary key: other programs sign it, `presign` refuses."""
    with (
        patch.object(link, "check_credentials"),
        patch.object(link, "_prepare", link._prepare.__wrapped__),  # no other test gets it
    ):
        return sign(credentials=credentials._replace(security_token=None), **arguments).url


LETTERS = string.ascii_letters + string.digits
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
# Characters that encoders treat differently come often.
_TRICKY = (
    *" +%&=#?;:@/~.*'()|\\\"<>[]{}!$,`^-_",
    "é",
    "报",
    "🙂",
    "\u00a0",
    "\u2028",
    "%20",
    "%2F",
    "&amp;",
)
_UNICODE = (range(0x20, 0x7F), range(0x80, 0xD800), range(0xE000, 0x110000))
_REGIONS = (
    "cn-hangzhou",
    "cn-shanghai",
    "cn-hongkong",
    "us-west-1",
    "ap-southeast-1",
    "eu-central-1",
    "xx-new-1",
)
_PARAMETERS = {
    "versionId": "CAEQNhiBgMDJgZCA0BYiIDc4MGZjZGI2OTBjOTRmNTE5NmU5NmFhZjhjYmY0",
    "response-content-disposition": "attachment; filename=\"q3 report.pdf\"; filename*=UTF-8''q3%20report.pdf",
    "response-content-type": "text/plain; charset=utf-8",
    "x-oss-traffic-limit": "819200",
    "x-oss-process": "image/resize,w_100/rotate,90",
    "x-oss-ac-source-ip": "203.0.113.7",
    "uploadId": "0004B9894A22E5B1888A1E29F823",
    "acl": "",
    "a-b": "1",
    "a b+c/d": "e=f&g",
}
_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "x-oss-meta-Author": "some one",
    "x-oss-forbid-overwrite": "true",
    "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
    "X-Request-Color": "green",
    "!#$%&'*+.^_`|~-": VISIBLE,
}


def random_string(random: Random, letters: str, minimum: int, maximum: int) -> str:
    return "".join(random.choices(letters, k=random.randint(minimum, maximum)))


def _random_text(random: Random, minimum: int, maximum: int) -> str:
    """Any characters that names of objects and values of parameters may have."""
    kinds = (*(_TRICKY,) * 4, LETTERS, *_UNICODE)
    letters = (random.choice(random.choice(kinds)) for _ in range(random.randint(minimum, maximum)))
    return "".join(letter if isinstance(letter, str) else chr(letter) for letter in letters)


def _random_key(random: Random) -> str:
    while True:
        segments = [
            _random_text(random, 1, 12).replace("/", "-") for _ in range(random.randint(1, 4))
        ]
        key = "/".join(segments) + random.choice(("", "", "/"))
        if not {".", ".."} & {*segments} and key[0] != "\\":
            return key


def _random_credentials(random: Random) -> Credentials:
    secret = random_string(random, VISIBLE, 1, 40)
    if random.random() < 0.3:
        return Credentials("LTAI5t" + random_string(random, LETTERS, 18, 18), secret)
    token = base64.b64encode(random.randbytes(random.choice((1, 100, 301, 452)))).decode()
    return Credentials("STS." + random_string(random, LETTERS, 24, 24), secret, token)


def random_request(random: Random) -> LinkRequest:
    """Any valid request for a link."""
    names = random.sample(sorted(_PARAMETERS), random.choice((0, 0, 1, 2, 6)))
    query = {
        name: random.choice((_PARAMETERS[name], _random_text(random, 0, 12))) for name in names
    }
    if random.random() < 0.3:
        query[_random_text(random, 2, 12)] = _random_text(random, 0, 12)
    headers = {
        name: _HEADERS[name]
        for name in random.sample(sorted(_HEADERS), random.choice((0, 0, 1, 2, 6)))
    }
    if random.random() < 0.3:
        headers["X-Oss-Empty"] = ""
    with_value = [name for name, value in headers.items() if value]
    bucket = random_string(random, string.ascii_lowercase + string.digits, 2, 30)
    return LinkRequest(
        random.choice(METHODS),
        random.choice((f"{bucket}-bucket", f"1{bucket}")),
        _random_key(random),
        _random_credentials(random),
        random.choice(_REGIONS),
        random.choice(("oss", "oss", "oss-cloudbox")),
        random.choice((1, 600, MAX_EXPIRES_IN, random.randint(1, MAX_EXPIRES_IN))),
        query,
        headers,
        tuple(random.sample([*with_value, "host"], random.randint(0, len(with_value)))),
        random.choice(
            (random.randint(1_700_000_000, 1_900_000_000), random.randint(901, LAST_SECOND - 2**21))
        ),
    )


def random_requests(number: int) -> Iterator[LinkRequest]:
    return (random_request(Random(f"request {seed}")) for seed in range(number))
