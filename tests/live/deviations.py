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


def changed(status: int = 0, body: tuple[str, str] = ("", ""), **headers: str | None) -> Change:
    """Another status, text in the body, or headers; None removes one."""

    def change(response: Response) -> None:
        response.status_code = status or response.status_code
        old, new = (text.encode() for text in body)
        if old:
            assert old in response.data
            response.data = response.data.replace(old, new)
            response.headers["Content-Length"] = str(len(response.data))
        for name, value in headers.items():
            name = name.replace("_", "-")
            assert value or name in response.headers
            response.headers.pop(name, None)
            response.headers.extend({name: value} if value else {})

    return change


def instead(status: int, content: str = "", content_type: str | None = None) -> Change:
    """Another answer altogether."""
    return lambda response: Response(
        content, status, {"Content-Type": content_type} if content_type else {}
    )


STATUS = {"status"}
CODE = {"Code"}
EC = {"EC", "x-oss-ec"}
NAMES = {"names"}
TYPE = "content-type"
ERROR = STATUS | CODE | NAMES | {"Message", "body", TYPE}  # what an error has and an object has not
MISMATCH = ("SignatureDoesNotMatch", "SignatureMismatch")
EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>"
OTHER_ORDER = instead(403, EXPIRED, "application/xml")
ELSEWHERE = changed(Location="https://b.example.com")
OTHER_EC = ("0002-00000227", "0002-00000999")
ETAG = '"0123456789ABCDEF0123456789ABCDEF"'

DEVIATIONS = [
    Deviation(*deviation)
    for deviation in (
        # The status
        ("content/put/new", changed(201), STATUS),
        ("content/read/If-None-Match=*/GET", changed(412), STATUS | NAMES),
        ("content/list/delete", changed(200), STATUS | NAMES),
        ("bucket/settings/cors-delete", changed(200), STATUS | NAMES),
        ("versions/versions/gone", changed(403), STATUS),
        # The code
        ("content/read/key=missing/GET", changed(body=("NoSuchKey", "NoSuchFile")), CODE),
        ("forged/link/secret=wrong/GET", changed(body=MISMATCH), CODE),
        ("forged/form/policy", changed(body=("InvalidPolicyDocument", "BadPolicy")), CODE),
        (
            "open/link/region",
            changed(body=("AuthorizationQueryParametersError", "InvalidArgument")),
            CODE,
        ),
        ("sts/assume/secret=wrong", changed(body=MISMATCH), CODE),
        # The EC, in the document, in its header, or in both
        ("open/link/expires-missing", changed(body=("0002-00000215", "0002-00000216")), {"EC"}),
        ("forged/link/expires-0/GET", changed(x_oss_ec="0002-00000233"), {"x-oss-ec"}),
        ("forged/header/product=s3/GET", changed(body=OTHER_EC, x_oss_ec=OTHER_EC[1]), EC),
        ("open/link/credential", changed(body=("  <EC>0002-00000224</EC>\n", "")), {"EC", "body"}),
        # Headers: missing, further, another value
        (
            "content/read/key=text.txt/HEAD",
            changed(x_oss_object_type=None),
            NAMES | {"x-oss-object-type"},
        ),
        ("content/read/gzip/GET", changed(Vary="Accept-Encoding, Origin"), {"vary"}),
        (
            "content/read/Range=bytes=-4/GET",
            changed(Content_Range="bytes 0-3/19"),
            {"content-range"},
        ),
        (
            "open/link/response-type",
            changed(x_oss_force_download="true"),
            NAMES | {"x-oss-force-download"},
        ),
        (
            "cors/browser/preflight",
            changed(Access_Control_Allow_Origin="*"),
            {"access-control-allow-origin"},
        ),
        ("kms/kms/put", changed(ETag=ETAG), {"etag"}),
        ("content/form/success_action_redirect=https://a.example.com/", ELSEWHERE, {"location"}),
        ("versions/versions/read", changed(x_oss_version_id=None), NAMES | {"x-oss-version-id"}),
        # The body, and a message
        ("content/read/key=文件+&%.txt/GET", changed(body=("content", "CONTENT")), {"body"}),
        (
            "content/list/max-keys=2,encoding-type=url",
            changed(body=("MaxKeys", "MaxItems")),
            {"body"},
        ),
        (
            "forged/header/id=LTAI5tUnknownEXAMPLE/GET",
            changed(body=("does not exist", "is unknown")),
            {"Message"},
        ),
        # The order of checks
        (
            "forged/order/at=-1000,expires=60+id=LTAI5tUnknownEXAMPLE",
            OTHER_ORDER,
            (ERROR - STATUS - {TYPE}) | EC,
        ),
        (
            "forged/order/secret=wrong+key=missing",
            changed(404, (MISMATCH[0], "NoSuchKey")),
            STATUS | CODE,
        ),
        # A signature that is accepted
        (
            "forged/header/secret=wrong/GET",
            instead(200, "content", "text/plain"),
            ERROR | EC | {"content-length"},
        ),
        (
            "forged/link/expires-604801/GET",
            instead(200, "content", "text/plain"),
            ERROR | EC | {"content-length"},
        ),
        ("forged/form/at=-604900", instead(204), ERROR),
    )
]
