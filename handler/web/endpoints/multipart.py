"""Multipart uploads: started here, sent part by part directly to OSS, and resumable after a break."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

from itsdangerous import Signer

from signer.sizes import MAX_PARTS, MAX_PUT, MAX_UPLOAD

from ...core import links
from ...core.auth import authorize
from ...core.cloud import parts as oss_parts
from ...core.config import Target
from ...core.context import Access, Invocation
from ...core.errors import Problem, bad_body
from ...core.keys import current
from ...core.request import Request
from ...core.uploads import check_size, check_type
from ..response import Response, body_path, json_response

MIN_PART = 100 * 1024  # bytes; only the last part may be smaller
DEFAULT_PART = 8 * 1024**2
MAX_LINKS = 1000
FIRST_LINKS = (
    100  # of a new upload, so that a small request gets no huge response unless it requests one
)
PART_TYPE = "application/octet-stream"
COMPLETE_TYPE = "application/xml"
SALT = b"fc-presign.upload.v1"
MEMBERS = {
    "path": str,
    "size": int,
    "part_size": int,
    "content_type": str,
    "count": int,
    "expires": str,
}
PARTS_MEMBERS = {"path": str, "from": int, "count": int, "expires": str}

# 32 bytes in base64url. The last character has two unused bits, which must be zero.
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class PartPlan(NamedTuple):
    """A multipart upload as its links enforce it: OSS's own id, the size of the object and of each part (bytes)."""

    oss_id: str
    size: int
    part_size: int

    @property
    def part_count(self) -> int:
        return max(1, -(-self.size // self.part_size))

    def length(self, number: int) -> int:
        """The size of a part in bytes."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)


def create(request: Request, invocation: Invocation) -> Response:
    """`POST /-/uploads`: 201 with the links of the first parts, and those that complete and abort it."""
    params = request.json(MEMBERS, required=("path", "size"))
    target = invocation.config.mounts.find(body_path(invocation, params["path"]))
    access = authorize(invocation, target, "PUT")
    size = check_size(params["size"], target.mount, MAX_UPLOAD)
    part_size = default_part(size) if params["part_size"] is None else params["part_size"]
    if not MIN_PART <= part_size <= MAX_PUT or -(-size // part_size) > MAX_PARTS:
        raise bad_body(
            f'"part_size" must be from {MIN_PART} to {MAX_PUT}, and give at most {MAX_PARTS} parts'
        )
    count = _count(params["count"], FIRST_LINKS)
    # First, so that a request that cannot get links leaves no upload behind.
    links.resolve_expiry(invocation, access, params["expires"])
    begun = oss_parts.begin(
        target, {"Content-Type": check_type(params["content_type"], target.mount)}, invocation
    )
    plan = PartPlan(begun.oss_id, size, part_size)
    sealed_id = _seal(plan, target, invocation)
    issued = part_links(plan, access, invocation, 1, count, params["expires"])
    return json_response({"upload_id": sealed_id, **issued}, 201)


def sign_parts(request: Request, invocation: Invocation, sealed_id: str) -> Response:
    """`POST /-/uploads/{id}/parts`: links for further parts, or for those whose links have expired."""
    params = request.json(PARTS_MEMBERS, required=("path",))
    target = invocation.config.mounts.find(body_path(invocation, params["path"]))
    access = authorize(invocation, target, "PUT")
    plan = _unseal(sealed_id, target, invocation)
    check_size(plan.size, target.mount, MAX_UPLOAD)
    first, count = chosen_parts(plan, params["from"], params["count"])
    issued = part_links(plan, access, invocation, first, count, params["expires"])
    return json_response({"upload_id": sealed_id, **issued})


def default_part(size: int) -> int:
    """The size of the parts of an upload in bytes: no more than `MAX_PARTS` of them."""
    return max(DEFAULT_PART, -(-size // MAX_PARTS))


def chosen_parts(plan: PartPlan, first: int | None, count: int | None) -> tuple[int, int]:
    """The number of the first part that gets a link, and how many get one. Raises the 400 `bad_body`."""
    first = 1 if first is None else first
    if not 1 <= first <= plan.part_count:
        raise bad_body(f'"from" must be from 1 to {plan.part_count}')
    return first, _count(count, MAX_LINKS)


def _count(requested: int | None, default: int) -> int:
    """How many parts get a link. Raises the 400 `bad_body`."""
    count = default if requested is None else requested
    if not 1 <= count <= MAX_LINKS:
        raise bad_body(f'"count" must be from 1 to {MAX_LINKS}')
    return count


def part_links(
    plan: PartPlan,
    access: Access,
    invocation: Invocation,
    first: int,
    count: int,
    expires: str | None = None,
    *,
    ends: bool = True,
) -> dict[str, object]:
    """Links of `count` parts from number `first`, with the sizes; with `ends` also what completes and aborts it."""

    def link(
        method: str, query: dict[str, str], headers: dict[str, str], *extra: str
    ) -> links.IssuedLink:
        signed = links.Signed({**query, "uploadId": plan.oss_id}, headers, extra)
        issued = links.create_link(invocation, access, method, expires=expires, signed=signed)
        links.log_target(
            invocation.audit_fields,
            access.target,
            expires_in=issued.link.expires_in,
            clamped_by=issued.clamped_by,
        )
        return issued

    parts = []
    for number in range(first, min(first + count, plan.part_count + 1)):
        headers = {"Content-Type": PART_TYPE, "Content-Length": str(plan.length(number))}
        issued = link("PUT", {"partNumber": str(number)}, headers, "content-length")
        parts.append(
            {"part_number": number, "url": issued.link.url, "headers": issued.link.headers}
        )
    more = {}
    if ends:
        headers = {"Content-Type": COMPLETE_TYPE, "x-oss-forbid-overwrite": "true"}
        more = {
            "complete": link("POST", {}, headers).document(),
            "abort": link("DELETE", {}, {}).document(),
        }
    invocation.audit_fields["links"] = len(parts) + len(more)
    sizes = {"part_size": plan.part_size, "part_count": plan.part_count}
    return {**sizes, "parts": parts, **more}


def _seal(plan: PartPlan, target: Target, invocation: Invocation) -> str:
    """The id for the client: OSS's own with the sizes, signed so that a resumed upload cannot grow."""
    content = f"{plan.oss_id}~{plan.size:x}~{plan.part_size:x}"
    return (
        f"{content}~{_signer(invocation).get_signature(_signed_content(content, target)).decode()}"
    )


def _unseal(sealed_id: str, target: Target, invocation: Invocation) -> PartPlan:
    """What `_seal` made an id of. Raises the 404 `not_found` for one of another path, or of a retired key."""
    content, _, signature = sealed_id.rpartition("~")
    signer = _signer(invocation)
    # Check the spelling first: base64 can write the same signature in several ways, and only one was issued.
    signed = _signed_content(content, target)
    if not (
        _SIGNATURE.fullmatch(signature) and signer.verify_signature(signed, signature.encode())
    ):
        raise Problem("not_found")
    oss_id, size, part_size = content.rsplit("~", 2)
    return PartPlan(oss_id, int(size, 16), int(part_size, 16))


def _signed_content(content: str, target: Target) -> bytes:
    return f"upload\n{target.mount.target.bucket}\n{target.key}\n{content}".encode()


def _signer(invocation: Invocation) -> Signer:
    """Signs with the share keys; without a keys document, with the role's secret, which changes when it is renewed."""
    secrets: list[bytes] = [invocation.credentials().credentials.access_key_secret.encode()]
    if invocation.config.keys_document is not None:
        keys = current.current_keys(invocation).share
        secrets = [key.secret for key in keys] or secrets
    return Signer(secrets, salt=SALT, key_derivation="hmac", digest_method=sha256)
