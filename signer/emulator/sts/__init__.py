"""A local STS: roles are assumed as in RAM, every request's signature is verified, responses are STS's own.

For development only: serve it on 127.0.0.1 with `..server`.
"""

from __future__ import annotations

from .application import create_app
from .credentials import temporary_credentials
from .errors import StsError
from .roles import Role

__all__ = ["Role", "StsError", "create_app", "temporary_credentials"]
