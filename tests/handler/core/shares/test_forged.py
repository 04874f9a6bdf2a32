"""A share opens only what it was made for, and only with its own secret."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.core.config import Location, Mounts
from handler.core.context import Invocation
from handler.core.errors import Problem
from handler.core.request import Request
from handler.core.shares.opening import open_share
from handler.core.shares.record import SECRET
from signer import verify
from tests.handler.client import KEYS, NOW, context
from tests.memory_oss import MemoryOss
from tests.system import MAKER, STATE, System, secret_of, share_id

ALPHABET = string.ascii_letters + string.digits + "-_"
INVALID = (404, "share_invalid")


def refusal(service: System, path: str, secret: str) -> tuple[int, str] | None:
    """The status and code with which a secret is refused at a decoded path, None for a valid one."""
    request = Request("GET", path, {"share": secret}, {}, b"", "")
    try:
        open_share(request, Invocation(service.instance, context(), NOW, {}), path)
    except Problem as problem:
        return problem.status, problem.code
    return None


def neighbours(secret: str) -> Iterator[str]:
    """Secrets that differ in one character: replaced by others, removed, doubled, swapped with the next."""
    for position, character in enumerate(secret):
        before, after = secret[:position], secret[position + 1 :]
        yield from (before + other + after for other in ALPHABET[position % 3 :: 3] if other != character)
        yield before + after
        yield before + character + character + after
        if after and after[0] != character:
            yield before + after[0] + character + after[1:]


def test_a_secret_with_one_character_changed_opens_nothing(in_memory: System, oss: MemoryOss) -> None:
    url = in_memory.create_share()
    path, secret = unquote(urlsplit(url).path), secret_of(url)
    assert refusal(in_memory, path, secret) is None
    forged = [*neighbours(secret)]
    assert len(forged) > len(secret) * len(ALPHABET) / 3
    oss.calls.clear()
    assert {refusal(in_memory, path, each) for each in forged} == {INVALID}
    assert oss.calls.total() == sum(SECRET.fullmatch(each) is not None for each in forged)


@given(secret=st.from_regex(SECRET, fullmatch=True) | st.text(ALPHABET, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_invented_secret_opens_and_breaks_nothing(in_memory: System, secret: str) -> None:
    assert refusal(in_memory, "/-/s/q3.pdf", secret) == INVALID


def test_what_the_state_shows_of_a_share_opens_nothing(in_memory: System, oss: MemoryOss) -> None:
    first, second = in_memory.create_share(), in_memory.create_share()
    names = [f"{STATE}shares/{share_id(url)}.json" for url in (first, second)]
    shown = in_memory.shown(first)
    hashed = oss.read(names[0]).decode().partition('"hash": "')[2][:43]
    for secret in (shown["id"], hashed, hashed[:22], hashed[-22:], hashed[:21] + "A"):
        assert refusal(in_memory, "/-/s/q3.pdf", secret) == INVALID
    # A record under the name of another, as if the beginnings of their hashes were the same.
    oss.fill({names[0]: oss.read(names[1])})
    assert in_memory.open(first).code == "share_invalid"
    assert in_memory.open(second).status == 302


def moved(service: System, bucket: str, key: str) -> System:
    return service.with_mount("/reports/", target=Location(bucket, key))


def covered(service: System) -> System:
    """With a longer mount at the folder of the object, which leads to another one."""
    reports = service.config.mounts.find("/reports/x").mount._replace(path="/reports/2026/")
    return service.with_config(mounts=Mounts([reports, *service.config.mounts], service.config.mounts.reserved))


CHANGES: dict[str, Callable[[System], System]] = {
    "another prefix": lambda service: moved(service, "examplebucket", "secrets/"),
    "another bucket": lambda service: moved(service, "otherbucket", "reports/"),
    "a longer mount": covered,
    "no mount": lambda service: service.with_mount("/reports/", path="/other/"),
    "a place of the service": lambda service: service.with_config(
        mounts=Mounts(service.config.mounts, (Location("examplebucket", "reports/"),))
    ),
    "no keys document": lambda service: service.with_config(keys_document=None),
    "no state": lambda service: service.with_config(state=None),
    "another state": lambda service: service.with_config(state=Location("examplebucket", ".links/other/")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_share_opens_nothing_where_its_path_leads_elsewhere_now(
    in_memory: System, change: Callable[[System], System]
) -> None:
    url = in_memory.create_share(path="/reports/2026/q3.pdf")
    response = change(in_memory).open(url)
    assert (response.status, response.code) == INVALID
    assert in_memory.open(url).status == 302


def test_a_share_of_a_download_takes_no_upload(in_memory: System) -> None:
    both = in_memory.with_mount("/reports/", methods=("GET", "POST"), max_size=1000)
    response = both.request_form(both.create_share(), nonce="nonce-EXAMPLE-000000")
    assert "fields" not in response.json
    assert verify("GET", response.json["url"], credentials=KEYS, now=NOW).ok


def test_an_uploaded_file_is_not_read_with_the_share_of_its_folder(in_memory: System, oss: MemoryOss) -> None:
    url = in_memory.create_upload_share()
    name = f"{share_id(url)}/1-a.txt"
    oss.fill({f"inbox/{name}": b"a"})
    for path in (f"/-/s/{name}", "/-/s/in/", f"/-/s/in/{name}", "/-/s/a.txt"):
        for method in ("GET", "HEAD", "POST"):
            assert in_memory.request(path, method, {"share": secret_of(url)}).status == 404
    assert in_memory.request(f"/in/{name}", query={"share": secret_of(url)}, key=MAKER).status == 405
