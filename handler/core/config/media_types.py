"""The media types that browsers show, and those that they run as pages or scripts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .mounts import Mount, Mounts
from .reader import TableReader

# The types that a mount may list in `inline`, none that browsers run, with their extensions. Python's mimetypes reads
# files of the system, and its own table differs between versions: here a link shows the same wherever it was signed.
EXTENSIONS: Mapping[str, str] = {
    "application/json": "json",
    "application/pdf": "pdf",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "oga ogg opus",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "image/apng": "apng",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg jpeg",
    "image/png": "png",
    "image/tiff": "tif tiff",
    "image/webp": "webp",
    "image/x-icon": "ico",
    "text/calendar": "ics",
    "text/css": "css",
    "text/csv": "csv",
    "text/markdown": "md",
    "text/plain": "txt log",
    "text/vtt": "vtt",
    "video/mp4": "mp4 m4v",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "video/webm": "webm",
}

_LISTED = re.compile(r"[^;]+(?:; charset=[A-Za-z0-9-]+)?")
_WORD = re.compile(r"[a-z]+")
# Words of the types that run, as a page or in one. Browsers replace "multipart" and "unknown" by what they find in the
# content. Source: the WHATWG's MIME Sniffing Standard, and "rdf" as Firefox reads it.
_ACTIVE_WORDS = frozenset(
    ("html", "xhtml", "svg", "xml", "xsl", "rdf", "multipart", "unknown")
).union(("javascript", "ecmascript", "jscript", "livescript"))


def is_active(media_type: str) -> bool:
    """Whether browsers run content of this type as a page or a script.

    A prefix such as "image/" is active, because every one contains an active type: image/svg+xml, video/x+xml.
    """
    essence = media_type.partition(";")[0].strip().lower()
    return essence.endswith("/") or not _ACTIVE_WORDS.isdisjoint(_WORD.findall(essence))


def read_inline(reader: TableReader, name: str) -> tuple[str, ...]:
    """The types that a mount lists in `inline`. Raises `InvalidConfig`."""
    types = reader.strings(name)
    for media_type in types:
        essence = media_type.partition("; ")[0]
        if not _LISTED.fullmatch(media_type) or essence not in EXTENSIONS:
            expected = f"must be a list of {', '.join(EXTENSIONS)}, each with or without a charset"
            reader.refuse_value(name, f"{expected}; browsers download what they could run")
    return types


def protect_domains(mounts: Mounts, buckets: Collection[str]) -> Mounts:
    """The mounts with `inline` as it applies, so that no uploaded page runs on a custom domain.

    The signature of a link does not contain its host, so a domain concerns all mounts of its bucket; `buckets` are
    those with a domain.
    """
    uploads = mounts.one_for_each_target(lambda mount: mount.allows_uploads)

    def protect(mount: Mount) -> Mount:
        concerned = mount.target.bucket in buckets and uploads.overlapping(mount.target)
        return mount._replace(inline=mount.inline or ()) if concerned else mount

    return Mounts(map(protect, mounts), mounts.reserved)
