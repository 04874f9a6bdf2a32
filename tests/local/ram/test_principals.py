"""Access keys and who they belong to."""

from __future__ import annotations

import pytest

from local.ram import PolicyError, Principal
from signer import Credentials

KEY = Credentials("STS.EXAMPLE", "secret-EXAMPLE", "CAIS+token/EXAMPLE==")
READ = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}
SESSION = "acs:ram::1000000000000001:assumed-role/links-signer/fc-presign-files-0a1b2c"


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        (SESSION, "AssumedRoleUser", "links-signer:fc-presign-files-0a1b2c"),
        ("acs:ram::1000000000000001:user/operator", "SubUser", "operator"),
        ("acs:ram::1000000000000001:root", "Account", "1000000000000001"),
    ],
)
def test_an_arn_says_who_someone_is(arn: str, kind: str, name: str) -> None:
    principal = Principal.of(KEY, arn)
    assert (principal.type, principal.display_name) == (kind, name)


def test_an_invalid_policy_is_an_error_when_the_principal_is_made() -> None:
    with pytest.raises(PolicyError, match='role links-signer: Version must be "1"'):
        Principal.of(KEY, SESSION, None, [[{"Statement": []}]])


def test_no_secret_is_shown() -> None:
    shown = repr(Principal.of(KEY, SESSION, None, [[READ]]))
    assert not any(secret in shown for secret in ("secret-EXAMPLE", "CAIS"))
