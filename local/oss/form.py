"""PostObject: a form that writes an object, allowed by its signed policy rather than by the request's signature."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode, urlsplit

from werkzeug.http import parse_options_header
from werkzeug.wrappers import Response

from signer import v4
from signer.credentials import Credentials
from signer.link import seconds
from signer.signed_request import read_timestamp
from signer.verification import SKEW

from .answers import Node, answer, document, stored_headers
from .authorization import invalid_access_key, invalid_token, mismatch, skewed, token_expired
from .errors import OssError, invalid_argument, not_implemented
from .form_data import Form, read_form
from .form_policy import Policy, parse
from .incoming import Incoming, Reading
from .names import check_key
from .objects import check_digest, kept_headers, publish
from .service import Service
from .storage import Bucket, Record

_LIFE = 604_800  # seconds after x-oss-date
_SIGNED = ("x-oss-signature-version", "x-oss-credential", "x-oss-date")


def addressed(incoming: Incoming) -> Reading | None:
    """The bucket that a form is posted to, None where the request is no form upload."""
    kind = incoming.headers.get("content-type", "").lower()
    if incoming.method != "POST" or not kind.startswith("multipart/form-data"):
        return None
    return next((reading for reading in incoming.readings if reading.bucket and not reading.key), None)


def post(service: Service, incoming: Incoming, reading: Reading) -> Response:
    """PostObject. A signature in the query or in a header is not looked at, as in OSS."""
    bucket = service.bucket(reading.bucket)
    boundary = parse_options_header(incoming.headers["content-type"])[1].get("boundary", "")
    if not boundary:
        raise OssError(400, "MalformedPOSTRequest", "The Content-Type of the form has no boundary.")
    form = read_form(incoming.body.blocks(), boundary)
    fields = _effective(form, bucket)
    policy = _authorize(service, fields)
    upload = replace(incoming, bucket=bucket.name, key=fields["key"], headers=fields)
    check_key(upload.key)
    if "callback" in fields:
        raise not_implemented("callback")
    kept, storage_class = kept_headers({name: value.encode().decode("latin-1") for name, value in fields.items()})
    with bucket.draft() as draft:
        draft.write(_within(policy, form.content))
        policy.check_size(draft.size, is_whole=True)
        check_digest(fields.get("content-md5"), draft)
        record = publish(service, bucket, draft, upload, kept, storage_class)
    service.created(bucket, record, "PostObject")
    return _answer(bucket, record, fields, incoming.host)


def _effective(form: Form, bucket: Bucket) -> dict[str, str]:
    """The fields as the policy sees them: the key with the file's name, the type that the object will have."""
    if not form.fields.get("key"):
        raise OssError(
            400,
            "InvalidArgument",
            "Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.",
        )
    kind = form.fields.get("x-oss-content-type") or form.fields.get("content-type") or form.file_type
    return {
        **form.fields,
        "bucket": bucket.name,
        "key": form.fields["key"].replace("${filename}", form.file_name),
        **({"content-type": kind} if kind else {}),
    }


def _authorize(service: Service, fields: Mapping[str, str]) -> Policy:
    """The form's policy, its signature and its conditions held. Raises `OssError`."""
    if "policy" not in fields and "x-oss-signature" not in fields:
        raise OssError(403, "AccessDenied", "You have no right to access this object because of bucket acl.")
    if fields.get("x-oss-signature-version") != v4.ALGORITHM:
        raise invalid_argument(
            "x-oss-signature-version",
            fields.get("x-oss-signature-version", ""),
            f"A form must be signed with version 4, {v4.ALGORITHM}.",
        )
    for name, ec in (("policy", "0002-00000702"), ("x-oss-signature", "0002-00000703")):
        if not fields.get(name):
            raise invalid_argument(name, "", f"The form has no field {name}.", ec=ec)
    credential = fields.get("x-oss-credential", "")
    key_id, date, region, product, ending = [*credential.split("/"), "", "", "", "", ""][:5]
    issued_at = fields.get("x-oss-date", "")
    issued = read_timestamp(issued_at)
    if credential.count("/") != 4 or ending != v4.REQUEST or region != service.region or date != issued_at[:8]:
        raise invalid_argument(
            "x-oss-credential",
            credential,
            "It is written as <AccessKeyId>/YYYYMMDD/<region>/oss/aliyun_v4_request, with the day of x-oss-date.",
            ec="0002-00000710",
        )
    if issued is None:
        raise invalid_argument("x-oss-date", issued_at, "It is written as YYYYMMDDThhmmssZ.")
    now = service.now()
    signature = _check_credentials(service, key_id, fields, now)
    if issued > now + SKEW:
        raise skewed(issued, now)
    key = v4.signing_key(signature.access_key_secret, date, region, product)
    if not hmac.compare_digest(v4.signature(key, fields["policy"]).encode(), fields["x-oss-signature"].encode()):
        raise mismatch(key_id, fields["x-oss-signature"], fields["policy"])
    if now >= issued + _LIFE:
        raise OssError(403, "AccessDenied", "Invalid according to Policy: x-oss-date is more than 7 days ago.")
    policy = parse(fields["policy"])
    policy.check_bound((*_SIGNED, *(["x-oss-security-token"] if signature.security_token else [])))
    policy.check(fields, now)
    return policy


def _check_credentials(service: Service, key_id: str, fields: Mapping[str, str], now: float) -> Credentials:
    """The credentials that a form names, its token held. Raises `OssError`."""
    known = [credentials for credentials in service.credentials if credentials.access_key_id == key_id]
    if not known:
        raise invalid_access_key(key_id)
    token = fields.get("x-oss-security-token", "")
    for credentials in known:
        if (credentials.security_token or "") == token:
            if credentials.expires_at is not None and now >= seconds(credentials.expires_at):
                raise token_expired(key_id)
            return credentials
    raise invalid_token(key_id) if token else invalid_access_key(key_id, is_temporary=True)


def _within(policy: Policy, content: Iterator[bytes]) -> Iterator[bytes]:
    """The file, refused as soon as it is too large."""
    size = 0
    for block in content:
        size += len(block)
        policy.check_size(size, is_whole=False)
        yield block


def _answer(bucket: Bucket, record: Record, fields: Mapping[str, str], host: str) -> Response:
    headers = stored_headers(record, versioning=bucket.versioning)
    location = f"http://{host}/{bucket.name}/{quote(record.key)}"
    redirect = fields.get("success_action_redirect", "")
    target = urlsplit(redirect)
    if target.scheme in ("http", "https") and target.netloc:
        told = urlencode({"bucket": bucket.name, "key": record.key, "etag": f'"{record.etag}"'})
        query = f"{target.query}&{told}" if target.query else told
        return answer(303, headers={**headers, "Location": target._replace(query=query).geturl()})
    headers["Location"] = location
    status = fields.get("success_action_status")
    if status == "201":
        result: list[Node] = [
            ("Bucket", bucket.name),
            ("Location", location),
            ("Key", record.key),
            ("ETag", f'"{record.etag}"'),
        ]
        return document("PostResponse", result, status=201, headers=headers)
    return answer(200 if status == "200" else 204, headers=headers)
