"""The pages of errors in Chromium, and the accessibility of the pages of shares and errors."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.system import FILE, System, script_of_npm

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .map(({ id, nodes }) => [id, nodes.map((node) => node.html)])"""
SCHEMES = pytest.mark.parametrize(
    ("scheme", "locale"),
    [pytest.param("light", "en-GB", marks=pytest.mark.long), ("dark", "zh-CN")],
)


def violations(page: Page) -> list[Any]:
    """The violations of accessibility rules that axe-core finds."""
    page.add_script_tag(path=script_of_npm("axe-core/axe.min.js"))
    violations_found: list[Any] = page.evaluate(RUN_AXE)
    return violations_found


@pytest.mark.parametrize("locale", [pytest.param("en-GB", marks=pytest.mark.long), "zh-CN"])
def test_an_error_is_a_page_in_the_language_of_its_reader(
    world: System, open_page: Any, locale: str
) -> None:
    page: Page = open_page(**PHONE, locale=locale)
    for path, status, code, english, chinese in [
        ("/-/s/q3.pdf?share=modified", 404, "share_invalid", "Invalid link", "链接无效"),
        ("/nowhere", 404, "not_found", "Page not found", "页面不存在"),
        (
            f"/{FILE}",
            401,
            "unauthorized",
            "This link is not open to everyone",
            "此链接不对所有人开放",
        ),
        ("/exampledir/none.txt", 404, "no_such_object", "File not found", "文件不存在"),
        ("/exampledir/%FF", 400, "bad_path", "This link does not work", "链接无法使用"),
    ]:
        response = page.goto(world.stack.http_url + path)
        assert response is not None
        assert response.status == status
        title = english if locale == "en-GB" else chinese
        expect(page).to_have_title(title)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        assert (
            page.locator("footer").inner_text()
            == f"{status} {code} · {response.headers['x-fc-request-id']}"
        )


@SCHEMES
def test_the_page_of_a_share_is_accessible(
    world: System, open_page: Any, scheme: str, locale: str
) -> None:
    # axe-core is a script that the policy of the page would block.
    page: Page = open_page(
        color_scheme=scheme, locale=locale, viewport={"width": 800, "height": 900}, bypass_csp=True
    )
    for params in ({"max_uses": 3}, {}):
        page.goto(world.create_share(**params))
        page.locator("summary").click()
        assert violations(page) == []
    page.goto(world.create_share(password=True, title="Q3", message="For you"))
    for _ in range(2):  # the second time after a wrong code
        assert violations(page) == []
        page.get_by_role("textbox").fill("wrong")
        page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_be_visible()


@SCHEMES
def test_the_page_of_an_error_is_accessible(
    world: System, open_page: Any, scheme: str, locale: str
) -> None:
    address = f"{world.stack.http_url}/nowhere"
    page: Page = open_page(address, **PHONE, color_scheme=scheme, locale=locale, bypass_csp=True)
    assert violations(page) == []


@pytest.mark.long
def test_axe_finds_violations(world: System, open_page: Any) -> None:
    page: Page = open_page(world.create_share(page=True), **PHONE, bypass_csp=True)
    page.locator("button").evaluate("button => { button.textContent = ''; }")
    assert [name for name, _ in violations(page)] == ["button-name"]
