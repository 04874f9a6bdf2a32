"""What programs read to reach a running OSS: environment variables, as a script for shells and as an .env file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..common.files import replace_file
from ..credentials import Credentials
from .errors import EmulatorError

SCRIPT = "env.sh"
ADDRESSES = "127.0.0.1,localhost"
# A proxy does not reach this machine.
_NO_PROXY = (
    f'export NO_PROXY="{ADDRESSES},${{no_proxy-${{NO_PROXY-}}}}"; export no_proxy="$NO_PROXY"'
)
_MARK = "# Written by fc-presign oss, which writes it again."


def shell_command(root: Path) -> str:
    """What sets the variables of a folder's `SCRIPT` in a shell."""
    return f". {shlex.quote(str(root / SCRIPT))}"


def key_variables(prefix: str, keys: Credentials) -> dict[str, str]:
    """The access key as `{prefix}_ACCESS_KEY_ID` and so on; the token of a permanent one is ""."""
    return {
        f"{prefix}_ACCESS_KEY_ID": keys.access_key_id,
        f"{prefix}_ACCESS_KEY_SECRET": keys.access_key_secret,
        f"{prefix}_SESSION_TOKEN": keys.security_token or "",
    }


def no_proxy(environ: Mapping[str, str], addresses: str = ADDRESSES) -> dict[str, str]:
    """NO_PROXY in both spellings, with this machine added."""
    others = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    known = others.split(",") if others else []
    value = ",".join([*(each for each in addresses.split(",") if each not in known), *known])
    if others.strip() == "*":  # which means every host only if it stands alone
        value = others
    return {"NO_PROXY": value, "no_proxy": value}


def write_script(root: Path, variables: Mapping[str, str | None]) -> list[str]:
    """Writes `SCRIPT` for its owner alone, beside the buckets, and returns its lines. Raises `EmulatorError`."""
    path = root / SCRIPT
    lines = [f"# For a shell that uses what runs here: . {shlex.quote(str(path))}", _NO_PROXY]
    # The shell may have the variables of another stack.
    lines += [
        f"export {name}={shlex.quote(value)}" if value else f"unset {name}"
        for name, value in variables.items()
    ]
    _write(path, lines)
    return lines


def write_env_file(path: Path, variables: Mapping[str, str], *, github_env: str) -> None:
    """Lines `NAME=value`, for those that have a value; added to the file that `github_env` names, else a new file.

    Raises `EmulatorError`, also for a file of somebody else, which stays.
    """
    lines = [f"{name}={value}" for name, value in variables.items() if value]
    if github_env and path.absolute() == Path(github_env).absolute():
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write("\n".join([*lines, ""]))
        except OSError as error:
            raise _cannot_write(path, error, "") from None
        return
    if os.path.lexists(path) and not _is_ours(path):
        raise EmulatorError(
            f"{path} exists, and fc-presign oss did not write it. Remove it, or name another file with --env-file.",
            code="file_exists",
        )
    _write(path, [_MARK, *lines])


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\n") == _MARK
    except (OSError, UnicodeDecodeError):
        return False


def _write(path: Path, lines: list[str]) -> None:
    try:
        replace_file(str(path), "\n".join([*lines, ""]).encode(), 0o600)
    except OSError as error:
        raise _cannot_write(path, error, " Remove it.") from None


def _cannot_write(path: Path, error: OSError, advice: str) -> EmulatorError:
    return EmulatorError(
        f"{path} cannot be written ({error.strerror}).{advice}", code="file_unusable"
    )
