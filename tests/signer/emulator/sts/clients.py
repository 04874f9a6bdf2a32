"""The official clients of STS, pointed at the local one."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from alibabacloud_sts20150401.client import Client
from alibabacloud_sts20150401.models import AssumeRoleRequest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest

from signer import Credentials

Json = dict[str, Any]


class Failure(Exception):
    """An error response of STS."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Call(NamedTuple):
    """One call of an action with a client: `url` is the local STS's."""

    url: str
    credentials: Credentials
    action: str
    params: dict[str, str]


def with_sts_client(call: Call) -> Json:
    """`alibabacloud-sts20150401`, signature version 3."""
    keys = call.credentials
    config = Config(
        access_key_id=keys.access_key_id,
        access_key_secret=keys.access_key_secret,
        security_token=keys.security_token,
        endpoint=urlsplit(call.url).netloc,
        protocol="http",
    )
    client = Client(config)
    try:
        if call.action == "AssumeRole":
            body = client.assume_role(AssumeRoleRequest().from_map(call.params)).body
        else:
            body = client.get_caller_identity().body
    except AlibabaCloudException as error:
        raise Failure(error.status_code, error.code, error.message) from None
    result: Json = body.to_map()
    return result


def with_core_sdk(call: Call) -> Json:
    """`aliyun-python-sdk-core`, signature version 1."""
    keys = call.credentials
    token = keys.security_token
    credential = (
        StsTokenCredential(keys.access_key_id, keys.access_key_secret, token) if token else None
    )
    client = AcsClient(
        None if token else keys.access_key_id,
        None if token else keys.access_key_secret,
        "cn-hangzhou",
        credential=credential,
        auto_retry=False,
    )
    request = CommonRequest(urlsplit(call.url).netloc, "2015-04-01", call.action)
    request.set_protocol_type("http")
    request.set_accept_format("json")
    for name, value in call.params.items():
        request.add_query_param(name, value)
    try:
        return dict(json.loads(client.do_action_with_exception(request)))
    except ServerException as error:
        raise Failure(error.http_status, error.error_code, error.message) from None


CLIENTS = {
    "alibabacloud-sts20150401": with_sts_client,
    "aliyun-python-sdk-core": with_core_sdk,
}
