"""Random links that work, and random links that are broken; each from a seed.

The examples of tools/findings.yaml show every finding once; here is what breaks a link in more than one way.
"""

from __future__ import annotations

import base64
import html
import json
import re
import string
from collections.abc import Callable, Mapping
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from urllib.parse import quote, unquote

import signer
from local.oss.authorization import refusal
from local.oss.errors import OssError
from signer import v4
from signer.signed_request import parse_url
from signer.verification import verify_request
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import LinkRequest

REGIONS = ("cn-hangzhou", "cn-shanghai", "cn-hongkong", "us-west-1", "ap-southeast-1", "eu-central-1")
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
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
    """A link, and how it is used. `sent_headers` and `sent_url` are what OSS receives, if different."""

    url: str
    method: str
    headers: dict[str, str]
    credentials: signer.Credentials
    now: int
    bucket: str
    key: str
    endpoint: signer.Endpoint
    inside: bool = False
    sent_headers: dict[str, str] | None = None
    sent_url: str | None = None

    def explain(self, mode: str) -> signer.Explanation:
        """The explanation of the link alone ("bare"), with OSS's answer ("xml"), with the secret, or with "both"."""
        return signer.explain(
            self.url,
            method=self.method,
            headers=self.headers,
            now=self.now,
            bucket=self.bucket if self.endpoint.addressing == "custom" else None,
            inside=self.inside,
            error_xml=self.error_xml() if mode in ("xml", "both") else None,
            credentials=self.credentials if mode in ("secret", "both") else None,
        )

    def error_xml(self) -> str:
        """The error document with which OSS refuses this use."""
        return self._refusal().xml("65E01A2B3C4D5E6F70819203", self.endpoint.host(self.bucket)).decode()

    def _refusal(self) -> OssError:
        url = self.sent_url or self.url
        presented = parse_url(url.partition("#")[0], endpoint=self.endpoint, bucket=self.bucket)
        sent = self.headers if self.sent_headers is None else self.sent_headers
        checked = verify_request(
            self.method,
            presented.bucket,
            presented.key,
            presented.query,
            {"host": presented.host, **sent},
            credentials=self.credentials,
            now=self.now,
        )
        assert not checked.ok
        return refusal(
            checked,
            cast(Any, SimpleNamespace(query=presented.query, params=dict(presented.query), headers={})),
            self.now,
        )


def random_string(random: Random, alphabet: str, minimum: int, maximum: int) -> str:
    return "".join(random.choice(alphabet) for _ in range(random.randint(minimum, maximum)))


def random_key(random: Random, alphabet: str = KEY_LETTERS) -> str:
    while True:
        key = "/".join(random_string(random, alphabet, 1, 12) for _ in range(random.randint(1, 4)))
        if not {".", ".."} & set(key.split("/")) and not key.startswith(("/", "\\")):
            return key


def random_credentials(random: Random, *, temporary: bool | None = None, plus: bool = False) -> signer.Credentials:
    if temporary is None:
        temporary = random.random() < 0.6
    secret = random_string(random, LETTERS, 30, 30)
    if not temporary:
        return signer.Credentials("LTAI5t" + random_string(random, LETTERS, 18, 18), secret)
    while True:
        token = base64.b64encode(random.randbytes(random.choice((100, 301, 452)))).decode()
        if not plus or "+" in token:
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
    method: str | None = None,
    kind: str | None = None,
    key: str | None = None,
    credentials: signer.Credentials | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    signed_headers: tuple[str, ...] | None = None,
    expires_in: int | None = None,
) -> Use:
    """A link that works now; what is not given is random."""
    bucket = random_string(random, string.ascii_lowercase, 3, 12) + "-bucket"
    key = random_key(random) if key is None else key
    endpoint = random_endpoint(random, kind)
    credentials = credentials or random_credentials(random)
    method = method or random.choice(METHODS)
    if headers is None:
        headers = random.choice((*HEADERS, {}, {}, {}, {}))
    if signed_headers is None:
        signed_headers = random.choice(((), (), (), ("host",), ("x-request-color",)))
    if "x-request-color" in signed_headers:
        headers = {**headers, "X-Request-Color": "green"}
    if query is None:
        query = random.choice((*QUERIES, {}, {}, {}, {}))
    expires_in = expires_in or random.choice((random.randint(2, 604800), 600, 3600))
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


def v1_link(random: Random, *, query: Mapping[str, str] | None = None, signature: str = "", **options: Any) -> Use:
    """A link of oss2, signed with V1, that works now; its signature contains `signature`, before it is encoded."""
    while True:
        use = working_link(random, query={}, signed_headers=(), **options)
        query = random.choice((*QUERIES, {}, {}, {}, {})) if query is None else query
        expires_in, region = random.randint(1, 604_800), use.endpoint.region
        signed = LinkRequest(
            use.method, use.bucket, use.key, use.credentials, region, "oss", expires_in, query, use.headers, (), use.now
        )
        made = v1_url_of_oss2(signed).partition("?")[2]
        if signature in unquote(made.partition("&Signature=")[2]):
            return use._replace(url=f"{use.url.partition('?')[0]}?{made}")


def sign_unchecked(use: Use, key: str) -> Use:
    """A link that `presign` refuses to make, with a valid signature."""
    stamp, c = v4.timestamp(use.now), use.credentials
    scope = v4.scope(stamp[:8], use.endpoint.region)
    own = {
        "x-oss-credential": f"{c.access_key_id}/{scope}",
        "x-oss-date": stamp,
        "x-oss-expires": "600",
        "x-oss-signature-version": v4.ALGORITHM,
        **({"x-oss-security-token": c.security_token} if c.security_token else {}),
    }
    query = v4.canonical_query(v4.canonical_parameter(*pair) for pair in own.items())
    path = v4.encode_key(key)
    request = v4.canonical_request("GET", v4.canonical_path(use.bucket, path), query, "", "")
    signing_key = v4.signing_key(c.access_key_secret, stamp[:8], use.endpoint.region)
    signature = v4.signature(signing_key, v4.string_to_sign(stamp, scope, request))
    url = f"{use.endpoint.url(use.bucket, path)}?{query}&x-oss-signature={signature}"
    return use._replace(url=url, method="GET", headers={}, key=key)


Break = Callable[[Random], Use]
BREAKAGES: dict[str, tuple[tuple[str, ...], Break]] = {}


def breakage(code: str, *modes: str) -> Callable[[Break], Break]:
    """Registers a way to break a link, the finding that must come first, and the modes in which it must."""

    def register(make: Break) -> Break:
        BREAKAGES[f"{code}/{make.__name__}"] = modes, make
        return make

    return register


def changed_url(
    name: str,
    modes: tuple[str, ...],
    change: Callable[[str, Random], str],
    working: Callable[..., Use] = working_link,
    **options: Any,
) -> None:
    """Registers a breakage that only changes the URL, of a working link with these options."""

    def make(random: Random) -> Use:
        use = working(random, **options)
        return use._replace(url=change(use.url, random))

    BREAKAGES[name] = modes, make


def somewhere(url: str, random: Random) -> int:
    """A place between the name of the first parameter and the end."""
    return random.randint(url.index("x-oss-") + 7, len(url) - 1)


def with_invisible_character(url: str, random: Random) -> str:
    at = random.randint(url.index("?"), len(url) - 1)
    return url[:at] + random.choice("\u200b\u00ad\u2060") + url[at:]


def with_tracker(url: str, random: Random) -> str:
    fbclid = "fbclid=" + random_string(random, LETTERS, 20, 60)
    more = random.choice(("utm_source=mail", fbclid, "_=1732494588", "from=singlemessage&isappinstalled=0"))
    path, _, query = url.partition("?")
    return random.choice((f"{path}?{query}&{more}", f"{path}?{more}&{query}"))


ALL, NO_ANSWER, SECRET = ("bare", "xml", "secret", "both"), ("bare", "secret", "both"), ("secret", "both")
REQUIRED = ("x-oss-date", "x-oss-expires", "x-oss-credential", "x-oss-signature-version")
PUNCTUATION = (".", ",", ")", ">", "%22", "%3E", "';", '">here</a>')
LATER = ("response-content-disposition=attachment", "versionId=null", "x-oss-process=image%2Finfo")
changed_url("truncated/cut_off", ALL, lambda url, random: url[: somewhere(url, random)])
changed_url(
    "truncated/shortened_for_display",
    NO_ANSWER,
    lambda url, random: url[: somewhere(url, random)] + random.choice(("...", "…")),
)
changed_url("truncated/not_quoted_in_a_shell", ALL, lambda url, _: url.partition("&")[0], query={})
changed_url(
    "missing_question_mark/without_its_question_mark",
    ALL,
    lambda url, random: url.replace("?", random.choice(("", "&", "%3F", "/", "\uff1f")), 1),
    query={},
)
changed_url("line_broken/with_invisible_characters", NO_ANSWER, with_invisible_character)
changed_url("trailing_text/with_punctuation_after_it", ALL, lambda url, random: url + random.choice(PUNCTUATION))
changed_url("trailing_text/with_the_next_paragraph", NO_ANSWER, lambda url, _: url + "\n\nRegards, somebody")
changed_url(
    "html_escaped/copied_from_html_source",
    ALL,
    lambda url, random: random.choice((html.escape(url), url.replace("&", "&#38;"), url.replace("&", "&amp%3B"))),
)
changed_url("shell_escaped/with_backslashes", NO_ANSWER, lambda url, _: url.replace("?", "\\?").replace("&", "\\&"))
changed_url("double_encoded/encoded_twice", ALL, lambda url, _: url.replace("%", "%25"))
changed_url("double_encoded/encoded_as_one_string", ("bare", "secret"), lambda url, _: quote(url, safe=""))
changed_url("double_encoded/path_encoded_twice", SECRET, lambda url, _: url.replace("%20b", "%2520b"), key="a b")
changed_url(
    "plus_decoded/parameter_decoded",
    SECRET,
    lambda url, _: url.replace("a%2Bb", "a+b"),
    query={"response-content-disposition": "attachment; filename=a+b.txt"},
)
changed_url("decoded/percent_decoded", SECRET, lambda url, _: url.replace("%2520b", "%20b"), key="a%20b")
changed_url(
    "missing_parameter/without_a_required_parameter",
    ALL,
    lambda url, random: re.sub(rf"\b{random.choice(REQUIRED)}=[^&]*&", "", url),
)
changed_url("case_changed/in_lower_case", ("bare", "both"), lambda url, _: url.lower())
changed_url("added_parameters/with_trackers", ALL, with_tracker)
changed_url(
    "added_parameters/with_a_parameter_added_later",
    ALL,
    lambda url, random: f"{url}&{random.choice(LATER)}",
    query={},
)


# --- damage on the way -----------------------------------------------------------------------------------------------


@breakage("line_broken", "bare", "secret", "both")
def wrapped(random: Random) -> Use:
    use = working_link(random)
    width = random.randint(40, 120)
    lines = [use.url[i : i + width] for i in range(0, len(use.url), width)]
    broken = random.choice(("\n", "\r\n", "\n> ", " \n", "\n    ")).join(lines)
    # A click uses the first line; one that ends before the query still reaches OSS if it holds the key.
    return use._replace(url=broken, sent_url=use.url[: max(width, use.url.index("?"))])


@breakage("line_broken", "bare", "secret", "both")
def quoted_printable(random: Random) -> Use:
    use = working_link(random)
    escaped = use.url.replace("=", "=3D")
    lines = [escaped[i : i + 75] for i in range(0, len(escaped), 75)]
    return use._replace(url="=\r\n".join(lines), sent_url=escaped[: max(75, use.url.index("?"))])


@breakage("json_escaped", "bare", "secret", "both")
def copied_from_json_source(random: Random) -> Use:
    use = working_link(random)
    escaped = use.url.replace("&", "\\u0026")
    return use._replace(url=random.choice((escaped, json.dumps(use.url)[1:-1].replace("/", "\\/"))), sent_url=escaped)


@breakage("plus_decoded", "secret", "both")
def key_decoded(random: Random) -> Use:
    """The key has spaces too, so that either all of its plus signs or one of them became a space."""
    name = random_key(random, LETTERS)
    key = random.choice((f"a+{name}+b", f"a+{name} b"))
    use = working_link(random, key=key)
    path, mark, query = use.url.partition("?")
    return use._replace(url=path.replace("%2B", "%20") + mark + query)


@breakage("decoded", "bare", "secret", "both")
def delimiters_decoded(random: Random) -> Use:
    mark = random.choice("#? ")
    use = working_link(random, key=random_key(random, LETTERS) + mark + random_key(random, LETTERS))
    decoded = use.url.replace(quote(mark), mark, 1)
    # Most clients encode the space again, but programs that find links in messages end them there.
    return use._replace(url=decoded, sent_url=decoded.partition(" ")[0])


@breakage("changed_header", "xml", "both")
def with_a_charset_added(random: Random) -> Use:
    use = working_link(random, headers={"Content-Type": "text/plain"}, signed_headers=())
    return use._replace(sent_headers={"Content-Type": "text/plain; charset=utf-8"})


@breakage("token_not_signed", "bare", "secret", "both")
def with_the_token_by_its_v1_name(random: Random) -> Use:
    complete = random_credentials(random, temporary=True)
    use = working_link(random, credentials=complete._replace(security_token=None))
    path, _, query = use.url.partition("?")
    return use._replace(
        credentials=complete, url=f"{path}?security-token={quote(complete.security_token or '', safe='')}&{query}"
    )


@breakage("rewritten_key", "bare", "secret")
def with_unsafe_segments(random: Random) -> Use:
    use = working_link(random)
    odd = random.choice(("//", "/./", "/../", "/.."))
    return sign_unchecked(
        use, random_key(random, LETTERS) + odd + ("" if odd == "/.." else random_key(random, LETTERS))
    )


@breakage("rewritten_key", "xml", "both")
def rewritten_in_transit(random: Random) -> Use:
    use = working_link(random, kind="public")
    head, tail = random_key(random, LETTERS), random_key(random, LETTERS)
    use = sign_unchecked(use, f"{head}//{tail}")
    return use._replace(sent_url=use.url.replace(f"{head}//{tail}", f"{head}/{tail}"))


# --- links of V1 -----------------------------------------------------------------------------------------------------


def cut_in_v1(url: str, random: Random) -> str:
    return url[: random.randint(url.index("OSSAccessKeyId=") + 15, len(url) - 1)]


def plus_decoded(url: str, random: Random) -> str:
    head, name, value = url.partition("&Signature=")
    return head + name + value.replace("%2B", random.choice(("+", "%20", " ")))


for name, modes, change, options in (
    ("truncated/v1_cut_off", ALL, cut_in_v1, {}),
    ("truncated/v1_not_quoted_in_a_shell", ALL, lambda url, _: url.partition("&")[0], {"query": {}}),
    ("plus_decoded/v1_signature_decoded", ALL, plus_decoded, {"signature": "+"}),
    ("html_escaped/v1_copied_from_html_source", ALL, lambda url, _: html.escape(url), {}),
    ("trailing_text/v1_with_punctuation_after_it", ALL, lambda url, random: url + random.choice(".,)>"), {}),
    ("double_encoded/v1_encoded_twice", ALL, lambda url, _: url.replace("%", "%25"), {}),
    ("double_encoded/v1_path_encoded_twice", SECRET, lambda url, _: url.replace("%20b", "%2520b"), {"key": "a b"}),
    ("case_changed/v1_in_lower_case", ("bare", "both"), lambda url, _: url.lower(), {"query": {}}),
    ("missing_question_mark/v1_without_it", ALL, lambda url, _: url.replace("?", ""), {"query": {}, "key": "a b"}),
    ("wrong_secret/v1_with_another_key", SECRET, lambda url, _: url.replace("/q3.pdf", "/q4.pdf"), {"key": "q3.pdf"}),
    ("missing_parameter/v1_without_its_expiry", ALL, lambda url, _: re.sub("&Expires=[0-9]+", "", url), {}),
    ("malformed_parameter/v1_in_milliseconds", ALL, lambda url, _: re.sub("(Expires=[0-9]+)", r"\g<1>000", url), {}),
    ("added_parameters/v1_limited_later", SECRET, lambda url, _: f"{url}&x-oss-traffic-limit=819200", {"query": {}}),
):
    changed_url(name, modes, change, v1_link, **options)


@breakage("plus_decoded", *ALL)
def v1_token_and_signature_decoded(random: Random) -> Use:
    keys = random_credentials(random, temporary=True, plus=True)
    use = v1_link(random, credentials=keys, signature="+", query={}, key="a")
    return use._replace(url=use.url.replace("%2B", random.choice(("+", "%20", " "))))
