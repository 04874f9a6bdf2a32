"""The bucket of a run. A file in `.runs` has its name from before it is made until nothing is left of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from .answers import value_of
from .side import MAX_REQUESTS, LiveError, Side

PAUSES: tuple[float, ...] = (0, 1, 5, 15)  # seconds before each try to clean up
_TAGS = "<Tagging><TagSet><Tag><Key>fcp-live</Key><Value>test</Value></Tag></TagSet></Tagging>"
_RULES = """<LifecycleConfiguration><Rule><ID>fcp-live</ID><Prefix></Prefix><Status>Enabled</Status>
<Expiration><Days>1</Days></Expiration><AbortMultipartUpload><Days>1</Days></AbortMultipartUpload>
<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule>
</LifecycleConfiguration>"""


def make(side: Side, file: Path) -> None:
    """Raises `LiveError` unless the bucket is new, private, tagged, and its objects expire."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(side.requests.values["region"])
    if _ask(side, "PUT", headers={"x-oss-acl": "private"}, accepted=(200, 409))[0] == 409:
        file.unlink()
        raise LiveError("The bucket belongs to somebody else. Run it again: the next one has another name.")
    protect(side)
    if "private" not in (grant.text for grant in _ask(side, "GET", "bucketInfo")[1].iter("Grant")):
        raise LiveError("The new bucket is not private.")


def protect(side: Side) -> None:
    """Tags the bucket, and has OSS delete what is left in it after a day. Raises `LiveError`."""
    _ask(side, "PUT", "tagging", body=_TAGS)
    _ask(side, "PUT", "lifecycle", body=_RULES)


def clean(side: Side, file: Path) -> bool:
    """Deletes uploads, versions and the bucket; whether nothing is left."""
    side.limit = side.sent + MAX_REQUESTS
    for pause in PAUSES:
        time.sleep(pause)
        try:
            _empty(side, "uploads", ("Upload",), "uploadId")
            _empty(side, "versions", ("Version", "DeleteMarker"), "versionId")
            _ask(side, "DELETE", accepted=(204, 404))
        except (LiveError, OSError, HTTPException, ElementTree.ParseError):
            continue
        file.unlink(missing_ok=True)
        return True
    return False


def list_account(side: Side) -> Iterator[tuple[str, str]]:
    """Names and regions of the account's buckets with the prefix and the tag. Raises `LiveError`."""
    query = {"prefix": "fcp-live-", "tag-key": "fcp-live", "tag-value": "test", "max-keys": "1000"}
    host = f"oss-{side.requests.values['region']}.aliyuncs.com"
    for bucket in _ask(side, "GET", query=query, host=host, is_service=True)[1].iter("Bucket"):
        if re.fullmatch("fcp-live-[0-9a-f]{16}", name := bucket.findtext("Name", "")):
            yield name, bucket.findtext("Location", "").removeprefix("oss-")


def _empty(side: Side, query: str, tags: tuple[str, ...], parameter: str) -> None:
    """Deletes what a list of the bucket has, until the list is empty."""
    while True:
        _, listed = _ask(side, "GET", query={query: "", "encoding-type": "url"}, accepted=(200, 404))
        entries = [entry for tag in tags for entry in listed.iter(tag)]
        if not entries:
            return
        for entry in entries:
            key, found = unquote(entry.findtext("Key", "")), entry.findtext(parameter[0].upper() + parameter[1:], "")
            if _ask(side, "DELETE", key=key, query={parameter: found}, accepted=(204, 404, 400))[0] == 400:
                _ask(side, "DELETE", key=key, accepted=(204,))  # it never had versions, and may not know the null one


def _ask(
    side: Side, method: str, name: str = "", *, accepted: tuple[int, ...] = (200,), **more: object
) -> tuple[int, ElementTree.Element]:
    """Status and document of the answer. Raises `LiveError` for a status that is not accepted."""
    response = side.ask({"method": method, "query": {name: ""} if name else {}, "sign": "header", **more})
    if response.status not in accepted:
        code = value_of(response, "Code")
        raise LiveError(f"{method} bucket {name} failed ({response.status} {code}). Is the policy that of the dry run?")
    return response.status, ElementTree.fromstring(response.body or b"<None/>")  # noqa: S314 - OSS's answer
