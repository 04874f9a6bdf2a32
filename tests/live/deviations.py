"""Deviations of an OSS from the local one, each in the answer to another case."""

from __future__ import annotations

from typing import NamedTuple

from werkzeug.wrappers import Response

from tests.live.online import Change


class Deviation(NamedTuple):
    """What is changed in the answer to a case, and the fields of the report that must name it."""

    case: str
    change: Change
    fields: set[str]


def status(code: int) -> Change:
    def change(response: Response) -> None:
        response.status_code = code

    return change


def body(old: str, new: str) -> Change:
    def change(response: Response) -> None:
        assert old.encode() in response.data
        response.data = response.data.replace(old.encode(), new.encode())
        response.headers["Content-Length"] = str(len(response.data))

    return change


def header(name: str, value: str | None) -> Change:
    def change(response: Response) -> None:
        assert value or name in response.headers
        response.headers.pop(name, None)
        response.headers.extend({name: value} if value else {})

    return change


def both(*changes: Change) -> Change:
    def change(response: Response) -> None:
        for each in changes:
            each(response)

    return change


def accepted(content: str = "content") -> Change:
    """A signature that should have been refused."""
    return lambda response: Response(content, 200, {"Content-Type": "text/plain"})


ALL = {"status", "Code", "EC", "Message", "body", "names", "content-type", "x-oss-ec"}
EC = {"EC", "x-oss-ec"}
REDIRECT = "content/form/success_action_redirect=https://a.example.com/"
UNKNOWN, EXPIRED = "id=LTAI5tUnknownEXAMPLE", "at=-1000,expires=60"

DEVIATIONS = (
    # The status
    Deviation("content/put/new", status(201), {"status"}),
    Deviation("content/read/If-None-Match=*/GET", status(412), {"status", "names"}),
    Deviation("content/list/delete", status(200), {"status", "names"}),
    Deviation("bucket/settings/cors-delete", status(200), {"status", "names"}),
    Deviation("versions/versions/gone", status(403), {"status"}),
    # The code
    Deviation("content/read/key=missing/GET", body("NoSuchKey", "NoSuchFile"), {"Code"}),
    Deviation("forged/link/secret=wrong/GET", body("SignatureDoesNotMatch", "SignatureMismatch"), {"Code"}),
    Deviation("forged/form/policy", body("InvalidPolicyDocument", "BadPolicy"), {"Code"}),
    Deviation("open/link/region", body(">AuthorizationQueryParametersError<", ">InvalidArgument<"), {"Code"}),
    Deviation("sts/assume/secret=wrong", body("SignatureDoesNotMatch", "SignatureMismatch"), {"Code"}),
    # The EC, in the document, in its header, or in both
    Deviation("open/link/expires-missing", body("0002-00000215", "0002-00000216"), {"EC"}),
    Deviation("forged/link/expires=0/GET", header("x-oss-ec", "0002-00000233"), {"x-oss-ec"}),
    Deviation(
        "forged/header/product=s3/GET",
        both(body("0002-00000227", "0002-00000999"), header("x-oss-ec", "0002-00000999")),
        EC,
    ),
    Deviation("open/link/credential", body("<Code>", "<EC>0002-00000224</EC><Code>"), {"EC", "body"}),
    # Headers: missing, further, another value
    Deviation("content/read/key=text.txt/HEAD", header("x-oss-object-type", None), {"x-oss-object-type", "names"}),
    Deviation("content/read/gzip/GET", header("Vary", "Accept-Encoding, Origin"), {"vary"}),
    Deviation("content/read/Range=bytes=-4/GET", header("Content-Range", "bytes 0-3/19"), {"content-range"}),
    Deviation(
        "open/link/response-type",
        header("x-oss-force-download", "true"),
        {"x-oss-force-download", "names"},
    ),
    Deviation(
        "cors/browser/preflight", header("Access-Control-Allow-Origin", "*"), {"access-control-allow-origin"}
    ),
    Deviation("kms/kms/put", header("ETag", '"0123456789ABCDEF0123456789ABCDEF"'), {"etag"}),
    Deviation(REDIRECT, header("Location", "https://b.example.com"), {"location"}),
    Deviation("versions/versions/read", header("x-oss-version-id", None), {"x-oss-version-id", "names"}),
    # The body, and a message
    Deviation("content/read/key=文件+&%.txt/GET", body("content", "CONTENT"), {"body"}),
    Deviation("content/list/max-keys=2,encoding-type=url", body("MaxKeys", "MaxItems"), {"body"}),
    Deviation("forged/header/id=LTAI5tUnknownEXAMPLE/GET", body("does not exist", "is unknown"), {"Message"}),
    # The order of checks
    Deviation(
        f"forged/order/{EXPIRED}+{UNKNOWN}",
        lambda response: Response(
            "<Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>", 403,
            {"Content-Type": "application/xml"},
        ),
        ALL - {"status", "content-type"},
    ),
    Deviation(
        "forged/order/secret=wrong+key=missing",
        both(status(404), body("SignatureDoesNotMatch", "NoSuchKey")),
        {"status", "Code"},
    ),
    # A signature that is accepted
    Deviation("forged/header/secret=wrong/GET", accepted(), ALL | {"content-length"}),
    Deviation("forged/link/expires=604801/GET", accepted("content of forged.txt"), ALL | {"content-length"}),
    Deviation("forged/form/at=-604900", lambda response: Response(status=204), ALL - EC),
)  # fmt: skip
