"""The operation: its form is read, then who signed it and what its policy allows, and then stored."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode, urlsplit

from werkzeug.http import parse_options_header
from werkzeug.wrappers import Response

from .... import v4
from ....endpoint import PRODUCTS
from ....link import MAX_EXPIRES_IN
from ....signed_request import read_timestamp
from ....verification import SKEW
from ...ram import Principal
from ..authorization import denial, mismatch, skewed
from ..errors import Node, OssError, invalid_argument, not_implemented
from ..incoming import OssRequest, Resource, check_digest, check_key
from ..metadata import TAGGING, metadata_of
from ..responses import respond, respond_xml, upload_headers
from ..rights import Right, check_rights
from ..service import Call, Service
from ..storage import Bucket, ObjectRecord
from ..writing.put import publish
from .data import PostedForm, read_form
from .policy import FormPolicy, denied, parse_policy

_SIGNED = ("x-oss-signature-version", "x-oss-credential", "x-oss-date")


def form_target(request: OssRequest) -> Resource | None:
    """The bucket that a form is posted to, None if the request does not upload a form."""
    content_type = request.headers.get("content-type", "").lower()
    if request.method != "POST" or not content_type.startswith("multipart/form-data"):
        return None
    return next(
        (resource for resource in request.resources if resource.bucket and not resource.key), None
    )


def post(service: Service, request: OssRequest, target: Resource) -> Response:
    """PostObject. Ignores a signature in the query or in a header, as OSS does."""
    bucket = service.bucket(target.bucket)
    boundary = parse_options_header(request.headers["content-type"])[1].get("boundary", "")
    if not boundary:
        raise OssError(
            400, "MalformedPOSTRequest", "The Content-Type of the form requires a boundary."
        )
    form = read_form(request.body.blocks(), boundary)
    fields = _effective_fields(form, bucket)
    policy, principal = _authorize(service, fields)
    check_key(fields["key"])
    actions = ["oss:PutObject", *(["oss:PutObjectTagging"] if fields.get(TAGGING) else [])]
    check_rights(
        service,
        principal,
        [Right(action, Resource(bucket.name, fields["key"])) for action in actions],
    )
    service.settings.observer.before(Call("POST", "PostObject", bucket.name, fields["key"]))
    if "callback" in fields:
        raise not_implemented("callback")
    metadata, storage_class = metadata_of(
        {name: value.encode().decode("latin-1") for name, value in fields.items()}
    )
    with bucket.draft() as draft:
        draft.write(_limited(policy, form.content))
        policy.check_min_size(draft.size)
        check_digest(fields.get("content-md5"), draft.md5)
        upload = replace(request, bucket=bucket.name, key=fields["key"], headers=fields)
        record = publish(service, bucket, draft, upload, metadata, storage_class)
    service.created(bucket, record, "PostObject")
    return _response(bucket, record, fields, request.host)


def _effective_fields(form: PostedForm, bucket: Bucket) -> dict[str, str]:
    """The fields as the policy sees them: the key with the file's name, the content type that the object gets."""
    if not form.fields.get("key"):
        advice = "If it is specified, please check the order of the fields."
        raise OssError(
            400, "InvalidArgument", f"Bucket POST must contain a field named 'key'. {advice}"
        )
    content_type = (
        form.fields.get("x-oss-content-type") or form.fields.get("content-type") or form.file_type
    )
    fields = {
        **form.fields,
        "bucket": bucket.name,
        "key": form.fields["key"].replace("${filename}", form.file_name),
    }
    if content_type:
        fields["content-type"] = content_type
    return fields


def _authorize(service: Service, fields: Mapping[str, str]) -> tuple[FormPolicy, Principal]:
    """The form's policy and who signed it, after signature and conditions were checked. Raises `OssError`."""
    if "policy" not in fields and "x-oss-signature" not in fields:
        raise denial("unsigned")
    version = fields.get("x-oss-signature-version", "")
    if not version and "signature" in fields:
        raise not_implemented("a signature of V1")
    if version != v4.ALGORITHM:
        message = f"x-oss-signature-version must be {v4.ALGORITHM}."
        raise invalid_argument("x-oss-signature-version", version, message)
    for name, ec in (("policy", "0002-00000702"), ("x-oss-signature", "0002-00000703")):
        if not fields.get(name):
            raise invalid_argument(name, "", f"The form field {name} is required.", ec=ec)
    credential = fields.get("x-oss-credential", "")
    key_id, date, region, product, suffix = [*credential.split("/"), "", "", "", "", ""][:5]
    issued_at = fields.get("x-oss-date", "")
    issued = read_timestamp(issued_at)
    if credential.count("/") != 4 or suffix != v4.REQUEST or date != issued_at[:8]:
        form = "<AccessKeyId>/YYYYMMDD/<region>/oss/aliyun_v4_request, with the date of x-oss-date"
        raise invalid_argument(
            "x-oss-credential", credential, f"x-oss-credential must be {form}.", ec="0002-00000710"
        )
    for part, valid, ec in (
        ("region", region == service.region, "0002-00000715"),
        ("product", product in PRODUCTS, "0002-00000716"),
    ):
        if not valid:
            message = f"The signing {part} in credential is invalid."
            raise invalid_argument("x-oss-credential", credential, message, ec=ec)
    if issued is None:
        raise invalid_argument(
            "x-oss-date", issued_at, "x-oss-date must have the form YYYYMMDDThhmmssZ."
        )
    now = service.now()
    principal = _find_principal(service, key_id, fields, now)
    credentials = principal.credentials
    if issued > now + SKEW:
        raise skewed(issued, now)
    signing_key = v4.signing_key(credentials.access_key_secret, date, region, product)
    signature = v4.signature(signing_key, fields["policy"])
    if not hmac.compare_digest(signature.encode(), fields["x-oss-signature"].encode()):
        raise mismatch(key_id, fields["x-oss-signature"], fields["policy"], ec="0002-00000705")
    moved = now + service.settings.observer.elapsed(fields["bucket"], issued)
    if moved >= issued + MAX_EXPIRES_IN:
        raise denied("x-oss-date is more than 7 days ago.")
    policy = parse_policy(fields["policy"])
    policy.check_bound(
        (*_SIGNED, *(["x-oss-security-token"] if credentials.security_token else []))
    )
    policy.check(fields, moved)
    return policy, principal


def _find_principal(
    service: Service, key_id: str, fields: Mapping[str, str], now: float
) -> Principal:
    """Who signs with this access key, if the form has its token and that has not expired. Raises `OssError`."""
    principal = service.principals(key_id)
    if principal is None:
        raise denial("unknown_access_key", key_id)
    token = fields.get("x-oss-security-token", "")
    if (principal.credentials.security_token or "") != token:
        raise denial("wrong_token" if token else "missing_token", key_id)
    if principal.expires_at is not None and now >= principal.expires_at:
        raise denial("token_expired", key_id)
    return principal


def _limited(policy: FormPolicy, content: Iterator[bytes]) -> Iterator[bytes]:
    """The file, refused as soon as it is too large."""
    size = 0
    for block in content:
        size += len(block)
        policy.check_max_size(size)
        yield block


def _response(
    bucket: Bucket, record: ObjectRecord, fields: Mapping[str, str], host: str
) -> Response:
    headers = upload_headers(record, versioning=bucket.versioning)
    etag = f'"{record.etag}"'
    redirect = urlsplit(fields.get("success_action_redirect", ""))
    if redirect.scheme in ("http", "https") and redirect.netloc:
        added = urlencode({"bucket": bucket.name, "key": record.key, "etag": etag})
        query = f"{redirect.query}&{added}" if redirect.query else added
        return respond(
            303, headers={**headers, "Location": redirect._replace(query=query).geturl()}
        )
    location = f"http://{host}/{bucket.name}/{quote(record.key)}"
    headers["Location"] = location
    status = fields.get("success_action_status")
    if status == "201":
        result: list[Node] = [
            ("Bucket", bucket.name),
            ("Location", location),
            ("Key", record.key),
            ("ETag", etag),
        ]
        return respond_xml("PostResponse", result, status=201, headers=headers)
    return respond(200 if status == "200" else 204, headers=headers)
