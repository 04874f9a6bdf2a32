"""A page that a stranger uploads to a mount with a domain of ours: Chromium saves it and never runs it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Error, Page

from handler.core.config.media_types import EXTENSIONS, is_active
from tests.e2e.system import TIMEOUT, System
from tests.e2e.test_browser import png

# Valid as HTML, XHTML, SVG and XML; the comment lets browsers identify HTML. Where it runs, it sets a cookie.
ATTACK = b'<!-- --><svg xmlns="http://www.w3.org/2000/svg"><script>document.cookie = "stolen=1; path=/"</script></svg>'
_RUN = {"text/html", "application/xhtml+xml", "image/svg+xml", "application/xml"}
# Other types that browsers know, of each top-level type.
_OTHER_TYPES = """
application/octet-stream application/zip application/msword application/x-unknown application/x-www-form-urlencoded
application/rss+xml application/vnd.wap.xhtml+xml application/x+xml audio/x+xml image/x+xml font/x+xml video/x+xml
text/javascript text/x+xml text/x-markdown text/xml text/xsl text/rtf text/cache-manifest text/x-server-parsed-html
application/x-shockwave-flash application/unknown unknown/unknown application/mathml+xml message/rfc822
multipart/related multipart/x-mixed-replace model/x3d+xml font/woff2
"""


def cookies(context: BrowserContext) -> list[str]:
    return [str(cookie.get("name")) for cookie in context.cookies()]


def sign_put(system: System, path: str, content_type: str) -> dict[str, Any]:
    """The result of a request for an upload link by somebody without a key."""
    item = {
        "path": path,
        "method": "PUT",
        "size": len(ATTACK),
        "headers": {"Content-Type": content_type},
    }
    response = requests.post(
        f"{system.stack.http_url}/-/sign", json={"links": [item]}, timeout=TIMEOUT
    )
    (result,) = response.json()["links"]
    assert isinstance(result, dict)
    return result


def save(page: Page, address: str) -> bytes:
    """What Chromium saves when a person opens an address."""
    page.set_content(f'<a href="{address}">open</a>')
    with page.expect_download() as download:
        page.locator("a").click()
    return download.value.path().read_bytes()


def test_the_attack_works_with_a_link_that_nothing_limits(world: System, page: Page) -> None:
    """Otherwise the tests below could not fail."""
    world.put("elsewhere/attack.html", ATTACK, {"Content-Type": "text/html"})
    page.goto(world.link("GET", "elsewhere/attack.html").url)
    assert cookies(page.context) == ["stolen"]


def test_a_page_that_is_uploaded_as_something_else_is_saved_and_never_runs(
    world: System, page: Page
) -> None:
    link = sign_put(world, "/site/attack.html", "text/plain")
    assert (
        requests.put(link["url"], data=ATTACK, headers=link["headers"], timeout=TIMEOUT).status_code
        == 200
    )
    assert save(page, world.address("site/attack.html")) == ATTACK
    assert cookies(page.context) == []


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("old.svg", "image/svg+xml"),
        ("old", "text/html"),
        pytest.param("old.html", "text/html", marks=pytest.mark.long),
        pytest.param("old.png.html", "text/html", marks=pytest.mark.long),
    ],
)
def test_a_page_from_before_the_rule_is_saved_and_never_runs(
    world: System, page: Page, name: str, content_type: str
) -> None:
    world.put(
        f"site/{name}", ATTACK, {"Content-Type": content_type, "Content-Disposition": "inline"}
    )
    assert save(page, world.address(f"site/{name}")) == ATTACK
    assert cookies(page.context) == []


def test_a_page_with_the_name_of_an_image_is_no_page(world: System, page: Page) -> None:
    world.put("site/page.png", ATTACK, {"Content-Type": "text/html"})
    response = page.goto(world.address("site/page.png"))
    assert response is not None
    assert response.headers["content-type"] == "image/png"
    assert cookies(page.context) == []


def test_an_image_of_a_listed_type_is_shown(world: System, page: Page) -> None:
    world.put("site/图.png", png(3, 2), {"Content-Type": "application/octet-stream"})
    response = page.goto(world.address("site/图.png"))
    assert response is not None
    assert "content-disposition" not in response.headers
    size = "image => [image.naturalWidth, image.naturalHeight]"
    assert page.locator("img").evaluate(size) == [3, 2]


@pytest.mark.parametrize(
    "types",
    [_RUN, pytest.param({*EXTENSIONS, *_RUN, *_OTHER_TYPES.split()}, marks=pytest.mark.long)],
)
def test_chromium_runs_no_type_that_an_upload_may_have(
    world: System, page: Page, types: set[str]
) -> None:
    ran = set()
    for number, content_type in enumerate(types):
        key = f"elsewhere/{number}"
        world.put(key, ATTACK, {"Content-Type": content_type})
        # Chromium saves some types, which playwright reports as an error of the navigation.
        with suppress(Error):
            page.goto(world.link("GET", key).url)
        # A script that runs may set its cookie a moment later.
        for _ in range(100 if content_type in _RUN else 1):
            if cookies(page.context):
                break
            page.wait_for_timeout(50)
        if cookies(page.context):
            ran.add(content_type)
            page.context.clear_cookies()
    assert ran >= _RUN
    assert {content_type for content_type in ran if not is_active(content_type)} == set()
