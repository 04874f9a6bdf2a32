"""The address of a share: its name, its secret, what of a request is read, and that it opens only what it is for."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

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
from tests.handler.keys_fixtures import READER, api
from tests.memory_oss import MemoryOss
from tests.system import HOST, JSON, MAKER, OTHER, STATE, WRITER, System, secret_of, share_id

LONG = "长" * 28  # 252 bytes in an address


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, "q3.pdf"),
        ({"path": "/reports/2026/季度 q3.pdf"}, "季度 q3.pdf"),
        ({"path": "/reports/a b+c&d=e;f?#.pdf"}, "a b+c&d=e;f?#.pdf"),
        ({"download": "q3 final.pdf"}, "q3 final.pdf"),
        ({"download": ".."}, ""),
        ({"path": f"/reports/{LONG}abc"}, f"{LONG}abc"),
        ({"path": f"/reports/{LONG}abcd"}, ""),
        ({"password": True, "download": "q3.pdf"}, ""),
        ({"path": "/in/", "method": "POST", "key": WRITER}, ""),
    ],
)
def test_it_has_the_name_of_the_download_and_a_secret(
    in_memory: System, params: dict[str, Any], name: str
) -> None:
    response = in_memory.request_share(**params)
    url = response.json["url"]
    assert url == f"{HOST}/-/s/{quote(name, safe='')}?share={secret_of(url)}"
    assert re.fullmatch("[A-Za-z0-9_-]{22}", secret_of(url))
    assert response.json["id"] == share_id(url)
    assert in_memory.open(url).status in (200, 302)
    for other in () if name else ("q3.pdf", "in/", "in", "a"):
        code = response.json.get("password")
        method = "GET" if code is None else "POST"  # before its code, no path says what there is
        answer = in_memory.request(
            f"/-/s/{other}", method, {"share": secret_of(url)}, params={"password": code}
        )
        assert answer.code == "share_invalid"
    assert secret_of(in_memory.create_share(**params)) != secret_of(url)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(
            (path, 302)
            for path in (
                "/-/s",
                "/-/s/",
                "/-/s/q%C3%A9.pdf",
                "/-/s/%71%C3%A9%2Epdf",
                "/-/s%2Fq%c3%a9.pdf",
            )
        ),
        *(
            (f"/-/s/{name}", 404)
            for name in ("q3.pdf", "Q%C3%A9.pdf", "qe%CC%81.pdf", "q%C3%A9.pdf/", "q%C3%A9", "q3")
        ),
        *((f"/-/s/{name}", 404) for name in ("reports/q%C3%A9.pdf", "q%25C3%25A9.pdf")),
        *(
            (f"/-/s/{name}", 400)
            for name in ("//q%C3%A9.pdf", "../s/q%C3%A9.pdf", "q%C3", "%2E", "x" * 2050)
        ),
        *(
            (path, 404)
            for path in ("/-/sq", "/-/S/q%C3%A9.pdf", "/s/q%C3%A9.pdf", "/-/share/q%C3%A9.pdf")
        ),
    ],
)
def test_it_opens_by_its_name_in_every_encoding_and_without_one_and_by_no_other(
    in_memory: System, path: str, status: int
) -> None:
    secret = secret_of(in_memory.create_share(path="/reports/qé.pdf"))
    response = in_memory.request(path, query={"share": secret})
    assert response.status == status
    if status == 302:
        assert response.key == "reports/qé.pdf"
    else:
        code = "share_invalid" if path.startswith("/-/s/") else "not_found"
        assert response.code == (code if status == 404 else "bad_path")


def test_the_longest_path_can_be_shared(in_memory: System) -> None:
    path = f"/reports/{'a' * 99}/{'长' * 298}"
    path += "b" * (1024 - len(path.encode()))
    url = in_memory.create_share(path=path, download="长" * 85)
    assert in_memory.open(url).key == path[1:]
    assert in_memory.request_share(path=f"{path}b").code == "bad_path"


@pytest.mark.parametrize(
    "secret", ["", "A" * 21, "A" * 23, "A" * 21 + "B", "A" * 21 + "=", "é" * 22, "A" * 5000]
)
def test_a_malformed_secret_costs_no_request(
    in_memory: System, oss: MemoryOss, secret: str
) -> None:
    responses = [
        in_memory.request("/-/s/q3.pdf", method, {"share": value})
        for method in ("GET", "POST")
        for value in (secret, f"{'A' * 22},{'A' * 22}", f"{'A' * 22}\n")
    ]
    assert {(response.status, response.json["code"]) for response in responses} == {
        (404, "share_invalid")
    }
    assert in_memory.request("/-/s/q3.pdf").json == responses[0].json
    assert oss.calls == {}
    assert in_memory.request("/-/s/q3.pdf", query={"share": "A" * 22}).json == responses[0].json
    assert oss.calls == {"GetObject": 1}


def test_on_the_path_of_an_object_a_share_is_an_unknown_parameter(in_memory: System) -> None:
    share = {"share": secret_of(in_memory.create_share(path="/open/q3.pdf"))}
    for path, key in (("/open/q3.pdf", None), ("/open/q3.pdf", MAKER), ("/reports/q3.pdf", READER)):
        response = in_memory.request(path, query=share, key=key)
        assert (response.status, response.code) == (400, "not_signable")
        assert share["share"] not in response.body + response.printed
    assert in_memory.request("/reports/q3.pdf", query=share).code == "unauthorized"


def test_of_the_query_only_share_and_format_are_read(in_memory: System) -> None:
    others = (
        "expires=1&download=evil.html&versionId=CAEQ&response-content-type=text/html&response-content-disposition=inline&"
        "x-oss-process=style/x&x-oss-traffic-limit=nonsense&utm_source=chat&null=&limit=x&after=x&begins=/"
    )
    decorated: Any = dict(parse_qsl(others, keep_blank_values=True))
    url = in_memory.create_share(path="/open/a.txt")
    response = in_memory.open(url, **decorated)
    assert (response.query, response.expires_in) == ({}, 900)
    assert in_memory.open(url, "POST", **decorated).headers["Location"] == response.url
    chosen = in_memory.open(in_memory.create_share(download="季度.pdf"), **decorated)
    named = "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E5%AD%A3%E5%BA%A6.pdf"
    assert chosen.query == {"response-content-disposition": named}
    assert in_memory.open(url, format="xml").code == "bad_format"
    assert in_memory.open(f"{url}x", format="xml").code == "share_invalid"


def test_a_share_is_no_credential_for_the_routes_of_the_service(in_memory: System) -> None:
    url = in_memory.create_share(max_uses=1)
    share, bearer = {"share": secret_of(url)}, {"Authorization": f"Bearer {secret_of(url)}"}
    for headers in ({}, bearer):
        for path in ("/-/shares", f"/-/shares/{share_id(url)}", "/reports/q3.pdf"):
            assert in_memory.request(path, "GET", share, headers).status == 401
        assert (
            in_memory.request(f"/-/shares/{share_id(url)}", "DELETE", share, headers).status == 401
        )
        assert (
            in_memory.request(
                "/-/shares", "POST", share, headers, body='{"path": "/reports/q3.pdf"}'
            ).status
            == 401
        )
    assert in_memory.uses_left(url) == 1


def test_no_secret_is_in_the_state_a_list_or_a_log(in_memory: System, oss: MemoryOss) -> None:
    created = in_memory.request_share(password=True, max_uses=2, title="For you")
    url, code = created.json["url"], created.json["password"]
    answers = [
        *(in_memory.open(url, method, JSON) for method in ("GET", "POST")),
        *(
            in_memory.use(url, password=typed, accept="application/json")
            for typed in (code, "wrong")
        ),
        in_memory.request("/-/shares", key=MAKER),
        in_memory.request(f"/-/shares/{share_id(url)}", key=MAKER),
        in_memory.extend(url, "60d"),
        in_memory.revoke(url),
        in_memory.open(url),
    ]
    stored = "".join(f"{place} {each.body.decode()}" for place, each in oss.objects.items())
    assert f"{STATE}shares/{share_id(url)}.json" in stored
    hidden = (secret_of(url), code, code.replace("-", ""))
    for text in (stored, created.printed, *(answer.body + answer.printed for answer in answers)):
        assert not any(each in text for each in hidden)
    assert "For you" not in created.printed + "".join(answer.printed for answer in answers)


def test_the_log_has_the_id_of_a_share_that_was_found_whatever_is_then_refused(
    in_memory: System,
) -> None:
    created = in_memory.request_share(password=True).json
    url = created["url"]
    sent = {"password": created["password"]}
    elsewhere = in_memory.request("/-/s/x", "POST", {"share": secret_of(url)}, params=sent)
    found = [in_memory.open(url), in_memory.use(url, password="wrong"), elsewhere]
    managed = [in_memory.extend(url, "1"), in_memory.revoke(url), in_memory.open(url)]
    assert [answer.line["code"] for answer in found] == [None, "wrong_password", "share_invalid"]
    assert [answer.line["code"] for answer in managed] == ["bad_expires", None, "share_revoked"]
    assert {answer.line["share"] for answer in (*found, *managed)} == {share_id(url)}
    others = in_memory.with_keys(api=[api("other", OTHER, methods=["GET"])])
    for refused in (in_memory.open(f"{url}x"), others.revoke(url, OTHER)):
        assert "share" not in refused.line
    assert unquote(urlsplit(url).path) == in_memory.open(url).line["path"]


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
        yield from (
            before + other + after for other in ALPHABET[position % 3 :: 3] if other != character
        )
        yield before + after
        yield before + character + character + after
        if after and after[0] != character:
            yield before + after[0] + character + after[1:]


def test_a_secret_with_one_character_changed_opens_nothing(
    in_memory: System, oss: MemoryOss
) -> None:
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
    return service.with_config(
        mounts=Mounts([reports, *service.config.mounts], service.config.mounts.reserved)
    )


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
    "another state": lambda service: service.with_config(
        state=Location("examplebucket", ".links/other/")
    ),
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


def test_an_uploaded_file_is_not_read_with_the_share_of_its_folder(
    in_memory: System, oss: MemoryOss
) -> None:
    url = in_memory.create_upload_share()
    name = f"{share_id(url)}/1-a.txt"
    oss.fill({f"inbox/{name}": b"a"})
    for path in (f"/-/s/{name}", "/-/s/in/", f"/-/s/in/{name}", "/-/s/a.txt"):
        for method in ("GET", "HEAD", "POST"):
            assert in_memory.request(path, method, {"share": secret_of(url)}).status == 404
    assert (
        in_memory.request(f"/in/{name}", query={"share": secret_of(url)}, key=MAKER).status == 405
    )
