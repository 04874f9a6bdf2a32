"""Multipart uploads at OSS: begun, looked at, completed and aborted by the service.

Sources: the OSS pages "InitiateMultipartUpload", "ListParts", "CompleteMultipartUpload" and "AbortMultipartUpload".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from signer import InvalidKey

from ..config import Target
from ..context import Invocation
from ..errors import Problem
from ..links import invalid_key
from .oss import OssResponse, mount_client, refusal

_ELEMENT = re.compile(rb"<([A-Za-z]+)>([^<]{1,200})</")


class MultipartUpload(NamedTuple):
    """The one that OSS knows by `oss_id`. Methods raise the 503 `oss_unavailable`."""

    target: Target
    invocation: Invocation
    oss_id: str

    def arrived(self) -> Iterator[dict[int, tuple[int, str]]]:
        """The size (bytes) and the ETag of each part by its number, a page for each request.

        Raises the 404 `not_found` if the upload has ended.
        """
        marker = 0
        while marker >= 0:
            query = {"max-parts": "1000", "part-number-marker": str(marker)}
            response = self._ask("ListParts", "GET", query, known="NoSuchUpload")
            if not response.ok:
                raise Problem("not_found")
            try:
                of_list = dict(_ELEMENT.findall(response.body))
                parts = [
                    dict(_ELEMENT.findall(part)) for part in response.body.split(b"<Part>")[1:]
                ]
                yield {
                    int(part[b"PartNumber"]): (int(part[b"Size"]), part[b"ETag"].decode())
                    for part in parts
                }
                following = (
                    int(of_list[b"NextPartNumberMarker"])
                    if of_list[b"IsTruncated"] == b"true"
                    else -1
                )
                if 0 <= following <= marker:
                    raise ValueError
            except (KeyError, ValueError):
                raise _failed("ListParts", response, self.invocation) from None
            marker = following

    def complete(self, etags: Mapping[int, str]) -> bool:
        """Makes the object of exactly these parts; False where the upload has ended, or the object exists."""
        listed = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>"
            for n, etag in etags.items()
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        headers = {"Content-Type": "application/xml", "x-oss-forbid-overwrite": "true"}
        known = "NoSuchUpload FileAlreadyExists"
        return self._ask(
            "CompleteMultipartUpload", "POST", {}, known=known, headers=headers, body=body
        ).ok

    def abort(self) -> None:
        self._ask("AbortMultipartUpload", "DELETE", {}, known="NoSuchUpload")

    def _ask(
        self, operation: str, method: str, query: Mapping[str, str], *, known: str, **sent: Any
    ) -> OssResponse:
        client = mount_client(self.invocation, self.target.mount)
        response = client.request(
            method, self.target.location, query={**query, "uploadId": self.oss_id}, **sent
        )
        if not response.ok and response.code not in known.split():
            raise _failed(operation, response, self.invocation)
        return response


def begin(target: Target, headers: Mapping[str, str], invocation: Invocation) -> MultipartUpload:
    """A new upload, which replaces no object. Raises the 400 `bad_path`, the 409 `object_exists`, and a 503."""
    headers = {**headers, "x-oss-forbid-overwrite": "true"}
    try:
        client = mount_client(invocation, target.mount)
        response = client.request(
            "POST", target.location, query={"uploads": ""}, headers=headers, retry=False
        )
    except InvalidKey:
        raise invalid_key() from None
    if response.code == "FileAlreadyExists":
        raise Problem("object_exists")
    oss_id = dict(_ELEMENT.findall(response.body)).get(b"UploadId", b"")
    if not response.ok or not oss_id:
        raise _failed("InitiateMultipartUpload", response, invocation)
    return MultipartUpload(target, invocation, oss_id.decode("ascii", "replace"))


def _failed(operation: str, response: OssResponse, invocation: Invocation) -> Problem:
    return Problem("oss_unavailable", cause=refusal(operation, response, invocation.now).sentence)
