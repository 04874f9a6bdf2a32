"""OSS in memory, in place of the client's requests: fast, and the same for every input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from hashlib import md5
from unittest.mock import patch
from xml.sax.saxutils import escape

from handler.config import Location
from handler.oss import OssClient, OssResponse
from signer import presign
from tests.handler.client import NOW

DATE = formatdate(NOW, usegmt=True)


class MemoryOss:
    """One bucket without versions. It answers what the service asks, and signs each request as the client does."""

    def __init__(self, objects: Mapping[Location, bytes]) -> None:
        self._first = objects
        self.objects = dict(objects)

    def forget(self) -> None:
        """Goes back to the objects of the start."""
        self.objects = dict(self._first)

    def answer(self, method: str, at: Location, query: Mapping[str, str], headers: Mapping[str, str]) -> OssResponse:
        if not at.key:
            return self._list(at.bucket, query.get("prefix", ""))
        content = self.objects.get(at)
        if method == "PUT":
            if content is not None and "x-oss-forbid-overwrite" in headers:
                return _response(409, b"", "FileAlreadyExists")
            return _response(200)
        if method == "POST":
            return _response(200, b"<R><UploadId>0004B9894A22E5B1888A1E29F823</UploadId></R>")
        if method == "DELETE":
            self.objects.pop(at, None)
            return _response(204)
        if content is None:
            return _response(404, b"", "NoSuchKey")
        return _response(200, content if method == "GET" else b"")

    def _list(self, bucket: str, prefix: str) -> OssResponse:
        keys = sorted(at.key for at in self.objects if at.bucket == bucket and at.key.startswith(prefix))
        folders = sorted(
            {prefix + key[len(prefix) :].partition("/")[0] + "/" for key in keys if "/" in key[len(prefix) :]}
        )
        files = [key for key in keys if "/" not in key[len(prefix) :]]
        entries = [f"<Contents><Key>{escape(key)}</Key><Size>1</Size></Contents>" for key in files]
        entries += [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders]
        return _response(200, f"<ListBucketResult>{''.join(entries)}</ListBucketResult>".encode())


def _response(status: int, body: bytes = b"", code: str = "") -> OssResponse:
    etag = f'"{md5(body, usedforsecurity=False).hexdigest()}"'
    headers = {"date": DATE, "last-modified": DATE, "etag": etag, "content-length": str(len(body))}
    return OssResponse(status, headers, body, code)


@contextmanager
def memory_oss(objects: Mapping[Location, bytes]) -> Iterator[MemoryOss]:
    """Answers every request of the service's clients."""
    memory = MemoryOss(objects)

    def request(
        client: OssClient,
        method: str,
        location: Location,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        unsigned: Mapping[str, str] | None = None,
        body: bytes | None = None,
        retry: bool = True,
        issued_at: float | None = None,
    ) -> OssResponse:
        signed = {"credentials": client.credentials, "endpoint": client.endpoint}
        presign(method, location.bucket, location.key or None, query=query, headers=headers, now=NOW, **signed)  # type: ignore[arg-type]
        response = memory.answer(method, location, query or {}, headers or {})
        if method == "PUT" and response.ok:
            memory.objects[location] = body or b""
        return response

    with patch.object(OssClient, "request", request):
        yield memory
