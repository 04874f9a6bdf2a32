"""The exceptions that the signer raises.

```
SignerError
├── InvalidMethod         invalid_method
├── InvalidBucket         invalid_bucket
├── InvalidKey            invalid_key, unsafe_key
├── InvalidHeader         invalid_header, missing_header, duplicate_header
├── InvalidQuery          invalid_query, reserved_query
├── InvalidExpiry         invalid_expiry
├── InvalidTime           invalid_time
├── InvalidEndpoint       invalid_endpoint
├── InvalidLink           invalid_link
├── InvalidForm           invalid_form
├── InvalidCdnKey         invalid_cdn_key
└── InvalidCredentials    invalid_credentials
    ├── MissingCredentials    missing_credentials
    └── CredentialsExpired    credentials_expired
```
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any


def describe_argument(value: object) -> str:
    """What a message says of an argument that must be a string or a number; any other may be secret."""
    return repr(value) if _is_plain(value) else type(value).__name__


def _attribute(value: Any) -> Any:
    return value if _is_plain(value) else None


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, float, int, timedelta))


def check_type(
    what: str, value: object, kind: type, error: type[SignerError], expected: str = "a string"
) -> None:
    """Raises `error` for a value of another type. The value is not repeated: it may be secret."""
    if not isinstance(value, kind):
        raise error(f"Invalid {what}: expected {expected}, not {type(value).__name__}.")


def string_pairs(
    what: str, mapping: Mapping[str, str] | None, error: type[SignerError]
) -> list[tuple[str, str]]:
    """The items of a mapping of strings, none of None. Raises `error` for anything else."""
    if not mapping:
        return []
    # The headers of http.server have items, and are no Mapping.
    if not hasattr(mapping, "items"):
        raise error(f"Invalid {what}: expected a mapping of strings, not {type(mapping).__name__}.")
    pairs = [*mapping.items()]
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            shown = describe_argument(name)
            raise error(f"Invalid {what}: the name and the value of {shown} must be strings.", name)
    return pairs


class SignerError(Exception):
    """The base class: `code` is for programs, the message for people, and attributes say what was refused.

    An attribute holds the argument as it was passed, None instead of one that is neither a string nor a number.
    Messages and attributes hold no secret, token or signature.
    """

    code = "signer_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


# Every attribute has a default, because unpickling an exception passes the message alone.


class InvalidMethod(SignerError):
    """`method` is not GET, HEAD, PUT, POST or DELETE."""

    code = "invalid_method"

    def __init__(self, message: str, method: str = "") -> None:
        super().__init__(message)
        self.method: str = _attribute(method)


class InvalidBucket(SignerError):
    """`bucket` is not a valid bucket name."""

    code = "invalid_bucket"

    def __init__(self, message: str, bucket: str = "") -> None:
        super().__init__(message)
        self.bucket: str = _attribute(bucket)


class InvalidKey(SignerError):
    """`key` is not a valid object key (`invalid_key`), or HTTP clients would rewrite it (`unsafe_key`)."""

    code = "invalid_key"

    def __init__(self, message: str, key: str = "", *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.key: str = _attribute(key)


class InvalidHeader(SignerError):
    """The header `name` cannot be signed; its value is not repeated."""

    code = "invalid_header"

    def __init__(self, message: str, name: str = "", *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.name: str = _attribute(name)


class InvalidQuery(SignerError):
    """The query parameter `name` cannot be signed; its value is not repeated."""

    code = "invalid_query"

    def __init__(self, message: str, name: str = "", *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.name: str = _attribute(name)


class InvalidExpiry(SignerError):
    """`expires_in` is neither a whole number of seconds within what a link allows, nor a timedelta of as many."""

    code = "invalid_expiry"

    def __init__(self, message: str, expires_in: int | timedelta = 0) -> None:
        super().__init__(message)
        self.expires_in: int | timedelta = _attribute(expires_in)


class InvalidTime(SignerError):
    """A time is neither a datetime with a time zone nor Unix seconds from 1970 to 9999."""

    code = "invalid_time"


class InvalidEndpoint(SignerError):
    """`value` is not the region, address or product of an OSS endpoint."""

    code = "invalid_endpoint"

    def __init__(self, message: str, value: str = "") -> None:
        super().__init__(message)
        self.value: str = _attribute(value)


class InvalidLink(SignerError):
    """A string is not a presigned URL, or not an `oss://` address."""

    code = "invalid_link"


class InvalidForm(SignerError):
    """A form upload cannot be signed; `field` is the argument that is wrong."""

    code = "invalid_form"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidCdnKey(SignerError):
    """The key of a CDN, or another setting of its signing, is invalid; `field` is its name."""

    code = "invalid_cdn_key"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidCredentials(SignerError):
    """Credentials cannot sign."""

    code = "invalid_credentials"


class MissingCredentials(InvalidCredentials):
    """Credentials were not found; `variables` are the names that were read."""

    code = "missing_credentials"

    def __init__(self, message: str, variables: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.variables = variables


class CredentialsExpired(InvalidCredentials):
    """The credentials expire, at `expires_at`, less than a second after the signing time."""

    code = "credentials_expired"

    def __init__(self, message: str, expires_at: datetime | float | None = None) -> None:
        super().__init__(message)
        self.expires_at = expires_at
