"""Random links that work, each from a seed."""

from __future__ import annotations

import base64
import string
from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

import signer
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import METHODS, LinkRequest

REGIONS = ("cn-hangzhou", "cn-shanghai", "cn-hongkong", "us-west-1", "ap-southeast-1", "eu-central-1")
LETTERS = string.ascii_letters + string.digits
KEY_LETTERS = LETTERS + "-_.~ +%&=#?!'()*,;:@$[]{}|^äß日本語報告🙂"
QUERIES = (
    {"versionId": "CAEQNhiBgMDJgZCA0BYiIDc4MGZjZGI2OTBjOTRmNTE5NmU5NmFhZjhjYmY0"},
    {"response-content-disposition": "attachment; filename=\"q3 report.pdf\"; filename*=UTF-8''q3%20report.pdf"},
    {"response-content-type": "text/plain; charset=utf-8", "x-oss-traffic-limit": "819200"},
    {"x-oss-process": "image/resize,w_100/rotate,90"},
    {"x-oss-ac-source-ip": "203.0.113.7", "x-oss-ac-subnet-mask": "32"},
    {"partNumber": "1", "uploadId": "0004B9894A22E5B1888A1E29F823"},
    {"acl": ""},
    {"a b+c/d": "e=f&g"},
)
HEADERS = (
    {"Content-Type": "image/png"},
    {"Content-Type": "text/plain", "x-oss-meta-author": "someone"},
    {"x-oss-forbid-overwrite": "true"},
    {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="},
)


class Use(NamedTuple):
    """A link, and how it is used."""

    url: str
    method: str
    headers: dict[str, str]
    credentials: signer.Credentials
    now: int
    bucket: str
    key: str
    endpoint: signer.Endpoint
    inside: bool = False

    def explain(self, credentials: signer.Credentials | None = None) -> signer.Explanation:
        return signer.explain(
            self.url,
            method=self.method,
            headers=self.headers,
            now=self.now,
            bucket=self.bucket if self.endpoint.addressing == "custom" else None,
            inside=self.inside,
            credentials=credentials,
        )


def random_string(random: Random, alphabet: str, minimum: int, maximum: int) -> str:
    return "".join(random.choice(alphabet) for _ in range(random.randint(minimum, maximum)))


def random_key(random: Random) -> str:
    while True:
        key = "/".join(random_string(random, KEY_LETTERS, 1, 12) for _ in range(random.randint(1, 4)))
        if not {".", ".."} & set(key.split("/")) and not key.startswith(("/", "\\")):
            return key


def random_credentials(random: Random) -> signer.Credentials:
    secret = random_string(random, LETTERS, 30, 30)
    if random.random() < 0.2:
        return signer.Credentials("LTAI5t" + random_string(random, LETTERS, 18, 18), secret)
    token = base64.b64encode(random.randbytes(random.choice((100, 301, 452)))).decode()
    return signer.Credentials("STS." + random_string(random, LETTERS, 24, 24), secret, token)


def random_endpoint(random: Random, kind: str | None = None) -> signer.Endpoint:
    region = random.choice(REGIONS)
    make: Callable[[], signer.Endpoint] = {
        "public": lambda: signer.Endpoint.public(region),
        "internal": lambda: signer.Endpoint.internal(region),
        "accelerate": lambda: signer.Endpoint.accelerate(region, overseas=random.random() < 0.5),
        "dual-stack": lambda: signer.Endpoint.dual_stack(region),
        "custom": lambda: signer.Endpoint.custom_domain("https://static.example.com", region),
        "address": lambda: signer.Endpoint.path_style("http://127.0.0.1:9001", region),
    }[kind or random.choice(("public", "public", "internal", "accelerate", "dual-stack", "custom", "address"))]
    return make()


def working_link(
    random: Random,
    *,
    kind: str | None = None,
    query: Mapping[str, str] | None = None,
    signed_headers: tuple[str, ...] | None = None,
) -> Use:
    """A link that works now; what is not given is random."""
    bucket = random_string(random, string.ascii_lowercase, 3, 12) + "-bucket"
    key = random_key(random)
    endpoint = random_endpoint(random, kind)
    credentials = random_credentials(random)
    method = random.choice(METHODS)
    headers: Mapping[str, str] = random.choice((*HEADERS, {}, {}, {}, {}))
    if signed_headers is None:
        signed_headers = random.choice(((), (), (), ("host",), ("x-request-color",)))
    if "x-request-color" in signed_headers:
        headers = {**headers, "X-Request-Color": "green"}
    if query is None:
        query = random.choice((*QUERIES, {}, {}, {}, {}))
    expires_in = random.choice((random.randint(2, 604800), 600, 3600))
    issued = random.randint(1_700_000_000, 1_900_000_000)
    link = signer.presign(
        method,
        bucket,
        key,
        credentials=credentials,
        endpoint=endpoint,
        expires_in=expires_in,
        query=query,
        headers=headers,
        signed_headers=signed_headers,
        now=issued,
    )
    now = issued + random.randint(-899, link.expires_in - 1)
    inside = ".oss-" in link.url and "-internal." in link.url
    return Use(link.url, method, dict(link.headers), credentials, now, bucket, key, endpoint, inside)


def v1_link(random: Random) -> Use:
    """A link of oss2, signed with V1, that works now."""
    use = working_link(random, query={}, signed_headers=())
    query = random.choice((*QUERIES, {}, {}, {}, {}))
    expires_in, region = random.randint(1, 604_800), use.endpoint.region
    signed = LinkRequest(
        use.method, use.bucket, use.key, use.credentials, region, "oss", expires_in, query, use.headers, (), use.now
    )
    return use._replace(url=f"{use.url.partition('?')[0]}?{v1_url_of_oss2(signed).partition('?')[2]}")
