"""The base of this package's errors."""

from __future__ import annotations

from ..errors import SignerError


class EmulatorError(SignerError):
    """The emulator cannot start, or a fault that a test asked for was not used; the message says what to do.

    `code` is port_in_use, folder_in_use, folder_unusable, invalid_bucket, invalid_region, invalid_access_key,
    extra_missing or unused_fault.
    """

    code = "emulator_error"
