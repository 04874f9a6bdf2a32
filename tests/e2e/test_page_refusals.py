"""What a person sees of a share that opens nothing, and of every other error; and that all pages are accessible."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from handler.keys import ShareKey
from tests.e2e.sharing import KEY, NODE, Sharing

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.page_fixtures")

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .map(({ id, nodes }) => [id, nodes.map((node) => node.html)])"""


def used_up(sharing: Sharing) -> str:
    import requests

    url = sharing.here(sharing.share(max_uses=1))
    assert requests.post(url, allow_redirects=False, timeout=30).status_code == 303
    return url


def revoked(sharing: Sharing) -> str:
    made = sharing.ask(revocable=True)
    sharing.revoke(made["id"])
    return sharing.here(made["url"])


def without_record(sharing: Sharing) -> str:
    made = sharing.ask(max_uses=1)
    sharing.system.operator().delete_object(f".links/state/shares/{made['id']}.json")
    return sharing.here(made["url"])


def with_a_broken_record(sharing: Sharing) -> str:
    made = sharing.ask(max_uses=1)
    sharing.system.put(f".links/state/shares/{made['id']}.json", b"{")
    return sharing.here(made["url"])


def archived(sharing: Sharing) -> str:
    sharing.system.put("exampledir/cold.pdf", b"cold", {"x-oss-storage-class": "Archive"})
    return sharing.here(sharing.share(path="/exampledir/cold.pdf", max_uses=1))


def of_no_object(sharing: Sharing) -> str:
    return sharing.here(sharing.share(path="/exampledir/none.pdf", max_uses=1))


def changed(sharing: Sharing) -> str:
    url = sharing.here(sharing.share(page=True))
    return url[:-1] + ("A" if url[-1] != "A" else "B")


Made = Callable[[Sharing], str]
ENDED: Made = lambda sharing: sharing.signed(ends_in=-1)  # noqa: E731
RETIRED: Made = lambda sharing: sharing.signed(keys=(ShareKey("retired", b"r" * 32),))  # noqa: E731
MAKER_GONE: Made = lambda sharing: sharing.signed(maker="api:someone")  # noqa: E731
CASES: list[tuple[Made, int, str, str, str]] = [
    (changed, 404, "share_invalid", "This link is not valid", "链接无效"),
    (ENDED, 410, "share_ended", "This link has ended", "链接已过期"),
    (RETIRED, 410, "share_retired", "This link was withdrawn", "链接已撤销"),
    (MAKER_GONE, 410, "share_maker_gone", "This link was withdrawn", "链接已撤销"),
    (revoked, 410, "share_revoked", "This link was withdrawn", "链接已撤销"),
    (without_record, 410, "share_record_missing", "This link was withdrawn", "链接已撤销"),
    (used_up, 410, "share_used_up", "This link has been used up", "下载次数已用完"),
    (with_a_broken_record, 503, "state_unavailable", "Not available just now", "服务暂不可用"),
    (archived, 409, "object_archived", "This file is in cold storage", "文件处于归档状态"),
    (of_no_object, 404, "not_found", "There is nothing here", "页面不存在"),
    (lambda sharing: f"{sharing.http}/nowhere", 404, "not_found", "There is nothing here", "页面不存在"),
    (lambda sharing: f"{sharing.http}/{KEY}", 401, "unauthorized", "A key is needed here", "需要密钥"),
    (lambda sharing: f"{sharing.http}/exampledir/%FF", 400, "bad_path", "This address cannot be followed", "地址有误"),
]
NAMES = [case[2] for case in CASES]


@pytest.fixture
def looking(visit: Any) -> Callable[..., Page]:
    """A page whose every violation of accessibility can be told."""

    def make(**settings: Any) -> Page:
        page: Page = visit(**PHONE, bypass_csp=True, **settings)
        return page

    return make


def violations(page: Page) -> list[Any]:
    """What axe-core finds wrong."""
    page.add_script_tag(path=NODE / "axe-core" / "axe.min.js")
    found: list[Any] = page.evaluate(RUN_AXE)
    return found


@pytest.mark.parametrize(("make", "status", "code", "english", "chinese"), CASES, ids=NAMES)
def test_a_refusal_is_a_page_in_words_that_its_reader_understands(
    sharing: Sharing, visit: Any, make: Made, status: int, code: str, english: str, chinese: str
) -> None:
    url = make(sharing)
    for locale, title in [("en-GB", english), ("zh-CN", chinese)]:
        page: Page = visit(**PHONE, locale=locale)
        answer = page.goto(url)
        assert answer is not None
        assert answer.status == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].endswith("form-action 'none'")
        expect(page).to_have_title(title)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        footer = page.locator("footer").inner_text()
        assert footer.startswith(f"{status} {code} · ")
        assert answer.headers["x-fc-request-id"] in footer
        sentence = page.locator("p").inner_text()
        assert len(sentence) > 5
        assert (locale == "zh-CN") == any(character >= "\u4e00" for character in sentence)
        assert page.locator("script, form, a, img, link").count() == 0


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
def test_the_page_of_a_share_is_accessible(
    sharing: Sharing, looking: Callable[..., Page], scheme: str, locale: str
) -> None:
    page = looking(color_scheme=scheme, locale=locale)
    for wish in ({"max_uses": 3}, {"page": True}):
        page.goto(sharing.here(sharing.share(**wish)))
        assert violations(page) == []
        page.locator("summary").click()
        assert violations(page) == []


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
def test_the_page_of_a_refusal_is_accessible(
    sharing: Sharing, looking: Callable[..., Page], scheme: str, locale: str
) -> None:
    page = looking(color_scheme=scheme, locale=locale)
    page.goto(changed(sharing))
    assert violations(page) == []


def test_what_looks_for_violations_finds_them(sharing: Sharing, looking: Callable[..., Page]) -> None:
    page = looking()
    page.goto(sharing.here(sharing.share(page=True)))
    page.locator("button").evaluate("button => { button.textContent = ''; }")
    assert [name for name, _ in violations(page)] == ["button-name"]


def test_a_button_that_is_pressed_too_late_says_so(sharing: Sharing, visit: Any) -> None:
    made = sharing.ask(max_uses=1)
    page: Page = visit()
    page.goto(sharing.here(made["url"]))
    sharing.revoke(made["id"])
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This link was withdrawn")


def test_a_program_is_told_the_same_as_json(sharing: Sharing, visit: Any) -> None:
    page: Page = visit()
    for make, status, code, *_ in CASES:
        answer = page.request.get(make(sharing), headers={"Accept": "application/problem+json"}, max_redirects=0)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = json.loads(answer.body())
        assert (problem["status"], problem["code"]) == (status, code)
