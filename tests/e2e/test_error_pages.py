"""The pages of errors in Chromium, for shares and for all other addresses, and the accessibility of all pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from handler.keys import ShareKey
from tests.e2e.share_system import KEY, NODE, ShareSystem

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.browser", "tests.e2e.share_fixtures")

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .map(({ id, nodes }) => [id, nodes.map((node) => node.html)])"""


def used_up(share_system: ShareSystem) -> str:
    import requests

    url = share_system.local_url(share_system.create_share(max_uses=1))
    assert requests.post(url, allow_redirects=False, timeout=30).status_code == 303
    return url


def revoked(share_system: ShareSystem) -> str:
    share = share_system.request_share(revocable=True)
    share_system.revoke(share["id"])
    return share_system.local_url(share["url"])


def without_record(share_system: ShareSystem) -> str:
    share = share_system.request_share(max_uses=1)
    share_system.system.bucket_client().delete_object(f".links/state/shares/{share['id']}.json")
    return share_system.local_url(share["url"])


def with_a_broken_record(share_system: ShareSystem) -> str:
    share = share_system.request_share(max_uses=1)
    share_system.system.put(f".links/state/shares/{share['id']}.json", b"{")
    return share_system.local_url(share["url"])


def archived(share_system: ShareSystem) -> str:
    share_system.system.put("exampledir/cold.pdf", b"cold", {"x-oss-storage-class": "Archive"})
    return share_system.local_url(share_system.create_share(path="/exampledir/cold.pdf", max_uses=1))


def of_a_missing_object(share_system: ShareSystem) -> str:
    return share_system.local_url(share_system.create_share(path="/exampledir/none.pdf", allow_missing=True))


def modified(share_system: ShareSystem) -> str:
    url = share_system.local_url(share_system.create_share(page=True))
    return url[:-1] + ("A" if url[-1] != "A" else "B")


CreateShare = Callable[[ShareSystem], str]
EXPIRED: CreateShare = lambda share_system: share_system.sign_share(expires_in=-1)  # noqa: E731
RETIRED: CreateShare = lambda share_system: share_system.sign_share(keys=(ShareKey("retired", b"r" * 32),))  # noqa: E731
MAKER_GONE: CreateShare = lambda share_system: share_system.sign_share(owner="api:someone")  # noqa: E731
CASES: list[tuple[CreateShare, int, str, str, str]] = [
    (modified, 404, "share_invalid", "Invalid link", "链接无效"),
    (EXPIRED, 410, "share_expired", "This link has expired", "链接已过期"),
    (RETIRED, 410, "share_retired", "This link was withdrawn", "链接已撤销"),
    (MAKER_GONE, 410, "share_owner_removed", "This link was withdrawn", "链接已撤销"),
    (revoked, 410, "share_revoked", "This link was withdrawn", "链接已撤销"),
    (without_record, 410, "share_record_missing", "This link was withdrawn", "链接已撤销"),
    (used_up, 410, "share_used_up", "Download limit reached", "下载次数已用完"),
    (with_a_broken_record, 503, "state_unavailable", "Temporarily unavailable", "服务暂不可用"),
    (archived, 409, "object_archived", "This file is in cold storage", "文件处于归档状态"),
    (of_a_missing_object, 404, "no_such_object", "File not found", "文件不存在"),
    (lambda share_system: f"{share_system.http}/nowhere", 404, "not_found", "Page not found", "页面不存在"),
    (
        lambda share_system: f"{share_system.http}/{KEY}",
        401,
        "unauthorized",
        "This link is not open to everyone",
        "此链接不对所有人开放",
    ),
    (
        lambda share_system: f"{share_system.http}/exampledir/%FF",
        400,
        "bad_path",
        "This link does not work",
        "链接无法使用",
    ),
]
NAMES = [case[2] for case in CASES]


@pytest.fixture
def open_phone_page(open_page: Any) -> Callable[..., Page]:
    """Opens pages on a phone, without the Content-Security-Policy that blocks axe-core."""

    def create(**settings: Any) -> Page:
        page: Page = open_page(**{**PHONE, "bypass_csp": True, **settings})
        return page

    return create


@pytest.fixture(scope="module")
def phones(browser: Browser) -> Iterator[dict[str, Page]]:
    """A phone for each language. The pages of errors leave nothing in it, and a new one costs more than its visit."""
    contexts = {locale: browser.new_context(**PHONE, locale=locale) for locale in ("en-GB", "zh-CN")}
    yield {locale: context.new_page() for locale, context in contexts.items()}
    for context in contexts.values():
        context.close()


def violations(page: Page) -> list[Any]:
    """The violations of accessibility rules that axe-core finds."""
    page.add_script_tag(path=NODE / "axe-core" / "axe.min.js")
    violations_found: list[Any] = page.evaluate(RUN_AXE)
    return violations_found


@pytest.mark.parametrize(("create", "status", "code", "english", "chinese"), CASES, ids=NAMES)
def test_an_error_is_a_page_in_the_language_of_its_reader(
    share_system: ShareSystem,
    phones: dict[str, Page],
    create: CreateShare,
    status: int,
    code: str,
    english: str,
    chinese: str,
) -> None:
    url = create(share_system)
    for locale, title in [("en-GB", english), ("zh-CN", chinese)]:
        page = phones[locale]
        response = page.goto(url)
        assert response is not None
        assert response.status == status
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert response.headers["content-security-policy"].endswith("form-action 'none'")
        expect(page).to_have_title(title)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        footer = page.locator("footer").inner_text()
        assert footer.startswith(f"{status} {code} · ")
        assert response.headers["x-fc-request-id"] in footer
        sentence = page.locator("p").inner_text()
        assert len(sentence) > 5
        assert (locale == "zh-CN") == any(character >= "\u4e00" for character in sentence)
        assert page.locator("script, form, a, img, link").count() == 0
        assert "API" not in page.locator("main").inner_text()


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
def test_the_page_of_a_share_is_accessible(
    share_system: ShareSystem, open_phone_page: Callable[..., Page], scheme: str, locale: str
) -> None:
    page = open_phone_page(color_scheme=scheme, locale=locale, viewport={"width": 800, "height": 900}, is_mobile=False)
    for params in ({"max_uses": 3}, {"page": True}):
        page.goto(share_system.local_url(share_system.create_share(**params)))
        assert violations(page) == []
        page.locator("summary").click()
        assert violations(page) == []


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
def test_the_page_of_an_error_is_accessible(
    share_system: ShareSystem, open_phone_page: Callable[..., Page], scheme: str, locale: str
) -> None:
    page = open_phone_page(color_scheme=scheme, locale=locale)
    page.goto(modified(share_system))
    assert violations(page) == []


def test_axe_finds_violations(share_system: ShareSystem, open_phone_page: Callable[..., Page]) -> None:
    page = open_phone_page()
    page.goto(share_system.local_url(share_system.create_share(page=True)))
    page.locator("button").evaluate("button => { button.textContent = ''; }")
    assert [name for name, _ in violations(page)] == ["button-name"]


def test_the_button_of_a_revoked_share_leads_to_the_error(share_system: ShareSystem, open_page: Any) -> None:
    share = share_system.request_share(max_uses=1)
    page: Page = open_page()
    page.goto(share_system.local_url(share["url"]))
    share_system.revoke(share["id"])
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This link was withdrawn")


def test_a_program_gets_the_same_error_as_json(share_system: ShareSystem, open_page: Any) -> None:
    page: Page = open_page()
    for create, status, code, *_ in CASES:
        if create is of_a_missing_object:  # a program is redirected, and reads the status of OSS
            continue
        response = page.request.get(
            create(share_system), headers={"Accept": "application/problem+json"}, max_redirects=0
        )
        assert response.headers["content-type"] == "application/problem+json"
        problem = json.loads(response.body())
        assert (problem["status"], problem["code"]) == (status, code)
