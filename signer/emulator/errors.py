"""The base of this package's errors."""

from __future__ import annotations

from ..errors import SignerError

_EXTRA = ("fastcrc", "werkzeug")


class EmulatorError(SignerError):
    """The emulator cannot start, or a fault that a test set was not used; the message says what to do.

    `code` is port_in_use, folder_in_use, folder_unusable, invalid_bucket, invalid_region, invalid_access_key,
    extra_missing or unused_fault, of the command also file_exists or file_unusable.
    """

    code = "emulator_error"


def extra_missing(error: ModuleNotFoundError) -> Exception:
    """What to raise for a module that was not found: another error if it belongs to the extra."""
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRA:
        return error
    return EmulatorError(
        f"The OSS for tests requires {package}: install fc-presign[oss].", code="extra_missing"
    )
