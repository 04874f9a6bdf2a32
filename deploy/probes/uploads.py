"""What the doctor uploads with `--uploads`: small objects that break their link or form. It deletes what OSS stores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from secrets import token_hex
from typing import NamedTuple

from urllib3 import encode_multipart_formdata

from handler.core.config import Location, Mount
from signer import presign, v4
from signer.form import encode_policy
from signer.link import signing_context

from .deployment import LIFE, Deployment
from .findings import Finding, fault, ok, unknown, warning

CONTENT = b"abc"
# As chunks, which is more than the link's Content-Length says.
CHUNKS = b"8\r\nabcdefgh\r\n0\r\n\r\n"
# A field that a form may have, and that changes nothing for anybody.
FIELD, VALUE = "Cache-Control", "no-store"
NEEDS = "the credentials need oss:PutObject, oss:GetObject and oss:DeleteObject there"


class _Trials(NamedTuple):
    """Uploads to one mount; `leftovers` are the objects that could not be deleted."""

    deployment: Deployment
    mount: Mount
    leftovers: list[Location]

    def new_key(self) -> str:
        return f"{self.mount.target.key}fc-presign-canary-{token_hex(4)}.txt"

    def put(self, body: bytes, more: Mapping[str, str]) -> int | None:
        """The size that a link for `CONTENT` stored, None if it stored nothing."""
        key = self.new_key()
        headers = {"Content-Type": "text/plain", "Content-Length": str(len(CONTENT))}
        url, signed = self._link("PUT", key, headers)
        self.deployment.request("PUT", url, {**signed, **more}, body)
        return self._take(key)

    def post(self, pinned: str, sent: str | None) -> int | None:
        """The size that a form stored whose policy pins FIELD, and that has it if `sent` is not None."""
        key, bucket, endpoint = self.new_key(), self.mount.target.bucket, self.mount.endpoint
        context = signing_context(self.deployment.signer, endpoint, int(time.time()), LIFE)
        fixed = {"bucket": bucket, "key": key, **context.parameters}
        conditions: list[object] = [{name: value} for name, value in fixed.items()]
        conditions.append(["eq", f"${FIELD}", pinned])
        policy = encode_policy(context.expires_at, conditions)
        fields: list[tuple[str, str | tuple[str, bytes, str]]] = [
            ("key", key),
            *context.parameters.items(),
            *([] if sent is None else [(FIELD, sent)]),
            ("policy", policy),
            ("x-oss-signature", v4.signature(context.signing_key, policy)),
            ("file", ("canary.txt", CONTENT, "text/plain")),
        ]
        body, content_type = encode_multipart_formdata(fields)
        self.deployment.request("POST", endpoint.url(bucket, ""), {"Content-Type": content_type}, body)
        return self._take(key)

    def _take(self, key: str) -> int | None:
        """The size of an object, which is deleted; None if it does not exist."""
        url, _ = self._link("HEAD", key)
        response = self.deployment.request("HEAD", url)
        if response.status != 200:
            return None
        url, _ = self._link("DELETE", key)
        if self.deployment.request("DELETE", url).status != 204:
            self.leftovers.append(Location(self.mount.target.bucket, key))
        return int(response.header("content-length") or 0)

    def _link(self, method: str, key: str, headers: Mapping[str, str] | None = None) -> tuple[str, Mapping[str, str]]:
        link = presign(
            method,
            self.mount.target.bucket,
            key,
            credentials=self.deployment.signer,
            endpoint=self.mount.endpoint,
            expires_in=LIFE,
            headers=headers,
            signed_headers=["content-length"] if headers else [],
        )
        return link.url, link.headers


def uploads(deployment: Deployment) -> Iterator[Finding]:
    """Whether OSS holds uploads to the size of a link and to the conditions of a form; once for each bucket."""
    for method, probe in (("PUT", _size), ("POST", _conditions)):
        mounts = {mount.target.bucket: mount for mount in reversed(deployment.config.mounts) if method in mount.methods}
        for mount in mounts.values():
            if deployment.credentials is None:
                yield unknown("uploads", f"{mount.path}: {method} was not tried: {NEEDS}.")
                continue
            if deployment.is_unreachable(mount.endpoint.url(mount.target.bucket, "")):
                continue  # the mount's probe says so
            trials = _Trials(deployment, mount, [])
            yield from probe(trials)
            for location in trials.leftovers:
                yield warning("uploads", f"{location} could not be deleted: delete it.")


def _size(trials: _Trials) -> Iterator[Finding]:
    path = trials.mount.path
    if trials.put(CONTENT, {}) != len(CONTENT):
        yield unknown("uploads", f"{path}: OSS did not store a valid PUT: {NEEDS}.")
        return
    # The connection may be unusable afterwards.
    size = trials.put(CHUNKS, {"Transfer-Encoding": "chunked", "Connection": "close"})
    if size is None or size <= len(CONTENT):
        yield ok("uploads", f"{path}: a PUT in chunks stores no more than its link's Content-Length.")
    else:
        problem = f"a PUT in chunks stored {size} bytes with a link for {len(CONTENT)}, so max_size does not hold"
        yield fault("uploads", f"{path}: {problem}: enable POST instead of PUT in links.toml.")


def _conditions(trials: _Trials) -> Iterator[Finding]:
    path = trials.mount.path
    if trials.post(VALUE, VALUE) is None:
        yield unknown("uploads", f"{path}: OSS did not store a valid form: {NEEDS}.")
        return
    if trials.post(VALUE, None) is None:
        yield ok("uploads", f"{path}: OSS refuses a form that leaves out a field which its policy names.")
    else:
        problem = "accepts a form that leaves out a field which its policy names, so senders may overwrite objects"
        yield fault("uploads", f"{path}: OSS {problem}: enable PUT instead of POST in links.toml.")
    if trials.post("", VALUE) is not None:
        problem = "accepts a field whose condition says that it is empty"
    elif trials.post("", None) is None:
        problem = "refuses a form without a field whose condition says that it is empty"
    else:
        yield ok("uploads", f"{path}: a policy can forbid fields that the form does not have.")
        return
    yield warning(
        "uploads",
        f"{path}: OSS {problem}: a policy cannot forbid fields that the form does not have. Give the addresses of "
        "upload pages only to people whom you trust.",
    )
