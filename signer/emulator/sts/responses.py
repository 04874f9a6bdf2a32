"""Responses of STS, in JSON or XML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from .errors import StsError

Elements = Mapping[str, "str | Mapping[str, str]"]

_XML_DECLARATION = "<?xml version='1.0' encoding='UTF-8'?>"


def success(action: str, elements: Elements, request_id: str, *, as_json: bool) -> Response:
    return _respond(
        200, f"{action}Response", {"RequestId": request_id, **elements}, request_id, as_json
    )


def failure(error: StsError, request_id: str, host: str, *, as_json: bool) -> Response:
    elements = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&product=Sts&requestId={request_id}",
    }
    return _respond(error.status, "Error", elements, request_id, as_json)


def _respond(
    status: int, root: str, elements: Elements, request_id: str, as_json: bool
) -> Response:
    if as_json:
        body = json.dumps(elements, separators=(",", ":"))
        media_type = "application/json;charset=utf-8"
    else:
        body = _XML_DECLARATION + _xml(root, elements)
        media_type = "text/xml;charset=utf-8"
    return Response(body, status, {"Content-Type": media_type, "x-acs-request-id": request_id})


def _xml(name: str, content: str | Elements | Mapping[str, str]) -> str:
    body = (
        escape(content)
        if isinstance(content, str)
        else "".join(_xml(*child) for child in content.items())
    )
    return f"<{name}>{body}</{name}>"
