"""The media types that browsers show, and those that they run as pages or scripts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from . import InvalidConfig, Mount, Mounts
from .reader import TableReader

# The types that a mount may list in `inline`, with their extensions. Python's mimetypes reads files of the system, and
# its own table differs between the versions of Python: here a link shows the same wherever it was signed.
EXTENSIONS: Mapping[str, str] = {
    "application/json": "json",
    "application/pdf": "pdf",
    "application/xhtml+xml": "xhtml xht",
    "application/xml": "xml",
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
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/webp": "webp",
    "image/x-icon": "ico",
    "text/calendar": "ics",
    "text/css": "css",
    "text/csv": "csv",
    "text/html": "html htm",
    "text/javascript": "js mjs",
    "text/markdown": "md",
    "text/plain": "txt log",
    "text/vtt": "vtt",
    "video/mp4": "mp4 m4v",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "video/webm": "webm",
}

_TYPES = {extension: name for name, extensions in EXTENSIONS.items() for extension in extensions.split()}
_LISTED = re.compile(r"[^;]+(?:; charset=[A-Za-z0-9-]+)?")
_WORD = re.compile(r"[a-z]+")
# Words of the types that run, as a page or in one. Browsers replace "multipart" and "unknown" by what they find in the
# content. Source: the WHATWG's MIME Sniffing Standard, and "rdf" as Firefox reads it.
_ACTIVE_WORDS = frozenset(("html", "xhtml", "svg", "xml", "xsl", "rdf", "multipart", "unknown")).union(
    ("javascript", "ecmascript", "jscript", "livescript")
)


def type_of(key: str) -> str | None:
    """The type that the extension of a key stands for, None if browsers show no such files."""
    _, dot, extension = key.rpartition("/")[2].rpartition(".")
    return _TYPES.get(extension.lower()) if dot else None


def is_active(media_type: str) -> bool:
    """Whether browsers run content of this type as a page or a script.

    A prefix such as "image/" is active, because every one contains an active type: image/svg+xml, video/x+xml.
    """
    essence = media_type.partition(";")[0].strip().lower()
    return essence.endswith("/") or not _ACTIVE_WORDS.isdisjoint(_WORD.findall(essence))


def read_inline(reader: TableReader) -> tuple[str, ...]:
    """The types that a mount lists in `inline`. Raises `InvalidConfig`."""
    types = reader.strings("inline")
    for media_type in types:
        essence = media_type.partition("; ")[0]
        if not _LISTED.fullmatch(media_type) or essence not in EXTENSIONS:
            reader.refuse_value("inline", f"must be a list of {', '.join(EXTENSIONS)}, each with or without a charset")
        if is_active(essence) and not reader.boolean("active_content"):
            reader.refuse("inline", f"contains {essence}, which browsers run: remove it, or set active_content = true")
    return types


def protect_domains(mounts: Mounts, buckets: Collection[str]) -> Mounts:
    """The mounts with `inline` and `active_content` as they apply, so that no uploaded page runs on a custom domain.

    The signature of a link does not contain its host, so a domain concerns all mounts of its bucket; `buckets` are
    those with a domain. Raises `InvalidConfig`.
    """
    uploads = mounts.one_for_each_target(lambda mount: mount.allows_uploads)
    without_active = mounts.one_for_each_target(lambda mount: not mount.active_content)
    passive_uploads = mounts.one_for_each_target(lambda mount: mount.allows_uploads and not mount.active_content)

    def protect(mount: Mount) -> Mount:
        if mount.target.bucket not in buckets or not uploads.overlapping(mount.target):
            return mount
        active = next(filter(is_active, mount.inline or ()), None)
        for other in passive_uploads.overlapping(mount.target) if active is not None else ():
            raise InvalidConfig(
                f"mount {mount.path}: inline contains {active}, and uploads to the mount {other.path} reach the same "
                "objects: a stranger's page could run on your domain. Remove it, or set active_content = true on both."
            )
        active_content = not without_active.overlapping(mount.target)
        return mount._replace(inline=mount.inline or (), active_content=active_content)

    return Mounts(map(protect, mounts), mounts.reserved)
