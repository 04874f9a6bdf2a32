"""Credentials from the environment: the names of the official SDK, and those of Function Compute."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from signer import Credentials, MissingCredentials
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK

SDK = {"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE", "OSS_ACCESS_KEY_SECRET": "secretEXAMPLE"}
SDK_TOKEN = {"OSS_SESSION_TOKEN": "CAISEXAMPLE"}
FC = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.EXAMPLE",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "fcsecretEXAMPLE",
}
SDK_KEYS = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
FC_KEYS = Credentials("STS.EXAMPLE", "fcsecretEXAMPLE")
FC_TOKEN = {"ALIBABA_CLOUD_SECURITY_TOKEN": "CAISFCEXAMPLE"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (SDK, ("LTAI5tEXAMPLE", "secretEXAMPLE", None)),
        ({**SDK, **SDK_TOKEN}, ("LTAI5tEXAMPLE", "secretEXAMPLE", "CAISEXAMPLE")),
        (FC, ("STS.EXAMPLE", "fcsecretEXAMPLE", None)),
        ({**FC, **FC_TOKEN}, ("STS.EXAMPLE", "fcsecretEXAMPLE", "CAISFCEXAMPLE")),
        ({**FC, **FC_TOKEN, **SDK}, ("LTAI5tEXAMPLE", "secretEXAMPLE", None)),
        ({**FC, **FC_TOKEN, **SDK_TOKEN}, ("STS.EXAMPLE", "fcsecretEXAMPLE", "CAISFCEXAMPLE")),
        ({**SDK, "OSS_SESSION_TOKEN": ""}, ("LTAI5tEXAMPLE", "secretEXAMPLE", None)),
        (
            {**FC, "OSS_ACCESS_KEY_ID": "", "OSS_ACCESS_KEY_SECRET": ""},
            ("STS.EXAMPLE", "fcsecretEXAMPLE", None),
        ),
    ],
)
def test_the_first_complete_family_is_used_without_the_others(
    environ: dict[str, str], expected: tuple[str, str, str | None]
) -> None:
    assert Credentials.from_environment(environ) == Credentials(*expected)


@pytest.mark.parametrize(
    ("environ", "absent", "variables"),
    [
        ({"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE"}, "OSS_ACCESS_KEY_SECRET", OFFICIAL_SDK),
        ({"OSS_ACCESS_KEY_SECRET": "secretEXAMPLE", **FC}, "OSS_ACCESS_KEY_ID", OFFICIAL_SDK),
        (
            {"ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.EXAMPLE"},
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            FUNCTION_COMPUTE,
        ),
        (
            {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secretEXAMPLE"},
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            FUNCTION_COMPUTE,
        ),
    ],
)
def test_half_a_family_is_refused_with_the_name_of_the_missing_variable(
    environ: dict[str, str], absent: str, variables: tuple[str, ...]
) -> None:
    with pytest.raises(MissingCredentials, match=f"{absent} is not") as caught:
        Credentials.from_environment(environ)
    assert caught.value.variables == variables


@pytest.mark.parametrize("environ", [{}, SDK_TOKEN, FC_TOKEN, dict.fromkeys([*SDK, *FC], "")])
def test_missing_credentials_are_refused_with_every_variable_name(environ: dict[str, str]) -> None:
    with pytest.raises(MissingCredentials) as caught:
        Credentials.from_environment(environ)

    assert caught.value.variables == OFFICIAL_SDK + FUNCTION_COMPUTE
    assert all(name in str(caught.value) for name in OFFICIAL_SDK + FUNCTION_COMPUTE)


def test_the_families_can_be_read_in_another_order() -> None:
    both = {**SDK, **FC}

    assert Credentials.from_environment(both, families=(FUNCTION_COMPUTE, OFFICIAL_SDK)) == FC_KEYS
    assert Credentials.from_environment(both, families=(FUNCTION_COMPUTE,)) == FC_KEYS


def test_the_environment_of_the_process_is_the_default() -> None:
    with patch.dict("os.environ", SDK, clear=True):
        assert Credentials.from_environment() == SDK_KEYS
