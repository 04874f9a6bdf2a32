"""STS's errors: status, code and message.

Sources: the error codes of the RAM page "AssumeRole", and the public error codes of Alibaba Cloud's API gateway.
"""

from __future__ import annotations


class StsError(Exception):
    """An error response of STS."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def missing(name: str) -> StsError:
    return StsError(400, f"Missing{name}", f"{name} is mandatory for this action.")


def not_valid(name: str) -> StsError:
    """For a common parameter; those of an action have `invalid_parameter`."""
    return StsError(400, f"Invalid{name}", f"Specified parameter {name} is not valid.")


def invalid_parameter(name: str, message: str = "") -> StsError:
    """For a parameter of an action; `name` may be a finer code, such as PolicySize."""
    return StsError(400, f"InvalidParameter.{name}", message or f"The parameter {name} is wrongly formed.")


def action_not_found() -> StsError:
    return StsError(404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.")


def method_not_allowed() -> StsError:
    return StsError(405, "UnsupportedHTTPMethod", "This http method is not supported.")


def access_key_not_found() -> StsError:
    return StsError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")


def token_mismatch() -> StsError:
    message = "Specified SecurityToken mismatch with the AccessKey."
    return StsError(400, "InvalidSecurityToken.MismatchWithAccessKey", message)


def token_expired() -> StsError:
    return StsError(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")


def incomplete_signature() -> StsError:
    message = "The request signature does not conform to Aliyun standards."
    return StsError(400, "IncompleteSignature", message)


def signature_mismatch(string_to_sign: str) -> StsError:
    # SDKs compare what follows the colon with what they signed: if it is the same, the secret is wrong.
    message = f"Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
    return StsError(400, "SignatureDoesNotMatch", message)


def timestamp_malformed() -> StsError:
    return StsError(400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.")


def timestamp_expired() -> StsError:
    return StsError(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")


def nonce_used() -> StsError:
    return StsError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")


def role_not_found() -> StsError:
    return StsError(404, "EntityNotExist.Role", "The specified Role not exists .")


def no_permission() -> StsError:
    message = "You are not authorized to do this action. You should be authorized by RAM."
    return StsError(403, "NoPermission", message)


def root_account() -> StsError:
    return StsError(403, "NoPermission", "Roles may not be assumed by root accounts.")


def throttled() -> StsError:
    return StsError(400, "Throttling.User", "Request was denied due to user flow control.")


def internal_error() -> StsError:
    message = "STS Server Internal Error happened, please send the RequestId to us."
    return StsError(500, "InternalError", message)
