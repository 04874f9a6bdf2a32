"""The lifetime of a link, and the limit that made it shorter than requested."""

from __future__ import annotations

from datetime import datetime

from hypothesis import example, given
from hypothesis import strategies as st

from handler.core.config import Config
from handler.core.context import (
    ENVIRONMENT_LIFETIME,
    Access,
    ExpiryLimit,
    Invocation,
    RoleCredentials,
)
from handler.core.links import IssuedLink, create_link
from signer import Credentials
from signer.times import parse_duration
from tests.handler.client import KEYS, NOW, Answered, ask, context, mount, new_instance, variables

WEEK = 604_800
PERMANENT = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
LONG = mount(expires="15m", max_expires="7d")._replace(credential_life=WEEK)


def ask_json(expires: str | None, config: Config = LONG, keys: Credentials = KEYS) -> Answered:
    query = {"format": "json"} if expires is None else {"format": "json", "expires": expires}
    return ask(query=query, config=config, invocation=context(keys))


def test_a_link_is_valid_for_the_requested_seconds() -> None:
    for written, seconds in (
        ("1", 1),
        ("90", 90),
        ("90s", 90),
        ("0090", 90),
        ("15m", 900),
        ("7d", WEEK),
    ):
        response = ask_json(written, keys=PERMANENT)
        assert response.json["expires_in"] == response.expires_in == seconds
        assert response.json["clamped_by"] is None


def test_an_invalid_expiry_is_a_problem_that_names_the_parameter() -> None:
    for written in (
        "",
        "0",
        "-90s",
        " 90",
        "90\n",
        "1.5h",
        "15M",
        "1h30m",
        "soon",
        "²",
        "9" * 400,
        "\ud800",
    ):
        response = ask_json(written)
        assert (response.status, response.code) == (400, "bad_expires"), ascii(written)
        assert "expires" in response.json["detail"]


@given(st.text(max_size=8) | st.from_regex(r"[-+ ]?[0-9]{0,4}[smhdw]?", fullmatch=True))
def test_a_duration_is_a_positive_number_of_seconds_or_invalid(string: str) -> None:
    seconds = parse_duration(string)
    unit = string[-1:] if string[-1:] in ("s", "m", "h", "d") else ""
    number = string.removesuffix(unit)
    plain = number.isascii() and number.isdigit() and len(number) <= 9
    expected = int(number) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit] if plain else 0
    assert (seconds or 0) == expected


def create(
    requested: int,
    maximum: int,
    share: int,
    caller: int,
    credential_life: int,
    role: RoleCredentials,
) -> IssuedLink:
    config = mount(expires="1", max_expires=maximum)._replace(credential_life=credential_life)
    limits = (ExpiryLimit("share", share), ExpiryLimit("caller", caller))
    access = Access(config.mounts.find("/exampledir/a.txt"), role, limits)
    return create_link(
        Invocation(new_instance(config), None, NOW, {}), access, "GET", expires=str(requested)
    )


SECONDS = st.integers(1, 6).map(lambda step: step * 60)


@given(SECONDS, SECONDS, SECONDS, SECONDS, SECONDS, st.none() | st.integers(60, 400), st.booleans())
@example(360, 360, 360, 360, 60, 400, True)
def test_no_link_outlives_a_limit_and_of_equal_limits_the_first_is_named(
    requested: int,
    maximum: int,
    share: int,
    caller: int,
    credential_life: int,
    left: int | None,
    is_session: bool,
) -> None:
    """The end of a session is known, so that credential_life is of no account for it."""
    role = RoleCredentials(KEYS, None if left is None else NOW + left, is_session=is_session)
    issued = create(requested, maximum, share, caller, credential_life, role)
    credentials = (
        credential_life if left is None else left if is_session else min(credential_life, left)
    )
    order = [
        (None, requested),
        ("mount", maximum),
        ("share", share),
        ("caller", caller),
        ("credentials", credentials),
    ]
    shortest = min(seconds for _, seconds in order)
    assert issued.link.expires_in == shortest
    assert issued.clamped_by == next(source for source, seconds in order if seconds == shortest)


# --- credentials from the environment are as old as the process ---------------------------------------------------


def ask_late(left: float, *, expires: str = "1h") -> Answered:
    """The response `left` seconds before the process is 35 hours old."""
    return ask(
        query={"expires": expires, "format": "json"},
        config=LONG,
        invocation=context(None),
        now=NOW + ENVIRONMENT_LIFETIME - left,
        environ=variables(KEYS),
    )


def test_a_link_signed_by_the_environments_credentials_expires_within_35_hours_of_the_start() -> (
    None
):
    assert ENVIRONMENT_LIFETIME == 35 * 3600
    for left in (61.5, 90, 600, 3599):
        response = ask_late(left)
        assert response.status == 200
        assert response.json["clamped_by"] == "credentials"
        assert left - 2 <= response.json["expires_in"] < left + 1
        expires_at = datetime.strptime(
            response.json["expires_at"], "%Y-%m-%dT%H:%M:%S%z"
        ).timestamp()
        assert expires_at <= NOW + ENVIRONMENT_LIFETIME


def test_with_less_than_a_minute_left_the_response_is_to_try_again() -> None:
    for left, expires in ((58, "1"), (58, "1h"), (0, "1h"), (-86_400, "1")):
        response = ask_late(left, expires=expires)
        assert (response.status, response.code) == (503, "credentials_expiring")
        assert response.headers["Retry-After"].isdigit()


def test_credentials_of_the_context_do_not_age_with_the_process() -> None:
    response = ask(config=LONG, now=NOW + 40 * 3600)
    assert response.status == 302
    assert response.expires_in == 900
