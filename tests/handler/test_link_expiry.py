"""How long a link lives, and who made it shorter than was asked."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handler.config import Config
from handler.context import ExpiryLimit
from handler.credentials import _STARTED, ENVIRONMENT_LIFETIME, RoleCredentials
from handler.errors import Problem
from handler.links import IssuedLink, create_link
from signer.times import parse_duration
from tests.handler.client import KEYS, NOW, Answered, ask, context, mount

WEEK = 604_800
LONG = mount(expires="15m", max_expires="7d")._replace(credential_life=WEEK)

FROM_ENVIRONMENT = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": KEYS.access_key_id,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEYS.access_key_secret,
    "ALIBABA_CLOUD_SECURITY_TOKEN": str(KEYS.security_token),
}


def asking(expires: str | None, under: Config = LONG) -> Answered:
    query = {"format": "json"} if expires is None else {"format": "json", "expires": expires}
    return ask(query=query, under=under)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1", 1),
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1d", 86_400),
        ("7d", WEEK),
        ("0090", 90),
        ("604800", WEEK),
    ],
)
def test_an_expiry_is_what_was_asked_to_the_second(written: str, seconds: int) -> None:
    answered = asking(written)
    assert answered.json["expires_in"] == answered.expires_in == seconds
    assert answered.json["clamped_by"] is None


@pytest.mark.parametrize(
    "written",
    [
        "",
        "0",
        "0s",
        "0d",
        "000",
        "-1",
        "-90s",
        "+90",
        " 90",
        "90 ",
        "9 0",
        "90\n",
        "1.5h",
        "1,5h",
        "1e3",
        "0x10",
        "1_000",
        "90S",
        "15M",
        "1w",
        "1y",
        "15min",
        "1h30m",
        "PT15M",
        "m",
        "d1",
        "soon",
        "null",
        "None",
        "inf",
        "nan",
        "\uff19\uff10",
        "\u0669\u0660",
        "²",
        "90,90",
        "1772347271895",
        "9" * 400,
        "2026-03-01T06:41:11Z",
        "\ud800",
    ],
)
def test_nonsense_is_refused_by_name(written: str) -> None:
    answered = asking(written)
    assert (answered.status, answered.code) == (400, "bad_expires")
    assert "expires" in answered.json["detail"]


@given(st.text(max_size=8) | st.from_regex(r"[-+ ]?[0-9]{0,4}[smhdw]?", fullmatch=True))
def test_a_duration_is_a_positive_number_or_nothing(text: str) -> None:
    found = parse_duration(text)
    unit = text[-1:] if text[-1:] in ("s", "m", "h", "d") else ""
    number = text.removesuffix(unit)
    plain = number.isascii() and number.isdigit() and len(number) <= 9
    expected = int(number) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit] if plain else 0
    assert (found or 0) == expected


@pytest.mark.parametrize(
    ("expires", "most", "life", "asked", "seconds", "clamped_by"),
    [
        # the caller names none
        ("15m", "1h", 3600, None, 900, None),
        ("1h", "1h", 3600, None, 3600, None),
        ("1h", "1h", 3599, None, 3599, "credentials"),
        ("7d", "7d", 3600, None, 3600, "credentials"),
        # the mount's bound
        ("15m", "1h", 7200, "3599", 3599, None),
        ("15m", "1h", 7200, "3600", 3600, None),
        ("15m", "1h", 7200, "3601", 3600, "mount"),
        ("15m", "1h", 7200, "999999999d", 3600, "mount"),
        ("15m", "15m", 3600, "16m", 900, "mount"),
        # the credentials' bound
        ("15m", "7d", 3600, "3600", 3600, None),
        ("15m", "7d", 3600, "3601", 3600, "credentials"),
        ("15m", "7d", 60, "61", 60, "credentials"),
        ("15m", "7d", 43_200, "7d", 43_200, "credentials"),
        # a tie goes to the first: none, mount, credentials
        ("15m", "1h", 3600, "1h", 3600, None),
        ("15m", "1h", 3600, "2h", 3600, "mount"),
        # both cut, the tighter one tells
        ("15m", "2h", 3600, "3h", 3600, "credentials"),
        ("15m", "30m", 3600, "3h", 1800, "mount"),
    ],
)
def test_the_tightest_bound_ends_a_link_and_is_named(
    expires: str, most: str, life: int, asked: str | None, seconds: int, clamped_by: str | None
) -> None:
    under = mount(expires=expires, max_expires=most)._replace(credential_life=life)
    answered = asking(asked, under)
    assert (answered.json["expires_in"], answered.json["clamped_by"]) == (seconds, clamped_by)
    assert answered.expires_in == seconds
    line = answered.line
    assert (line["expires_in"], line["clamped_by"]) == (seconds, clamped_by)
    assert answered.signs(now=NOW + seconds - 1)
    assert not answered.signs(now=NOW + seconds + 1)


def make_link(asked: int, most: int, share: int, caller: int, life: int, ends_in: float | None) -> IssuedLink:
    under = mount(expires="1", max_expires=most)._replace(credential_life=life)
    return create_link(
        under,
        under.mounts[0],
        "exampledir/a.txt",
        "GET",
        RoleCredentials(KEYS, None if ends_in is None else NOW + ends_in),
        NOW,
        expires=str(asked),
        limits=(ExpiryLimit("share", share), ExpiryLimit("caller", caller)),
    )


SPAN = st.integers(1, 6).map(lambda step: step * 60)


@given(SPAN, SPAN, SPAN, SPAN, SPAN, st.none() | st.integers(60, 400))
def test_no_link_outlives_any_bound_and_a_tie_goes_to_the_first(
    asked: int, most: int, share: int, caller: int, life: int, ends_in: int | None
) -> None:
    made = make_link(asked, most, share, caller, life, ends_in)
    credentials = min(life, life if ends_in is None else ends_in)
    order = [(None, asked), ("mount", most), ("share", share), ("caller", caller), ("credentials", credentials)]
    shortest = min(seconds for _, seconds in order)
    assert made.link.expires_in == shortest
    assert made.clamped_by == next(by for by, seconds in order if seconds == shortest)


@given(st.floats(-100, 200, allow_nan=False))
def test_credentials_that_say_when_they_end_are_never_outlived(ends_in: float) -> None:
    assume(abs(ends_in - 60) > 2)
    if ends_in < 60:
        with pytest.raises(Problem) as refused:
            make_link(600, 600, 600, 600, 600, ends_in)
        assert (refused.value.status, refused.value.code) == (503, "credentials_ending")
    else:
        made = make_link(600, 600, 600, 600, 600, ends_in)
        assert made.link.expires_at.timestamp() <= NOW + ends_in
        assert made.clamped_by == "credentials"


# --- credentials from the environment are as old as the process ---------------------------------------------------


def late(left: float, *, expires: str = "1h", accept: str = "application/json") -> Answered:
    """An answer `left` seconds before 35 hours after the start of the process."""
    return ask(
        query={"expires": expires},
        headers={"Accept": accept},
        under=LONG,
        invocation=context(None),
        now=_STARTED + ENVIRONMENT_LIFETIME - left,
        environ=FROM_ENVIRONMENT,
    )


def test_a_link_from_the_environment_ends_within_35_hours_of_the_start() -> None:
    assert ENVIRONMENT_LIFETIME == 35 * 3600
    for left in (61.5, 90, 600, 3599):
        answered = late(left)
        assert answered.status == 200
        assert answered.json["clamped_by"] == "credentials"
        assert left - 2 <= answered.json["expires_in"] < left + 1
        ends = datetime.strptime(answered.json["expires_at"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
        assert ends <= _STARTED + ENVIRONMENT_LIFETIME


def test_a_short_link_from_the_environment_is_not_touched() -> None:
    answered = late(7200, expires="10m")
    assert (answered.json["expires_in"], answered.json["clamped_by"]) == (600, None)


@pytest.mark.parametrize("left", [58, 1, 0, -1, -86_400])
def test_with_less_than_a_minute_left_the_answer_is_to_come_back(left: float) -> None:
    for expires in ("1", "1h"):
        answered = late(left, expires=expires)
        assert (answered.status, answered.code) == (503, "credentials_ending")
        assert answered.headers["Retry-After"].isdigit()


def test_the_environments_credentials_keep_to_credential_life_as_well() -> None:
    under = LONG._replace(credential_life=120)
    answered = ask(
        query={"format": "json"}, under=under, invocation=context(None), now=_STARTED + 1, environ=FROM_ENVIRONMENT
    )
    assert (answered.json["expires_in"], answered.json["clamped_by"]) == (120, "credentials")


def test_credentials_of_the_context_do_not_age_with_the_process() -> None:
    answered = ask(under=LONG, now=_STARTED + 40 * 3600)
    assert answered.status == 302
    assert answered.expires_in == 900
