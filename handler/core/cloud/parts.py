"""Multipart uploads at OSS: begun, looked at, completed and aborted by the service.

Sources: the OSS pages "InitiateMultipartUpload", "ListParts", "CompleteMultipartUpload" and "AbortMultipartUpload".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from signer import InvalidKey

from ..config import Target
from ..context import Invocation
from ..errors import Problem
from ..links import invalid_key
from .oss import OssResponse, mount_client, refusal

_ID = re.compile(rb"<UploadId>([^<&]{1,200})</UploadId>")


class Part(NamedTuple):
    """A part that arrived; `size` is in bytes."""

    number: int
    size: int
    etag: str


class PartsUpload(NamedTuple):
    """An upload at OSS, which knows it by `oss_id`. Methods raise the 503 `oss_unavailable`."""

    target: Target
    oss_id: str
    invocation: Invocation

    def parts(self) -> Iterator[list[Part]]:
        """What arrived, by a request for each page. Raises the 404 `not_found` if the upload has ended."""
        from xml.etree import ElementTree

        query = {"max-parts": "1000"}
        while True:
            response = self._ask("ListParts", "GET", query, known="NoSuchUpload")
            if not response.ok:
                raise Problem("not_found")
            try:
                page = ElementTree.fromstring(response.body)  # noqa: S314 - OSS's answer, at most a page of its list
                space = page.tag[: page.tag.find("}") + 1]
                number, size, etag = (space + name for name in ("PartNumber", "Size", "ETag"))
                parts = page.iter(f"{space}Part")
                yield [
                    Part(int(p.findtext(number, "")), int(p.findtext(size, "")), p.findtext(etag, "")) for p in parts
                ]
                if page.findtext(f"{space}IsTruncated") != "true":
                    return
                marker = str(int(page.findtext(f"{space}NextPartNumberMarker", "")))
            except (ElementTree.ParseError, ValueError):
                raise _failed("ListParts", response, self.invocation) from None
            if int(marker) <= int(query.get("part-number-marker", "0")):
                raise _failed("ListParts", response, self.invocation)
            query["part-number-marker"] = marker

    def complete(self, parts: Iterable[Part]) -> bool:
        """Makes the object of exactly these parts; False where the upload has ended, or the object exists."""
        listed = "".join(f"<Part><PartNumber>{p.number}</PartNumber><ETag>{p.etag}</ETag></Part>" for p in parts)
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        headers = {"Content-Type": "application/xml", "x-oss-forbid-overwrite": "true"}
        known = "NoSuchUpload FileAlreadyExists"
        return self._ask("CompleteMultipartUpload", "POST", {}, headers, body, known=known).ok

    def abort(self) -> None:
        self._ask("AbortMultipartUpload", "DELETE", {}, known="NoSuchUpload")

    def _ask(
        self,
        operation: str,
        method: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        known: str,
    ) -> OssResponse:
        query, client = {**query, "uploadId": self.oss_id}, mount_client(self.invocation, self.target.mount)
        response = client.request(method, self.target.location, query=query, headers=headers, body=body)
        if not response.ok and response.code not in known.split():
            raise _failed(operation, response, self.invocation)
        return response


def begin(target: Target, headers: Mapping[str, str], invocation: Invocation) -> PartsUpload:
    """A new upload, which replaces no object. Raises the 400 `bad_path`, the 409 `object_exists`, and a 503."""
    headers = {**headers, "x-oss-forbid-overwrite": "true"}
    try:
        client = mount_client(invocation, target.mount)
        response = client.request("POST", target.location, query={"uploads": ""}, headers=headers, retry=False)
    except InvalidKey:
        raise invalid_key() from None
    if response.code == "FileAlreadyExists":
        raise Problem("object_exists")
    match = _ID.search(response.body)
    if not response.ok or match is None:
        raise _failed("InitiateMultipartUpload", response, invocation)
    return PartsUpload(target, match[1].decode("ascii", "replace"), invocation)


def _failed(operation: str, response: OssResponse, invocation: Invocation) -> Problem:
    return Problem("oss_unavailable", cause=refusal(operation, response, invocation.now).sentence)
