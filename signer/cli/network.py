"""Why a request failed, in the words of the operating system. A client's own message contains the URL, a secret."""

from __future__ import annotations


def failure_reason(error: BaseException) -> str:
    """`Connection refused` and the like: the deepest cause that the system names, else the class of the error."""
    reason = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
        elif "Timeout" in type(cause).__name__:
            reason = "no response in time"
        cause = cause.__cause__ or cause.__context__
    return reason
