"""CORS for the JSON routes: a convenience for browsers, no protection.

Function Compute itself echoes the Origin into Access-Control-Allow-Origin, and two values of it are none to a browser,
so the function sends its own only where links.toml says cors_allow_origin = "function".
"""

from __future__ import annotations

from .config import Policy
from .request import Answer, Request

ALLOWED_HEADERS = "Authorization, Content-Type, X-Api-Key"
EXPOSED_HEADERS = "Retry-After, X-Fc-Request-Id"
MAX_AGE = "600"  # seconds


def allow(request: Request, policy: Policy, answer: Answer) -> Answer:
    """The answer with what a page of an allowed origin needs to read it; a redirect stays as it is."""
    origin = request.headers.get("origin", "")
    if origin not in policy.cors or 300 <= answer.status < 400:
        return answer
    headers = {**answer.headers, "Vary": answer.headers.get("Vary", "Accept, Authorization, X-Api-Key") + ", Origin"}
    if policy.cors_by_function:
        headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
        headers["Access-Control-Allow-Methods"] = answer.headers.get("Allow", "")
        headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        headers["Access-Control-Max-Age"] = MAX_AGE
    else:
        headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return answer._replace(headers=headers)
