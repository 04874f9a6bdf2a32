"""Lists of objects, a page at a time. Source: the OSS page "ListObjectsV2"."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..times import parse_rfc3339, rfc3339

PAGE = 1000  # objects in one response, the maximum of OSS


class ListedObject(NamedTuple):
    """`size` is in bytes, `etag` has lower-case letters, `last_modified` is what OSS sent."""

    key: str
    size: int
    etag: str = ""
    last_modified: str = ""

    @property
    def modified(self) -> float | None:
        """Unix seconds, None if OSS did not say."""
        return parse_rfc3339(self.last_modified)

    @property
    def modified_at(self) -> str | None:
        """As `rfc3339` formats it, None if OSS did not say."""
        time, _, fraction = self.last_modified.partition(".")
        if fraction == "000Z":  # as OSS writes it; a page of them shall not take long
            return f"{time}Z"
        return rfc3339(self.modified) if self.modified is not None else None


class ListedPage(NamedTuple):
    """`prefixes` are those of folders, with their slash; `token` requests the next page, "" after the last.

    A token of OSS is its last name in base64, as in the example of the page "ListObjectsV2".
    """

    objects: list[ListedObject]
    prefixes: list[str]
    token: str

    @property
    def names(self) -> list[str]:
        """The keys and prefixes in the order of OSS."""
        return sorted([*(each.key for each in self.objects), *self.prefixes])


def listing_query(prefix: str, **more: str) -> dict[str, str]:
    """The query of the first page; for the others, `continuation-token` is the token of the page before.

    An empty prefix is sent, too: a policy may compare it (`oss:Prefix`), and without one it may match nothing.
    """
    return {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": str(PAGE),
        "prefix": prefix,
        **more,
    }


def read_page(document: bytes) -> ListedPage:
    """Raises `ValueError` for what is not a list of objects."""
    from xml.etree import ElementTree

    try:
        page = ElementTree.fromstring(document)  # noqa: S314 - OSS's answer, at most a page of its list
    except ElementTree.ParseError as error:
        raise ValueError("The list of objects is not XML.") from error
    # The page's example has a namespace.
    space = page.tag[: page.tag.find("}") + 1]
    key, size, etag, modified = (space + name for name in ("Key", "Size", "ETag", "LastModified"))
    objects = [
        ListedObject(
            _decode(entry.findtext(key, "")),
            int(entry.findtext(size, "0")),
            entry.findtext(etag, "").strip('"').lower(),
            entry.findtext(modified, ""),
        )
        for entry in page.iter(f"{space}Contents")
    ]
    prefixes = [
        _decode(entry.findtext(f"{space}Prefix", ""))
        for entry in page.iter(f"{space}CommonPrefixes")
    ]
    is_truncated = page.findtext(f"{space}IsTruncated") == "true"
    token = page.findtext(f"{space}NextContinuationToken", "") if is_truncated else ""
    return ListedPage(objects, prefixes, token)


def _decode(name: str) -> str:
    return unquote_to_bytes(name).decode(errors="replace") if "%" in name else name
