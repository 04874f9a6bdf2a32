"""A share with a code: the service makes it, and before it is known nothing of the object is shown."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any

import pytest

from handler.core.shares.code import ALPHABET, new_code
from handler.web.pages.words import SHARE
from signer.times import rfc3339
from tests.handler.client import NOW, Answered
from tests.handler.keys_fixtures import base64url
from tests.memory_oss import MemoryOss
from tests.system import (
    DAY,
    HTML,
    JSON,
    MAKER,
    STATE,
    WRITER,
    System,
    nonce_of,
    secret_of,
    share_id,
)

PROGRAM = {"password": True, "expires_at": rfc3339(NOW + 7 * DAY), "use": "POST"}
SHARES: list[dict[str, Any]] = [
    {"max_uses": 2, "download": "q3 final.pdf"},
    {"path": "/checked/none.pdf"},
]


def locked(service: System, **params: Any) -> tuple[str, str]:
    """The address of a new share, and its code."""
    created = service.request_share(password=True, **params).json
    return created["url"], created["password"]


def send(service: System, url: str, password: object) -> Answered:
    """The response to a program that sends a code."""
    headers = {"Content-Type": "application/json", **JSON}
    return service.open(url, "POST", headers, body=json.dumps({"password": password}))


def claims(oss: MemoryOss, url: str) -> int:
    return len(oss.keys(f"{STATE}uses/{share_id(url)}/"))


def test_the_service_makes_it_of_31_signs_and_keeps_a_hash(
    in_memory: System, oss: MemoryOss
) -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert set("".join(codes)) == {*ALPHABET, "-"}
    assert len(ALPHABET) == 31
    assert not {*"01ILO"} & {*ALPHABET}
    created = in_memory.request_share(password=True).json
    assert re.fullmatch(f"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}", created["password"])
    assert list(created) == ["url", "id", "expires_at", "clamped_by", "password"]
    salted = f"{secret_of(created['url'])}\n{created['password'].replace('-', '')}"
    record = json.loads(oss.read(f"{STATE}shares/{created['id']}.json"))
    assert record["password"] == base64url(sha256(salted.encode()).digest())
    assert in_memory.shown(created["url"])["password"] is True
    assert "password" not in in_memory.shown(in_memory.create_share())


def test_only_its_letters_and_digits_count(in_memory: System) -> None:
    url, code = locked(in_memory)
    letters = code.replace("-", "")
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in code.lower())  # of a Chinese keyboard
    for password in (
        code,
        letters,
        f"  {code.lower()} ",
        wide,
        " ".join(letters),
        f"„{code}“",
        f"{code}\n",
    ):
        assert in_memory.use(url, password=password).status == 303
        assert send(in_memory, url, password).signs()


@pytest.mark.parametrize(
    "typed", ["", "{0}A", "A{0}", "{1}", "{2}", "é{1}", "A" * 3000, None, 7, ["{0}"]]
)
def test_another_one_is_a_403_that_costs_no_use(
    in_memory: System, oss: MemoryOss, typed: object
) -> None:
    url, code = locked(in_memory, max_uses=2)
    other = "A" if code[-1] != "A" else "B"
    password = typed.format(code, code[:-1], code[:-1] + other) if isinstance(typed, str) else typed
    # The hash of this share's code is not that of another's.
    for each in (password, locked(in_memory)[1]):
        answer = send(in_memory, url, each)
        assert (answer.status, answer.code, answer.line["code"]) == (
            403,
            "wrong_password",
            "wrong_password",
        )
        assert claims(oss, url) == 0
    assert in_memory.open(url, "POST", JSON).code == in_memory.use(url).code == "wrong_password"
    assert send(in_memory, url, code).status == 200
    assert claims(oss, url) == 1


@pytest.mark.parametrize("params", SHARES, ids=str)
def test_a_program_learns_only_that_there_is_one(
    in_memory: System, oss: MemoryOss, params: dict[str, Any]
) -> None:
    url, _ = locked(in_memory, title="Figures", **params)
    oss.calls.clear()
    straight = {"format": "redirect"}
    requests: list[tuple[Any, Any]] = [
        ({}, {}),
        (JSON, {}),
        ({}, {"format": "json"}),
        ({}, straight),
        (HTML, straight),
    ]
    for headers, query in requests:
        assert in_memory.open(url, headers=headers, **query).json == PROGRAM
        assert in_memory.open(url, "HEAD", headers, **query).status == 200
    assert in_memory.open(url, key=MAKER).json == PROGRAM
    assert in_memory.open(url, format="qr").code == "bad_format"
    assert oss.calls.keys() == {"GetObject"}  # of the record and its second end alone


@pytest.mark.parametrize("params", SHARES, ids=str)
def test_a_page_asks_a_person_for_it_and_shows_nothing_else(
    in_memory: System, oss: MemoryOss, params: dict[str, Any]
) -> None:
    url, code = locked(in_memory, title="Figures", message="For <you>\nalone", **params)
    used_up, _ = locked(
        in_memory, title="Figures", message="For <you>\nalone", **{**params, "max_uses": 1}
    )
    oss.fill({"reports/q3.pdf": b"x" * 4321, f"{STATE}uses/{share_id(used_up)}/1": b""})
    oss.calls.clear()
    pages = [in_memory.open(each, headers=HTML) for each in (url, used_up)]
    pages += [
        in_memory.use(each, accept=HTML["Accept"], password="wrong") for each in (url, used_up)
    ]
    nothing: list[dict[str, Any]] = [{}, {"password": ""}]
    pages += [in_memory.use(url, accept=HTML["Accept"], **typed) for typed in nothing]
    assert oss.calls.keys() == {"GetObject"}
    for number, page in enumerate(pages):
        is_wrong = number > 1
        assert (page.status, page.line["code"]) == (
            (403, "wrong_password") if is_wrong else (200, None)
        )
        fault = "wrong_code" if number < 4 else "no_code"
        assert (f'role="alert">{SHARE["en"][fault]}<' in page.body) is is_wrong
        assert "form-action 'self';" in page.headers["Content-Security-Policy"]
        for word in (
            "<h1>Figures</h1>",
            "For &lt;you&gt;<br>alone",
            'name="password"',
            'method="post"',
            "2026-03-08",
        ):
            assert word in page.body
        for hidden in (
            "q3.pdf",
            "q3 final",
            "none.pdf",
            "4.2 KB",
            "PDF document",
            "Downloads left",
            "format=qr",
            code,
        ):
            assert hidden not in page.body
    assert in_memory.open(url, "HEAD", HTML).headers["Content-Type"].startswith("text/html")


def test_after_it_a_page_has_the_file_and_its_button_sends_the_code_again(
    in_memory: System, oss: MemoryOss
) -> None:
    url, code = locked(in_memory, max_uses=1)
    oss.fill({"reports/q3.pdf": b"content"})
    page = in_memory.use(url, password=code.lower(), accept=HTML["Accept"])
    assert page.status == 200
    assert f'<input type="hidden" name="password" value="{code.lower()}"' in page.body
    assert "<h1>q3.pdf</h1>" in page.body
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' https://examplebucket." in policy
    assert claims(oss, url) == 0
    nonce = nonce_of(page)
    for _ in range(2):
        answer = in_memory.use(url, nonce, password=code.lower(), accept=HTML["Accept"])
        assert answer.status == 303
        assert "response-content-disposition=attachment" in answer.headers["Location"]
    assert in_memory.use(url, password=code).code == "share_used_up"
    assert claims(oss, url) == 1
    for language, title in (("en", "Enter the code"), ("zh-CN", "请输入提取码")):
        assert (
            f"<h1>{title}</h1>"
            in in_memory.open(url, headers={**HTML, "Accept-Language": language}).body
        )


def test_a_mount_can_require_it(in_memory: System) -> None:
    before = in_memory.create_share()
    strict = in_memory.with_mount("/reports/", require_password=True, lists=True)
    for params in ({}, {"password": True}, {"password": None}):
        assert strict.open(strict.create_share(**params)).json == PROGRAM
    assert strict.request_share(password=False).code == "bad_body"
    assert (strict.open(before).status, strict.open(before).code) == (410, "share_not_enabled")
    assert strict.shown(before)["state"] == "not_enabled"
    assert in_memory.open(before).status == 302
    assert strict.with_config(public_url=None).request_share().code == "public_url_required"


def test_uploads_wait_for_it_file_by_file(in_memory: System, oss: MemoryOss) -> None:
    inbox = {"key": WRITER, "path": "/in/", "method": "POST", "upload": {"content_type": "image/"}}
    url, code = locked(in_memory, title="Photos", **inbox)
    for headers in ({}, JSON):
        assert in_memory.open(url, headers=headers).json == PROGRAM
    page = in_memory.open(url, headers=HTML)
    assert "<h1>Photos</h1>" in page.body
    assert 'id="code"' in page.body
    for hidden in ("<dt>Files left", "Image", "image/", "1 MB", "inbox", code):
        assert hidden not in page.body
    file: dict[str, object] = {"name": "a.png", "size": 5, "type": "image/png"}
    for refused in (
        {},
        {"password": None},
        {"password": "wrong"},
        {"password": "", "size": 10**9},
        {"name": None},
        {"upload_id": "wrong", "complete": True},
    ):
        answer = in_memory.request_form(url, **{**file, **refused})
        assert (answer.status, answer.code) == (403, "wrong_password")
    assert claims(oss, url) == 0
    form = in_memory.request_form(url, **file, password=code.replace("-", " "))
    assert form.json["fields"]["key"] == f"inbox/{share_id(url)}/1-a.png"
    assert in_memory.request_form(url, **file, password=7).code == "bad_body"
