"""`[assume_role]`: the role that the service assumes for each mount, and whether STS accepts each session's policy."""

from __future__ import annotations

import re
from collections.abc import Mapping

from signer.common.sts import MAX_DURATION, MIN_DURATION, ROLE_ARN, sts_host

from .mounts import AssumeRole, Config
from .on_laptop import read_local_url
from .reader import REQUIRED, InvalidConfig, Key, TableReader, duration
from .rights import session_policy

_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]+")


def _role(reader: TableReader, name: str) -> str:
    role = reader.required_string(name)
    if not ROLE_ARN.fullmatch(role):
        reader.refuse_value(
            name, "must be an ARN such as acs:ram::1000000000000001:role/links-signer"
        )
    return role


# Every key of the table; docs/configuration.md is written from it.
ASSUME_ROLE_KEYS: Mapping[str, Key] = {
    "role": Key(
        read=_role,
        default=REQUIRED,
        says="The ARN of the role, such as acs:ram::1000000000000001:role/links-signer.",
    ),
    "duration": Key(
        read=duration(MIN_DURATION, MAX_DURATION),
        default=3600,
        says="The lifetime of a session: 15m to 12h, at most the role's MaxSessionDuration.",
    ),
    "endpoint": Key(
        read=TableReader.string,
        says="The host of STS. Default: that of the region. Inside a VPC: sts-vpc.REGION.aliyuncs.com.",
    ),
}


def read_assume_role(table: object, region: str, environ: Mapping[str, str]) -> AssumeRole:
    """Raises `InvalidConfig`."""
    reader = TableReader("assume_role", table, ASSUME_ROLE_KEYS)
    values = reader.values(ASSUME_ROLE_KEYS)
    host = values["endpoint"] or sts_host(region)
    if not _HOST.fullmatch(host):
        reader.refuse_value("endpoint", "must be a host such as sts.cn-hangzhou.aliyuncs.com")
    url = read_local_url(environ, "LINK_STS_ENDPOINT", "STS", 9002) or f"https://{host}"
    return AssumeRole(values["role"], values["duration"], url)


def check_sessions(config: Config) -> None:
    """Raises `InvalidConfig`, also if the policy of a mount's session would be too long for STS."""
    for mount in config.mounts:
        if config.assume_role is None:
            if mount.role_arn:
                raise InvalidConfig(f"mount {mount.path}: role requires the table [assume_role].")
            continue
        if mount.role_arn and not ROLE_ARN.fullmatch(mount.role_arn):
            raise InvalidConfig(
                f"mount {mount.path}: role must be the ARN of a role (got {mount.role_arn!r})."
            )
        if mount.cache and mount.cache > config.assume_role.duration // 2:
            maximum = f"half of duration of [assume_role] ({config.assume_role.duration} s)"
            raise InvalidConfig(
                f"mount {mount.path}: cache ({mount.cache} s) must be at most {maximum}."
            )
        session_policy(config, mount)
