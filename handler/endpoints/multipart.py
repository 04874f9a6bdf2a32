"""Multipart uploads: started here, sent straight into OSS part by part, and resumed after a break."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import NamedTuple

from itsdangerous import Signer

from signer import InvalidKey

from .. import links
from ..auth.admission import Admitted, admit
from ..bodies import bad_body, read_json
from ..config import Location
from ..credentials import RoleCredentials, of_invocation
from ..errors import Problem, not_found
from ..keys import cache
from ..oss import OssUnavailable, store
from ..presence import unavailable
from ..request import Answer, Invocation, Request
from .uploads import check_size, check_type

MAX_PARTS = 10_000
MIN_PART, MAX_PART = 100 * 1024, 5 * 1024**3  # bytes; only the last part may be smaller
DEFAULT_PART = 8 * 1024**2
MAX_LINKS = 1000
PART_TYPE, COMPLETE_TYPE = "application/octet-stream", "application/xml"
SALT = b"fc-presign.upload.v1"
FIELDS = {"path": str, "size": int, "part_size": int, "content_type": str, "expires": str}
PARTS_FIELDS = {"path": str, "from": int, "count": int, "expires": str}

_ID = re.compile(rb"<UploadId>([^<&]{1,200})</UploadId>")
# 32 bytes in base64url; its last character has two bits that say nothing, and they are zero.
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class Upload(NamedTuple):
    """A started upload: OSS's own id, and the sizes in bytes that its parts are held to."""

    oss_id: str
    size: int
    part_size: int

    @property
    def part_count(self) -> int:
        """How many parts it has."""
        return max(1, -(-self.size // self.part_size))

    def length(self, number: int) -> int:
        """How many bytes a part has."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)


def create(request: Request, invocation: Invocation) -> Answer:
    """`POST /-/uploads`: 201 with the links of the first 1,000 parts, and those that complete and abort it."""
    wish = read_json(request, FIELDS, required=("path", "size"))
    admitted = admit(invocation, wish["path"], "PUT")
    size = check_size(wish["size"], admitted.mount, MAX_PARTS * MAX_PART)
    part_size = max(DEFAULT_PART, -(-size // MAX_PARTS)) if wish["part_size"] is None else wish["part_size"]
    if not MIN_PART <= part_size <= MAX_PART or -(-size // part_size) > MAX_PARTS:
        raise bad_body(
            f"has a part_size that is not from {MIN_PART} to {MAX_PART}, or that makes over {MAX_PARTS} parts"
        )
    role = of_invocation(invocation.context)
    # Before anything is started: what no link can be made for leaves no upload behind.
    now = int(invocation.now)
    links.life(invocation.policy, admitted.mount, role, invocation.now, now, wish["expires"], admitted.bounds)
    oss_id = _initiate(admitted, check_type(wish["content_type"]), role, invocation)
    upload = Upload(oss_id, size, part_size)
    document = {
        "upload_id": _seal(upload, admitted, role, invocation),
        "part_count": upload.part_count,
        **_signed(upload, admitted, role, invocation, 1, MAX_LINKS, wish["expires"]),
    }
    return Answer(201, {"Content-Type": "application/json"}, json.dumps(document))


def sign_parts(request: Request, invocation: Invocation, upload_id: str) -> Answer:
    """`POST /-/uploads/{upload_id}/parts`: links for further parts, or for those whose links have ended."""
    wish = read_json(request, PARTS_FIELDS, required=("path",))
    admitted = admit(invocation, wish["path"], "PUT")
    role = of_invocation(invocation.context)
    upload = _unseal(upload_id, admitted, role, invocation)
    check_size(upload.size, admitted.mount, MAX_PARTS * MAX_PART)
    first, count = 1 if wish["from"] is None else wish["from"], MAX_LINKS if wish["count"] is None else wish["count"]
    if not 1 <= first <= upload.part_count or not 1 <= count <= MAX_LINKS:
        raise bad_body(f"has a from that is not from 1 to {upload.part_count}, or a count that is not to {MAX_LINKS}")
    document = {
        "upload_id": upload_id,
        "part_count": upload.part_count,
        **_signed(upload, admitted, role, invocation, first, count, wish["expires"]),
    }
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(document))


def _initiate(admitted: Admitted, content_type: str, role: RoleCredentials, invocation: Invocation) -> str:
    """Starts the upload through the internal endpoint; OSS's id of it."""
    try:
        reply = store(invocation.policy, role.credentials).ask(
            "POST",
            Location(admitted.mount.target.bucket, admitted.key),
            query={"uploads": ""},
            headers={"Content-Type": content_type, "x-oss-forbid-overwrite": "true"},
            retry=False,
        )
    except InvalidKey:
        raise links.bad_key() from None
    except OssUnavailable:
        raise unavailable() from None
    if reply.code == "FileAlreadyExists":
        raise Problem(409, "object_exists", "There is an object at this path already, and nothing is overwritten.")
    found = _ID.search(reply.body)
    if not reply.ok or found is None:
        raise unavailable()
    return found[1].decode("ascii", "replace")


def _signed(
    upload: Upload,
    admitted: Admitted,
    role: RoleCredentials,
    invocation: Invocation,
    first: int,
    count: int,
    expires: str | None,
) -> dict[str, object]:
    """The links of parts `first` and the following, and of what ends the upload."""

    def link(method: str, query: dict[str, str], headers: dict[str, str], signed: tuple[str, ...] = ()) -> links.Given:
        return links.make(
            invocation.policy,
            admitted.mount,
            admitted.key,
            method,
            role,
            invocation.now,
            expires=expires,
            query={**query, "uploadId": upload.oss_id},
            headers=headers,
            signed_headers=signed,
            bounds=admitted.bounds,
        )

    parts = []
    for number in range(first, min(first + count, upload.part_count + 1)):
        headers = {"Content-Type": PART_TYPE, "Content-Length": str(upload.length(number))}
        given = link("PUT", {"partNumber": str(number)}, headers, ("content-length",))
        parts.append({"part_number": number, "url": given.link.url, "headers": given.link.headers})
    complete = link("POST", {}, {"Content-Type": COMPLETE_TYPE, "x-oss-forbid-overwrite": "true"})
    abort = link("DELETE", {}, {})
    invocation.facts["mount"] = admitted.mount.path
    invocation.facts["bucket"] = admitted.mount.target.bucket
    invocation.facts["key"] = admitted.key
    invocation.facts["expires_in"] = complete.link.expires_in
    invocation.facts["clamped_by"] = complete.clamped_by
    invocation.facts["links"] = len(parts) + 2
    return {"parts": parts, "complete": complete.document(), "abort": abort.document()}


def _seal(upload: Upload, admitted: Admitted, role: RoleCredentials, invocation: Invocation) -> str:
    """The id that a client keeps: OSS's own with the sizes, signed so that a resumed upload cannot grow."""
    text = f"{upload.oss_id}~{upload.size:x}~{upload.part_size:x}"
    return f"{text}~{_signer(role, invocation).get_signature(_sealed(text, admitted)).decode()}"


def _unseal(upload_id: str, admitted: Admitted, role: RoleCredentials, invocation: Invocation) -> Upload:
    """What an id says. Raises the 404 `Problem` for one that is not of this path, or of a key that is gone."""
    text, _, signature = upload_id.rpartition("~")
    # The form first: a signature has more spellings than the one that was given.
    signer = _signer(role, invocation)
    if not _SIGNATURE.fullmatch(signature) or not signer.verify_signature(_sealed(text, admitted), signature.encode()):
        raise not_found()
    oss_id, size, part_size = text.rsplit("~", 2)
    return Upload(oss_id, int(size, 16), int(part_size, 16))


def _sealed(text: str, admitted: Admitted) -> bytes:
    return f"upload\n{admitted.mount.target.bucket}\n{admitted.key}\n{text}".encode()


def _signer(role: RoleCredentials, invocation: Invocation) -> Signer:
    """The share keys sign, old and new; without a keys document, the role's own secret does until it is renewed."""
    secrets: list[bytes] = [role.credentials.access_key_secret.encode()]
    if invocation.policy.keys is not None:
        keys = cache.current(invocation.policy, invocation.context, invocation.now).share
        secrets = [key.secret for key in keys] or secrets
    return Signer(secrets, salt=SALT, key_derivation="hmac", digest_method=sha256)
