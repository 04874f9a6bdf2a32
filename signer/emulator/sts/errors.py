"""STS's errors: status, code and message.

Sources: the error codes of the RAM page "AssumeRole", and the public error codes of Alibaba Cloud's API gateway.
"""

from __future__ import annotations

from collections.abc import Mapping

# The status and the message of a code.
ERRORS: Mapping[str, tuple[int, str]] = {
    "InvalidAction.NotFound": (
        404,
        "Specified api is not found, please check your url and method.",
    ),
    "UnsupportedHTTPMethod": (405, "This http method is not supported."),
    "InvalidAccessKeyId.NotFound": (404, "Specified access key is not found."),
    "InvalidSecurityToken.MismatchWithAccessKey": (
        400,
        "Specified SecurityToken mismatch with the AccessKey.",
    ),
    "InvalidSecurityToken.Expired": (400, "Specified SecurityToken is expired."),
    "IncompleteSignature": (400, "The request signature does not conform to Aliyun standards."),
    "InvalidTimeStamp.Format": (400, "Specified time stamp or date value is not well formatted."),
    "InvalidTimeStamp.Expired": (400, "Specified time stamp or date value is expired."),
    "SignatureNonceUsed": (400, "Specified signature nonce was used already."),
    "EntityNotExist.Role": (404, "The specified Role not exists ."),
    "NoPermission": (
        403,
        "You are not authorized to do this action. You should be authorized by RAM.",
    ),
    "Throttling.User": (400, "Request was denied due to user flow control."),
    "InternalError": (500, "STS Server Internal Error happened, please send the RequestId to us."),
}


class StsError(Exception):
    """An error response of STS. The default of its status and message is that of the code."""

    def __init__(self, code: str, message: str = "", *, status: int | None = None) -> None:
        default_status, default_message = ERRORS.get(code, (400, ""))
        self.status = status or default_status
        self.code = code
        self.message = message or default_message
        super().__init__(f"{code}: {self.message}")


def missing(name: str) -> StsError:
    return StsError(f"Missing{name}", f"{name} is mandatory for this action.")


def not_valid(name: str) -> StsError:
    """For a common parameter; those of an action have `invalid_parameter`."""
    return StsError(f"Invalid{name}", f"Specified parameter {name} is not valid.")


def invalid_parameter(name: str, message: str = "") -> StsError:
    """For a parameter of an action; `name` may be a finer code, such as PolicySize."""
    return StsError(
        f"InvalidParameter.{name}", message or f"The parameter {name} is wrongly formed."
    )


def signature_mismatch(string_to_sign: str) -> StsError:
    # SDKs compare what follows the colon with what they signed: if it is the same, the secret is wrong.
    message = f"Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
    return StsError("SignatureDoesNotMatch", message)
