"""Mounts whose links may show what strangers uploaded, and the keys that say what is shown and accepted."""

from __future__ import annotations

from typing import Any

import pytest

from handler.core.config import Mount
from handler.core.config.load import read
from handler.core.config.media_types import EXTENSIONS, is_active
from handler.core.errors import Problem
from handler.core.uploads import check_active_type
from tests.handler.core.config.tables import document, refusal

DOMAIN = "https://static.example.com"


def table(
    path: str = "/a/", prefix: str = "x/", methods: str = "GET", **keys: Any
) -> dict[str, Any]:
    uploads = {"max_size": "1MB"} if {"PUT", "POST"} & {*methods.split()} else {}
    target = {"path": path, "target": f"oss://examplebucket/{prefix}", "whole_bucket": True}
    return {**target, "access": "anonymous", "methods": methods.split(), **uploads, **keys}


def mounts(*tables: dict[str, Any]) -> dict[str, Mount]:
    """The mounts by their paths, which must not depend on their order."""
    results = [
        {mount.path: mount for mount in read(document(*order), {}).mounts}
        for order in (tables, tables[::-1])
    ]
    assert results[0] == results[1]
    return results[0]


# --- what links show ----------------------------------------------------------------------------------------------

CONCERNED = {
    "PUT": [table(methods="GET PUT", endpoint=DOMAIN)],
    "POST": [table(methods="GET POST", endpoint=DOMAIN)],
    "another mount with the same target": [table(endpoint=DOMAIN), table("/in/", "x/", "PUT")],
    "another mount with a narrower target": [table(endpoint=DOMAIN), table("/in/", "x/y/", "PUT")],
    "another mount with a wider target": [table(endpoint=DOMAIN), table("/in/", "", "POST")],
    # Signatures do not contain the host.
    "a domain of the same bucket": [
        table(methods="GET PUT"),
        table("/site/", "site/", endpoint=DOMAIN),
    ],
}


def accepts_pages(mount: Mount) -> bool:
    try:
        check_active_type("text/html", mount)
    except Problem:
        return False
    return True


@pytest.mark.parametrize("name", CONCERNED)
def test_a_domain_of_yours_shows_nothing_that_strangers_upload_and_accepts_no_active_types(
    name: str,
) -> None:
    found = mounts(*CONCERNED[name])
    assert found["/a/"].inline == ()
    assert [accepts_pages(mount) for mount in found.values() if mount.allows_uploads] == [False]


UNCONCERNED = {
    "no uploads": [table(endpoint=DOMAIN)],
    "no domain": [table(methods="GET PUT")],
    "a domain of OSS": [table(methods="GET PUT", endpoint="accelerate")],
    "uploads elsewhere": [table(endpoint=DOMAIN), table("/in/", "xy/", "PUT")],
    "another bucket": [
        table(endpoint=DOMAIN),
        table("/in/", methods="PUT", target="oss://otherbucket/x/"),
    ],
}


@pytest.mark.parametrize("name", UNCONCERNED)
def test_all_other_links_show_an_object_as_its_type_says(name: str) -> None:
    found = mounts(*UNCONCERNED[name])
    assert found["/a/"].inline is None
    # Other objects in the entire bucket of a domain may be public.
    assert all(map(accepts_pages, found.values())) == (name != "uploads elsewhere")


def test_a_mount_lists_what_its_links_show() -> None:
    types = ["image/png", "application/pdf", "text/plain; charset=utf-8"]
    assert mounts(table(methods="GET PUT", endpoint=DOMAIN, inline=types))["/a/"].inline == tuple(
        types
    )
    assert mounts(table(inline=types))["/a/"].inline == tuple(types)
    assert mounts(table(inline=[]))["/a/"].inline == ()


@pytest.mark.parametrize(
    "value",
    [
        "image/png",
        ["image/"],
        ["image/*"],
        ["png"],
        ["Image/PNG"],
        ["application/octet-stream"],
        [1],
        ["image/png", "image/png"],
        ["text/plain;charset=utf-8"],
        ["text/plain; charset=a b"],
        ["text/plain; charset=utf-8\r\nX: y"],
        ["image/png", "text/html"],
        ["image/svg+xml"],
        ["text/javascript"],
    ],
)
def test_a_type_that_no_browser_shows_or_that_it_runs_cannot_be_listed(value: object) -> None:
    sentence = refusal(document(table(inline=value)))
    assert "inline" in sentence
    if value == ["image/svg+xml"]:
        assert "; browsers download what they could run (got ['image/svg+xml'])." in sentence


def test_no_type_that_may_be_listed_is_active() -> None:
    assert [each for each in EXTENSIONS if is_active(each)] == []


# --- what is accepted ---------------------------------------------------------------------------------------------


def test_a_mount_that_limits_what_links_show_accepts_no_active_types() -> None:
    assert not accepts_pages(mounts(table(methods="PUT", inline=["image/png"]))["/a/"])


# Types that browsers run as a page or a script: the WHATWG's MIME Sniffing Standard, "MIME type groups", and those
# that it identifies by their content.
ACTIVE = [
    "text/html",
    "application/xhtml+xml",
    "application/vnd.wap.xhtml+xml",
    "image/svg+xml",
    "text/xml",
    "text/xsl",
    "application/xml",
    "application/rss+xml",
    "audio/x+xml",
    "video/svg+xml",
    "application/xml-dtd",
    "text/rdf",
    "text/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "text/x-ecmascript",
    "text/jscript",
    "text/livescript",
    "text/javascript1.5",
    "unknown/unknown",
    "multipart/x-mixed-replace",
    "multipart/related",
]
INERT = [
    "text/plain",
    "text/csv",
    "image/png",
    "application/pdf",
    "application/json",
    "application/zip",
    "audio/mpeg",
    "application/octet-stream",
    "video/mp4",
    "font/woff2",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
]


def test_active_types_are_recognised_however_they_are_written_and_others_whatever_their_charset() -> (
    None
):
    prefixes = ("text/", "image/", "application/", "video/", "audio/", "font/")
    for content_type in (*ACTIVE, *prefixes, *(f"{prefix}x+xml" for prefix in prefixes)):
        for written in (content_type, content_type.upper(), f"{content_type};charset=utf-8"):
            assert is_active(written), written
    for content_type in INERT:
        for written in (content_type, f"{content_type}; charset=xml-html"):
            assert not is_active(written), written


# --- what is replaced ---------------------------------------------------------------------------------------------


def test_only_a_mount_for_callers_with_a_key_allows_overwriting_unless_it_says_so() -> None:
    assert not mounts(table(methods="PUT"))["/a/"].overwrite
    assert mounts(table(methods="PUT", overwrite=True))["/a/"].overwrite
    assert mounts(table(methods="PUT", access="authenticated"))["/a/"].overwrite
    assert not mounts(table(methods="PUT", access="authenticated", overwrite=False))[
        "/a/"
    ].overwrite


def test_a_switch_is_true_or_false() -> None:
    assert "overwrite" in refusal(document(table(overwrite="true")))
