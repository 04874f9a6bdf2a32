"""What there is to try in a running stack: a link, a shared folder, the sender's page, and an API key for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import sha256
from http.client import HTTPException
from typing import NamedTuple

from handler.commands import keys_edit
from handler.core.config import Config, Location, Mount
from handler.core.errors import HandlerError
from handler.core.keys import METHODS
from handler.core.paths import LFS
from signer import SignerError
from signer.emulator import client
from signer.emulator.variables import SCRIPT

from . import invoke
from .errors import LocalError
from .stack import Stack

NAME = "exampleobject.txt"
CONTENT = b"A private object, opened with a link that expires in minutes.\n"
FOLDER = "exampledir/"
FILES = (NAME, "示例.txt")
HEADERS = {"Content-Type": "text/plain; charset=utf-8", "x-oss-forbid-overwrite": "true"}
KEY_NAME = "try-it"
KEY_METHODS = [method for method in METHODS if method != "ADMIN"]
_KEY_LINE = re.compile(r"^export KEY=(fcp_[A-Za-z0-9_-]+)$", re.MULTILINE)


class Sample(NamedTuple):
    """An address or a key, or None and what to do about it."""

    value: str | None
    advice: str = ""


class Samples(NamedTuple):
    object: Sample
    folder: Sample
    lfs_url: Sample
    sender_page: Sample
    api_key: Sample


def prepare(stack: Stack) -> Samples:
    """Makes whatever the configuration allows. Objects that are there stay, and an API key that is in `SCRIPT`."""
    key = _sample(lambda: api_key(stack))

    return Samples(
        object=_sample(lambda: _object(stack)),
        folder=_sample(lambda: _folder(stack, key)),
        lfs_url=_sample(lambda: _lfs_url(stack)),
        sender_page=_sample(lambda: _sender_page(stack)),
        api_key=key,
    )


def _sample(create: Callable[[], str]) -> Sample:
    try:
        return Sample(create())
    except (LocalError, HandlerError, SignerError) as error:
        return Sample(None, str(error))
    except (OSError, HTTPException, ValueError) as error:
        return Sample(None, f"OSS did not answer ({type(error).__name__})")


def _object(stack: Stack) -> str:
    advice = 'set access = "anonymous" on a mount with GET in links.toml'
    mount = _mount(
        stack, lambda mount: mount.access == "anonymous" and "GET" in mount.methods, advice
    )
    _put_object(stack, mount)
    return f"{stack.http_url}{mount.path}{NAME}"


def _folder(stack: Stack, key: Sample) -> str:
    def allows(mount: Mount) -> bool:
        return mount.lists and mount.max_share is not None and {"GET", "PUT"} <= {*mount.methods}

    mount = _mount(
        stack,
        allows,
        'add list = true and max_share = "30d" to a mount with GET and PUT in links.toml',
    )
    for name in FILES:
        _put_object(stack, mount, FOLDER + name)
    if key.value is None:
        raise LocalError("an API key is required, see below")
    body = json.dumps({"path": mount.path + FOLDER}).encode()
    headers = {"Authorization": f"Bearer {key.value}", "Content-Type": "application/json"}
    response = client.send("POST", f"{stack.http_url}/-/shares", body, headers)
    document = (
        json.loads(response.body) if "json" in response.headers.get("content-type", "") else {}
    )
    if response.status != 201:
        raise LocalError(document.get("detail") or f"the service answered {response.status}")
    return str(document["url"])


def _lfs_url(stack: Stack) -> str:
    mount = _mount(
        stack,
        lambda mount: {"GET", "PUT"} <= {*mount.methods} and not mount.overwrite,
        "remove the # from each line of the mount /lfs/ in links.toml",
    )
    return f"{stack.http_url}{LFS}{mount.path[1:]}repository"


def _sender_page(stack: Stack) -> str:
    if not _config(stack).sender_page:
        raise LocalError(
            "add the table [sender_page] with enabled = true to links.toml, above the mounts"
        )
    return f"{stack.http_url}/-/"


def api_key(stack: Stack) -> str:
    """The key of an earlier start if it still is in the keys document, else a new one in its place."""
    config = _config(stack)
    if config.keys_document is None:
        raise LocalError(
            'add keys = "oss://${LINK_BUCKET}/.links/keys.json" at the top of links.toml'
        )
    location = config.keys_document
    if not isinstance(location, Location):
        raise LocalError(
            f"use one of file:{location}, which is yours to change: python -m handler.commands keys"
        )
    answer = client.request(stack, "GET", *location)
    if answer.status not in (200, 404):
        raise LocalError(f"{location} cannot be read (status {answer.status})")
    document, keys = keys_edit.read(
        answer.body if answer.status == 200 else keys_edit.serialize(keys_edit.new())
    )
    known = {entry.id: entry.sha256 for entry in keys.api}
    key = _earlier_key(stack)
    if key and known.get(KEY_NAME) == sha256(key.encode()).hexdigest():
        return key
    if KEY_NAME in known:
        document = keys_edit.remove(document, "API key", KEY_NAME)
    document, key = keys_edit.add_api_key(document, KEY_NAME, ["/"], KEY_METHODS, None)
    if client.request(stack, "PUT", *location, keys_edit.serialize(document)).status != 200:
        raise LocalError(f"{location} cannot be written")
    return key


def _earlier_key(stack: Stack) -> str | None:
    try:
        match = _KEY_LINE.search((stack.root / SCRIPT).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return match[1] if match else None


def variables(stack: Stack, key: str | None) -> dict[str, str | None]:
    """What a shell needs to use the stack; the credentials of OSS end with it."""
    return {
        **dict.fromkeys(("SERVICE", "FC_PRESIGN_URL"), stack.http_url),
        **dict.fromkeys(("KEY", "FC_PRESIGN_KEY"), key),
        **{name: stack.environment[name] for name in invoke.PASSED_ON},
        "LINK_REGION": stack.region,
        "LINK_BUCKET": stack.bucket,
        "OSS_REGION": stack.region,
        "OSS_ENDPOINT": stack.oss_url,
        "OSS_ACCESS_KEY_ID": stack.credentials.access_key_id,
        "OSS_ACCESS_KEY_SECRET": stack.credentials.access_key_secret,
        "OSS_SESSION_TOKEN": stack.credentials.security_token,
    }


def _config(stack: Stack) -> Config:
    config = stack.links_toml()
    if config is None:
        raise LocalError(f"the function {stack.function.name} has no links.toml")
    return config


def _mount(stack: Stack, allows: Callable[[Mount], bool], advice: str) -> Mount:
    mount = next(filter(allows, _config(stack).mounts), None)
    if mount is None:
        raise LocalError(advice)
    return mount


def _put_object(stack: Stack, mount: Mount, name: str = NAME) -> None:
    # A 409 means that the object exists; after any other error the address is still the right one to show.
    client.request(stack, "PUT", mount.target.bucket, mount.target.key + name, CONTENT, HEADERS)
