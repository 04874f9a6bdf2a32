"""Signature version 1 of Alibaba Cloud's RPC APIs, which the command line `aliyun` and older SDKs send.

Source: the page "Request syntax and signature method V2 for RPC APIs" of the Alibaba Cloud SDK documentation; requests
have the parameter SignatureVersion=1.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from ...v4 import encode

METHOD = "HMAC-SHA1"


def string_to_sign(method: str, parameters: Mapping[str, str]) -> str:
    """The encoded and sorted parameters of query and form, all but Signature, encoded once more as one string."""
    pairs = sorted((name, value) for name, value in parameters.items() if name != "Signature")
    canonical = "&".join(f"{encode(name)}={encode(value)}" for name, value in pairs)
    return f"{method}&%2F&{encode(canonical)}"


def signature(secret: str, string: str) -> str:
    """The HMAC-SHA1 in base64; the key is the secret and `&`."""
    return base64.b64encode(
        hmac.digest(f"{secret}&".encode(), string.encode(), hashlib.sha1)
    ).decode()
