"""A new share: what it must be, and the rules of a mount about shares, whoever makes them.

`RULES` are asked in their order, each of a mount and of what a share of it must be. What has a value of the mount's own
follows: the end (`resolve_expiry`), and the limits of uploads. Who makes the share decides who may share a path, and
whether to ask OSS for the object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from signer.sizes import MAX_UPLOAD

from .. import links
from ..cloud.store import Store, state_for
from ..config import Config, Mount, Target
from ..context import Caller, ExpiryLimit, Invocation
from ..errors import Problem, bad_body
from ..keys import owner_tag
from ..uploads import check_prefix, check_size, check_type
from ..words import Words
from . import DEFAULT_EXPIRES, MAX_USES
from .opening import check_app_package
from .record import Record

MAX_FILES = 100
MAX_FOLDER_FILES = 1000
MAX_PREFIX = 768  # bytes; the share's id, a number and a file name follow it


class UploadLimits(NamedTuple):
    """What an upload share accepts: bytes of a file, files, and a media type or its beginning. None: the default."""

    max_size: int | None = None
    max_files: int | None = None
    content_type: str | None = None


class Wish(NamedTuple):
    """What a new share must be. None is the mount's default, or nothing.

    `method` is GET, or POST for uploads, of which `upload` has the limits. `seconds` is how long it lasts. `download`
    is None, "" for the object's own name, or a file name. `files` is how many files a folder has, for its page.
    """

    method: str = "GET"
    seconds: int | None = None
    uses: int | None = None
    download: str | None = None
    page: bool | None = None
    has_code: bool | None = None
    words: Words = Words()
    upload: UploadLimits | None = None
    files: int | None = None


class Draft(NamedTuple):
    """The record of a share that is not written yet: without the hashes of its secret and its code.

    Its times count from 0 until `place_share` places it.
    `clamped_by` is what limits its lifetime: None, mount or caller.
    """

    record: Record
    has_code: bool
    clamped_by: str | None


def draft_share(config: Config, target: Target, wish: Wish, owner: Caller) -> Draft:
    """A share as the rules of its mount allow it. Raises the `Problem` of the first that does not."""
    mount = target.mount
    for rule in RULES:
        rule(config, target, wish)
    clamped_by, seconds = resolve_expiry(wish.seconds, mount, owner)
    upload = _upload(mount, wish)
    has_code = _has_code(mount, wish)
    is_public = config.public_url is not None and not _is_folder(target, wish)
    record = Record(
        hash="",
        path=target.path,
        mount=mount.path,
        target=str(mount.target),
        method=wish.method,
        owner=owner.id,
        owner_tag=owner_tag(owner.owner),
        created_at=0,
        expires_at=seconds,
        page=_needs_page(mount, wish) or (is_public if wish.page is None else wish.page),
        download=wish.download,
        uses=wish.uses if upload is None else upload["max_files"],
        upload=upload,
        words=wish.words,
        files=wish.files,
    )
    return Draft(record, has_code, clamped_by)


def place_share(
    invocation: Invocation, record: Record, *, is_derived: bool = False
) -> tuple[Store, Record]:
    """Where a new share is written, and its record, which begins now by the clock of OSS.

    Raises a 503 where claims are needed and do not hold: for its uses, or, with a secret that is derived, because a
    share that was revoked would open again.
    """
    state = state_for(invocation)
    if record.uses is not None or is_derived:
        state.probe(invocation.now)
    created_at = int(state.now())
    expires_at = created_at + record.expires_at
    return state, record._replace(created_at=created_at, expires_at=expires_at)


def resolve_expiry(seconds: int | None, mount: Mount, owner: Caller) -> tuple[str | None, int]:
    """What limits the lifetime of a share (None, "mount" or "caller"), and its seconds."""
    limits = [ExpiryLimit("mount", mount.max_share or 0)]
    if owner.max_share is not None:
        limits.append(ExpiryLimit("caller", owner.max_share))
    if seconds is None:
        return None, min(DEFAULT_EXPIRES, *(limit.seconds for limit in limits))
    return links.apply_limits(seconds, tuple(limits))


def check_shareable(target: Target, *, is_folder: bool) -> None:
    """Raises the 409 `not_shareable` for a mount without shares, or without those of folders."""
    if target.mount.max_share is None:
        raise Problem("not_shareable")
    if is_folder and not target.mount.lists:
        raise Problem(
            "not_shareable",
            "Folders can only be shared on a mount that has list = true in links.toml.",
        )


def _has_shares(config: Config, target: Target, wish: Wish) -> None:
    check_shareable(target, is_folder=_is_folder(target, wish))


def _allows_method(config: Config, target: Target, wish: Wish) -> None:
    enabled = target.mount.methods
    if wish.method not in ("GET", "POST"):
        raise bad_body('"method" must be GET or POST')
    if wish.method not in enabled:
        raise bad_body(
            f"{wish.method} is not enabled for this mount (enabled: {', '.join(enabled)})"
        )


def _serves_it(config: Config, target: Target, wish: Wish) -> None:
    check_app_package(target)


def _takes_uploads(config: Config, target: Target, wish: Wish) -> None:
    if wish.method == "GET":
        if wish.upload is not None:
            raise bad_body('"upload" requires "method": "POST"')
        return
    if not target.path.endswith("/"):
        raise bad_body('"path" of an upload share must end with "/": files are stored below it')
    if wish.uses is not None or wish.download is not None:
        raise bad_body(
            '"max_uses" and "download" are not allowed for uploads; use "upload": {"max_files": …}'
        )
    if len(target.key.encode()) > MAX_PREFIX:
        raise bad_body('"path" is too long: file names are added to it')
    check_prefix(config, target)


def _requires_code(config: Config, target: Target, wish: Wish) -> None:
    if target.mount.require_password and not _has_code(target.mount, wish):
        raise bad_body('"password" must be true: this mount requires a code for each share')


def _fits_folder(config: Config, target: Target, wish: Wish) -> None:
    if not _is_folder(target, wish):
        return
    if wish.uses is not None:
        raise Problem("folder_not_limited")
    if wish.download:
        raise bad_body(
            '"download" of a folder must be empty: each file is saved under its own name'
        )


def _counts_files(config: Config, target: Target, wish: Wish) -> None:
    if wish.files is None:
        return
    if not _is_folder(target, wish):
        raise bad_body('"files" is only allowed for a folder: "path" must end with "/"')
    if not 1 <= wish.files <= MAX_FOLDER_FILES:
        raise bad_body(f'"files" must be from 1 to {MAX_FOLDER_FILES}')


def _limits_uses(config: Config, target: Target, wish: Wish) -> None:
    if wish.uses is not None and not 1 <= wish.uses <= MAX_USES:
        raise bad_body(f'"max_uses" must be from 1 to {MAX_USES}')


def _names_download(config: Config, target: Target, wish: Wish) -> None:
    if wish.download is not None and target.mount.cdn is not None:
        raise Problem("download_not_signed")
    if wish.download:
        links.attachment(wish.download, target.key)


def _has_page(config: Config, target: Target, wish: Wish) -> None:
    if wish.page is False and _needs_page(target.mount, wish):
        raise bad_body('"page": false is not possible with "max_uses", "password" or "upload"')


# Each raises a `Problem`; a share that two of them refuse has that of the first.
Rule = Callable[[Config, Target, Wish], None]
RULES: tuple[Rule, ...] = (
    _has_shares,
    _allows_method,
    _serves_it,
    _takes_uploads,
    _requires_code,
    _fits_folder,
    _counts_files,
    _limits_uses,
    _names_download,
    _has_page,
)


def _is_folder(target: Target, wish: Wish) -> bool:
    return wish.method != "POST" and target.path.endswith("/")


def _has_code(mount: Mount, wish: Wish) -> bool:
    return mount.require_password if wish.has_code is None else wish.has_code


def _needs_page(mount: Mount, wish: Wish) -> bool:
    return wish.method == "POST" or wish.uses is not None or _has_code(mount, wish)


def _upload(mount: Mount, wish: Wish) -> dict[str, Any] | None:
    """The limits of an upload share, as its record has them, each within the mount's. Raises a 400 `Problem`."""
    if wish.method != "POST":
        return None
    upload = wish.upload or UploadLimits()
    max_files = 1 if upload.max_files is None else upload.max_files
    if not 1 <= max_files <= MAX_FILES:
        raise bad_body(f'"upload.max_files" must be from 1 to {MAX_FILES}')
    max_size = min(mount.max_size or 0, MAX_UPLOAD) if upload.max_size is None else upload.max_size
    content_type = upload.content_type
    if content_type is not None:
        # A prefix may include active types: each file has one exact type, which is checked when it is sent.
        check_type(f"{content_type}any" if content_type.endswith("/") else content_type, mount)
    return {
        "max_size": check_size(max_size, mount, MAX_UPLOAD),
        "max_files": max_files,
        "content_type": content_type,
    }
