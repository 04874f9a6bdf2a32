"""The base of this package's errors."""

from signer.emulator.errors import LocalError as LocalError
