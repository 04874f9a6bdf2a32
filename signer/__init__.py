"""Presigned URLs for Alibaba Cloud OSS, signature version 4: pure functions of the standard library.

Installed as `fc_presign`; in a clone and in the function the package is `signer`.

```python
import fc_presign

link = fc_presign.presign(
    "GET", "examplebucket", "exampledir/exampleobject.txt",
    credentials=fc_presign.Credentials.from_environment(),
    endpoint=fc_presign.Endpoint.public("cn-hangzhou"),
    expires_in=600,
)
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .credentials import Credentials
from .endpoint import Endpoint
from .errors import (
    CredentialsExpired,
    InvalidBucket,
    InvalidCdnKey,
    InvalidCredentials,
    InvalidEndpoint,
    InvalidExpiry,
    InvalidForm,
    InvalidHeader,
    InvalidKey,
    InvalidLink,
    InvalidMethod,
    InvalidQuery,
    InvalidTime,
    MissingCredentials,
    SignerError,
)
from .link import Link, presign

if TYPE_CHECKING:
    from .cdn import CdnKey, presign_cdn, verify_cdn
    from .diagnosis import Explanation, Finding, explain
    from .form import Form, post_form
    from .redaction import redact
    from .verification import Verification, verify

__all__ = [
    "CdnKey",
    "Credentials",
    "CredentialsExpired",
    "Endpoint",
    "Explanation",
    "Finding",
    "Form",
    "InvalidBucket",
    "InvalidCdnKey",
    "InvalidCredentials",
    "InvalidEndpoint",
    "InvalidExpiry",
    "InvalidForm",
    "InvalidHeader",
    "InvalidKey",
    "InvalidLink",
    "InvalidMethod",
    "InvalidQuery",
    "InvalidTime",
    "Link",
    "MissingCredentials",
    "SignerError",
    "Verification",
    "explain",
    "post_form",
    "presign",
    "presign_cdn",
    "redact",
    "verify",
    "verify_cdn",
]
__version__ = "0.1.0"

# Modules that a redirect does not need are imported when one of these names is first used.
_LAZY_MODULES = {
    "CdnKey": "cdn",
    "Explanation": "diagnosis",
    "Finding": "diagnosis",
    "Form": "form",
    "Verification": "verification",
    "explain": "diagnosis",
    "post_form": "form",
    "presign_cdn": "cdn",
    "redact": "redaction",
    "verify": "verification",
    "verify_cdn": "cdn",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES})


def __getattr__(name: str) -> object:
    if name not in _LAZY_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = f"{__name__}.{_LAZY_MODULES[name]}"
    try:
        member: object = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        # The package for Function Compute leaves signer/diagnosis out.
        if error.name != module:
            raise
        raise ImportError(
            f"{__package__}.{name} is not part of this package: install fc-presign[cli] to use it."
        ) from None
    globals()[name] = member
    return member
