"""A request as STS reads it: parameters in the query or in a form, action and version there or in headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from werkzeug.datastructures import EnvironHeaders

from ...acs3 import ALGORITHM
from ...signed_request import parse_query
from .errors import StsError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FORM = "application/x-www-form-urlencoded"

Pairs = tuple[tuple[str, str], ...]


class StsRequest(NamedTuple):
    """`headers` have lower-case names; `query` and `form` are decoded pairs."""

    method: str
    path: str
    query: Pairs
    form: Pairs
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"StsRequest(method={self.method!r}, path={self.path!r}, action={self.action!r})"

    @property
    def is_v3(self) -> bool:
        """Whether it has signature version 3 (ACS3); otherwise it is expected to have version 1."""
        return self.headers.get("authorization", "").startswith(ALGORITHM)

    @property
    def parameters(self) -> Mapping[str, str]:
        return dict(self.query + self.form)

    @property
    def action(self) -> str:
        return self._common("x-acs-action", "Action")

    @property
    def version(self) -> str:
        return self._common("x-acs-version", "Version")

    @property
    def wants_json(self) -> bool:
        """Otherwise the response is XML, the default of RPC APIs."""
        requested = self.parameters.get("Format") or self.headers.get("accept", "")
        return "json" in requested.lower()

    def _common(self, header: str, parameter: str) -> str:
        return self.headers.get(header, "") if self.is_v3 else self.parameters.get(parameter, "")


def read_request(environ: WSGIEnvironment, body: bytes) -> StsRequest:
    """Raises `StsError` for parameters that are not UTF-8."""
    path, _, raw_query = environ["RAW_URI"].partition("?")
    headers = {name.lower(): value for name, value in EnvironHeaders(environ)}
    is_form = headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
    try:
        query = tuple(parse_query(raw_query))
        form = tuple(parse_query(body.decode())) if is_form else ()
    except UnicodeDecodeError:
        raise StsError(
            "InvalidParameter", "The specified parameter is not valid: it must be UTF-8."
        ) from None
    return StsRequest(
        method=environ["REQUEST_METHOD"],
        path=path,
        query=query,
        form=form,
        headers=headers,
        body=body,
    )
