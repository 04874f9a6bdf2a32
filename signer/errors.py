"""What the signer refuses, and why.

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
└── InvalidCredentials    invalid_credentials
    ├── MissingCredentials    missing_credentials
    └── CredentialsExpired    credentials_expired
```
"""

from __future__ import annotations


class SignerError(Exception):
    """The base of all refusals: `code` for programs, a sentence for people, the facts as attributes.

    No message and no attribute holds a secret, a token or a signature.
    """

    code = "signer_error"

    def __init__(self, sentence: str, *, code: str | None = None, **facts: object) -> None:
        super().__init__(sentence)
        if code is not None:
            self.code = code
        self.facts: dict[str, object] = facts
        for name, value in facts.items():
            setattr(self, name, value)


class InvalidMethod(SignerError):
    """`method` is none of GET, HEAD, PUT, POST, DELETE."""

    code = "invalid_method"
    method: object


class InvalidBucket(SignerError):
    """`bucket` is no bucket name."""

    code = "invalid_bucket"
    bucket: object


class InvalidKey(SignerError):
    """`key` is no object key (`invalid_key`), or one that HTTP clients rewrite (`unsafe_key`)."""

    code = "invalid_key"
    key: object


class InvalidHeader(SignerError):
    """The header `name` cannot be signed as given; its value is not repeated."""

    code = "invalid_header"
    name: object


class InvalidQuery(SignerError):
    """The query parameter `name` cannot be signed as given; its value is not repeated."""

    code = "invalid_query"
    name: object


class InvalidExpiry(SignerError):
    """`expires_in` is not a whole number of seconds from 1 to 604800."""

    code = "invalid_expiry"
    expires_in: object


class InvalidTime(SignerError):
    """A time is neither a datetime with a zone nor Unix seconds from 1970 to 9999."""

    code = "invalid_time"


class InvalidEndpoint(SignerError):
    """A region, an address or a product that no OSS endpoint has."""

    code = "invalid_endpoint"
    value: object


class InvalidLink(SignerError):
    """A text that is no presigned URL."""

    code = "invalid_link"


class InvalidForm(SignerError):
    """A form upload that cannot be allowed as asked; `field` names what is wrong."""

    code = "invalid_form"
    field: object


class InvalidCredentials(SignerError):
    """Credentials that cannot sign."""

    code = "invalid_credentials"


class MissingCredentials(InvalidCredentials):
    """No credentials where some were looked for; `variables` are the names that were read."""

    code = "missing_credentials"
    variables: object


class CredentialsExpired(InvalidCredentials):
    """The credentials end before a link could live for a second; `expires_at` says when."""

    code = "credentials_expired"
    expires_at: object
