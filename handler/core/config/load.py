"""links.toml, read strictly: a file with any fault stops the function when it starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from signer import Endpoint

from .cdn import check_cdn, check_cdn_mounts
from .checks import check_whole
from .media_types import protect_domains
from .mounts import Config, Location, Mount, Mounts
from .notices import read_notices
from .on_laptop import read_local_url, read_oss_endpoint
from .reader import InvalidConfig, Table, TableReader, replace_variables
from .table import DERIVED, ENDPOINTS, FIELDS, HOUR, MOUNT_KEYS, TOP_KEYS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path


def load(path: str, environ: Mapping[str, str]) -> Config:
    """The configuration in the file at `path`, with variables from `environ`. Raises `InvalidConfig`."""
    name = path.rsplit("/", 1)[-1]
    try:
        with open(path, "rb") as file:
            # Notepad writes a mark at the start.
            document = tomllib.loads(file.read().decode("utf-8-sig"))
    except FileNotFoundError:
        raise InvalidConfig(
            f"File {path} not found. Create it, or set LINK_CONFIG to another file."
        ) from None
    except OSError as error:
        raise InvalidConfig(
            f"{path} cannot be read ({error.strerror}). Fix its permissions."
        ) from None
    # A ValueError is not only of TOML: also of UTF-8, and of numbers of 5,000 digits.
    except (ValueError, RecursionError) as error:
        raise InvalidConfig(f"{name} is not valid TOML: {error}.") from None
    try:
        return read(document, environ, os.path.dirname(os.path.abspath(path)))
    except InvalidConfig as error:
        raise InvalidConfig(f"{name}: {error.sentence}") from None
    except RecursionError:  # dotted keys nest deeper than the parser does
        raise InvalidConfig(f"{name}: its tables are nested too deep.") from None


def read(document: Table, environ: Mapping[str, str], folder: str = "") -> Config:
    """The configuration in a parsed document, in a time linear in its mounts. Raises `InvalidConfig`.

    `folder` is that of links.toml, to which the path of a keys document is relative.
    """
    top = TableReader("top level", replace_variables(document, environ, ""), TOP_KEYS)
    values = top.values(TOP_KEYS)
    region = values["region"]
    own_endpoint = top.parsed("region", Endpoint.internal, region)
    public_url = values["public_url"]
    keys_document = read_keys(top, "keys", folder)
    state = values["state"]
    reserved = tuple(
        location for location in (keys_document, state) if isinstance(location, Location)
    )
    local_endpoint = None
    if environ.get("LINK_OSS_ENDPOINT") or environ.get("LINK_PUBLIC_URL"):
        local_endpoint = read_oss_endpoint(environ, region)
        public_url = read_local_url(environ, "LINK_PUBLIC_URL", "service", 9000) or public_url
    assume_role = None
    if values["assume_role"] is not None:
        # With STS it takes a twentieth of a new process, and few configurations have the table.
        from .assume_role import read_assume_role

        assume_role = read_assume_role(values["assume_role"], region, environ)
    credential_life = values["credential_life"]
    # With sessions, their real expiry counts, which is at most 12 hours after they are opened.
    max_life = credential_life if assume_role is None else 12 * HOUR
    tables = [
        _read_mount(reader, region, max_life, local_endpoint)
        for reader in top.tables("mount", MOUNT_KEYS)
    ]
    mounts = Mounts((mount for mount, _ in tables), reserved)
    if any(mount.cdn for mount in mounts):
        mounts = check_cdn_mounts(mounts, environ)
    domains = {mount.target.bucket for mount, endpoint in tables if endpoint.addressing == "custom"}
    if domains:
        mounts = protect_domains(mounts, domains)
    config = Config(
        region=region,
        mounts=mounts,
        credential_life=credential_life,
        keys_document=keys_document,
        state=state,
        own_endpoint=local_endpoint or own_endpoint,
        public_url=public_url,
        cors=values["cors"],
        cors_by_function=values["cors_allow_origin"] == "function",
        notices=(),
        sinks=(),
        assume_role=assume_role,
        sender_page=values["sender_page"],
    )
    if not {"notice", "sink"}.isdisjoint(top.table):
        config = read_notices(top, config)
    check_whole(config)
    return config


def read_keys(reader: TableReader, name: str, folder: str) -> Location | Path | None:
    """The address of a keys document; a path is relative to `folder`. Raises `InvalidConfig`."""
    keys = reader.string(name)
    scheme, _, path = (keys or "").partition(":")
    if scheme == "file" and path and "\n" not in path:
        # Most processes need no path of a file, and this module takes milliseconds.
        from pathlib import Path

        return Path(os.path.normpath(os.path.join(folder, path)))
    location = reader.parsed(name, Location.parse, keys) if keys is not None else None
    if location is not None and location.key[-1:] in ("", "/"):
        reader.refuse_value(name, "must be oss://bucket/.links/keys.json or file:path")
    return location


def _read_mount(
    reader: TableReader, home: str, max_life: int, local_endpoint: Endpoint | None
) -> tuple[Mount, Endpoint]:
    """A mount, and the endpoint that it names, which on a laptop is not that of its links; `home` is our own region."""
    values = reader.values(MOUNT_KEYS)
    region = home if values["region"] is None else values["region"]
    # An internal endpoint can be reached in its own region only.
    own_endpoint = reader.parsed(
        "region", Endpoint.internal if region == home else Endpoint.public, region
    )
    endpoint = _read_endpoint(reader, values["endpoint"], region)
    has_cdn = values["cdn"] is not None
    if has_cdn:
        check_cdn(reader, values["methods"], endpoint)
    _check_target(reader, values)
    _check_uploads(reader, values)
    _check_process(reader, values)
    max_expires = values["max_expires"]
    is_anonymous = values["access"] == "anonymous"
    check = values["check"]
    if check is None:
        check = "pages" if is_anonymous else False
    # Each field that is the value of a key as it was read; the keys of all others are in `DERIVED`.
    as_read = {
        FIELDS.get(name, name): value for name, value in values.items() if name not in DERIVED
    }
    mount = Mount(
        **as_read,
        region=region,
        endpoint=endpoint if has_cdn else local_endpoint or endpoint,
        own_endpoint=local_endpoint or own_endpoint,
        expires=_expires(reader, values["expires"], max_expires),
        check=check is True,
        check_pages=check == "pages",
        cache=_read_cache(
            reader, is_anonymous, max_expires if has_cdn else min(max_expires, max_life)
        ),
        overwrite=not is_anonymous if values["overwrite"] is None else values["overwrite"],
        app_packages=values["app_packages"] or not _is_own_public_domain(endpoint),
    )
    return mount, endpoint


def _check_target(reader: TableReader, values: Table) -> None:
    target = values["target"]
    if values["access"] == "anonymous" and not target.key and not values["whole_bucket"]:
        problem = f"gives everyone access to the entire bucket {target.bucket}"
        reader.refuse("target", f"{problem}: add a prefix, or set whole_bucket = true")


def _check_uploads(reader: TableReader, values: Table) -> None:
    if values["max_size"] is None and not {"PUT", "POST"}.isdisjoint(values["methods"]):
        reader.refuse("max_size", "is required for PUT and POST")


def _check_process(reader: TableReader, values: Table) -> None:
    if "x-oss-process" in values["query"] and not values["process"]:
        reader.refuse(
            "query",
            "contains x-oss-process, which requires process: the exact values that are allowed",
        )


def _expires(reader: TableReader, expires: int | None, max_expires: int) -> int:
    if expires is None:
        return min(15 * 60, max_expires)
    if expires > max_expires:
        reader.refuse("expires", f"({expires} s) exceeds max_expires ({max_expires} s)")
    return expires


def _read_cache(reader: TableReader, is_anonymous: bool, max_lifetime: int) -> int | None:
    """The window in which links are identical; at its end, a link of `max_lifetime` is valid for as long again."""
    if "cache" not in reader.table:
        return None
    if not is_anonymous:
        reader.refuse(
            "cache",
            'requires access = "anonymous": links of one caller must not be cached for others',
        )
    return reader.duration("cache", 10, max_lifetime // 2)


def _read_endpoint(reader: TableReader, value: str, region: str) -> Endpoint:
    if value in ENDPOINTS:
        return ENDPOINTS[value](region)
    if not value.startswith(("https://", "http://")):
        expected = (
            f"must be {', '.join(ENDPOINTS)}, or an address such as https://static.example.com"
        )
        reader.refuse_value("endpoint", expected)
    return reader.parsed("endpoint", lambda url: Endpoint.custom_domain(url, region), value)


def _is_own_public_domain(endpoint: Endpoint) -> bool:
    """Whether it is one of OSS's own that the internet reaches, where OSS answers ApkDownloadForbidden."""
    return endpoint.addressing == "virtual" and not endpoint.domain.endswith(
        "-internal.aliyuncs.com"
    )
