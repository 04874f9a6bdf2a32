"""`GET /-/me`: what a caller may do, and never more. `GET /-/`: one page, the same for everybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handler.core.auth import authorize, identify
from handler.core.config import Config, InvalidConfig, Target
from handler.core.context import Invocation
from handler.core.errors import Problem
from handler.core.keys import METHODS
from handler.core.paths import covers
from handler.core.request import Request
from tests.handler.client import NOW, Answered, context, make_config
from tests.handler.keys_fixtures import READER, api, issuer, token
from tests.handler.web.endpoints.test_openapi import SCHEMAS, resolved
from tests.system import ALICE, DAY, EXPIRING, LINKS, MAKER, WRITER, System, keys, service

LISTED = 'path = "/plans/"\nlist = true\nmax_share = "30d"\nrequire_password = true'
ANY = "fcp_any_EXAMPLE_000000000000000000000000000000"
NOTHING: dict[str, Any] = {"methods": [], "list": False}
FEW = "fcp_few_EXAMPLE_000000000000000000000000000000"


@pytest.fixture
def callers(tmp_path: Path) -> System:
    """Also with a key for everything, and one for an object, two folders of one mount, and nothing."""
    paths = ["/team/a/", "/team/b/", "/plans/q3.pdf", "/out/", "/in/me/", "/nowhere/"]
    more = [
        api("any", ANY, paths=["/"], methods=list(METHODS)),
        api("few", FEW, paths=paths, methods=["GET", "SHARE", "LIST"], max_share="2d"),
    ]
    world = service(tmp_path, LINKS.replace('path = "/plans/"', LISTED))
    return world.with_keys(
        api=[*keys()["api"], *more], jwt=[issuer(methods=["GET", "PUT", "SHARE"], paths=["/team/"])]
    )


def me(world: System, key: str) -> dict[str, Any]:
    response = world.request("/-/me", key=key)
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
    jsonschema.validate(response.json, resolved(SCHEMAS["Me"]))
    document: dict[str, Any] = response.json
    return document


def mounts(world: System, key: str) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in me(world, key)["mounts"]}


def test_it_says_who_calls_until_when_and_where(callers: System) -> None:
    document = me(callers, EXPIRING)
    found = {name: document[name] for name in ("id", "methods", "paths", "expires_at")}
    end = "2026-03-01T06:51:11Z"
    assert found == {
        "id": "api:ending",
        "methods": ["PUT", "POST"],
        "paths": ["/team/"],
        "expires_at": end,
    }
    assert me(callers, ANY)["paths"] is None
    assert me(callers, ANY)["expires_at"] is None
    assert me(callers, token(sub="u", methods=["GET"]))["methods"] == ["GET"]


def test_a_mount_has_the_limits_of_both_in_seconds_and_bytes(callers: System) -> None:
    assert mounts(callers, ANY)["/team/"] == {
        "path": "/team/",
        "methods": ["GET", "PUT", "POST"],
        "list": False,
        "max_share": 30 * DAY,
        "max_size": 10 * 1024**2,
        "require_password": False,
    }
    few = mounts(callers, FEW)
    assert set(few) >= {"/team/a/", "/team/b/"}
    assert "/team/" not in few
    assert (few["/team/a/"]["max_share"], few["/team/a/"]["max_size"]) == (2 * DAY, None)
    assert (few["/plans/q3.pdf"]["list"], few["/plans/q3.pdf"]["require_password"]) == (False, True)
    # Everybody may use an anonymous mount, and share what their key covers.
    assert (few["/in/"]["methods"], few["/in/"]["max_share"]) == (["PUT", "POST"], None)
    assert few["/in/me/"]["max_share"] == 2 * DAY
    assert mounts(callers, ANY)["/plans/"]["list"]


@pytest.mark.parametrize("name", ["reader", "maker", "writer", "alice", "any", "few"])
def test_it_is_what_authorize_allows_and_never_more(callers: System, name: str) -> None:
    key = {
        "reader": READER,
        "maker": MAKER,
        "writer": WRITER,
        "alice": ALICE,
        "any": ANY,
        "few": FEW,
    }[name]
    request = Request("GET", "/-/me", {}, {"authorization": f"Bearer {key}"}, b"", "")
    invocation = Invocation(callers.instance, context(), NOW, {})
    invocation = invocation._replace(caller=identify(request, invocation))

    def allows(target: Target, method: str) -> bool:
        try:
            return bool(authorize(invocation, target, method))
        except Problem:
            return False

    found = mounts(callers, key)
    folders = {mount.path for mount in callers.config.mounts} | {
        "/team/alice/",
        "/team/a/",
        "/team/c/",
        "/in/me/",
    }
    for path in sorted(
        folders | {f"{folder}x" for folder in folders} | {"/plans/q3.pdf", "/plans/q3.pdfs"}
    ):
        target = callers.config.mounts.get(path)
        assert target is not None
        entry = found.get(
            max((each for each in found if covers(each, path)), key=len, default=""), NOTHING
        )
        said = {*entry["methods"], *(["LIST"] if entry["list"] else [])}
        # Nothing is listed at the path of an object.
        asked = ("GET", "PUT", "POST", *([] if path in found and path[-1] != "/" else ["LIST"]))
        assert said == {method for method in asked if allows(target, method)}, path


def test_without_a_credential_it_is_a_401(callers: System) -> None:
    for key in (None, "fcp_unknown_EXAMPLE_000000000000000000000000"):
        for method in ("GET", "HEAD"):
            assert callers.request("/-/me", method, key=key).status == 401


# --- the page -----------------------------------------------------------------------------------------------------


def page(world: System, method: str = "GET", **headers: str) -> Answered:
    return world.request("/-/", method, headers={"Accept": "text/html", **headers})


def test_the_page_is_the_same_for_everybody_and_its_policy_names_the_buckets_of_mounts_with_put(
    callers: System,
) -> None:
    answers = [
        page(callers),
        page(callers, Authorization=f"Bearer {MAKER}"),
        page(callers.restarted(), Cookie="a=b"),
    ]
    nonces = [
        re.findall("nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        for answer in answers
    ]
    assert len({nonce for both in nonces for nonce in both}) == 6
    bodies = {
        re.sub("|".join(both), "", answer.body)
        for answer, both in zip(answers, nonces, strict=True)
    }
    assert len(bodies) == 1
    (body,) = bodies
    assert body.count("<script") == 1
    for answer in answers:
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        policy = dict(
            each.partition(" ")[::2]
            for each in answer.headers["Content-Security-Policy"].split("; ")
        )
        assert {
            policy[name] for name in ("default-src", "frame-ancestors", "form-action", "base-uri")
        } == {"'none'"}
        assert policy["connect-src"] == "'self' https://examplebucket.oss-cn-hangzhou.aliyuncs.com"


def test_without_its_table_there_is_no_page_and_without_public_url_it_waits_for_one(
    callers: System,
) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        assert page(callers.with_config(sender_page=False), method).status == 404
    refused = callers.with_config(public_url=None).request("/-/")
    assert (refused.status, refused.code) == (409, "public_url_required")
    assert (
        page(callers.with_config(public_url=None)).headers["Content-Type"].startswith("text/html")
    )


def test_only_enabled_true_enables_it_and_no_more_buckets_than_a_header_holds() -> None:
    mount = '[[mount]]\npath = "/{0}/"\ntarget = "oss://bucket-{0}/"\nmethods = ["PUT"]\nmax_size = "1MB"\n'

    def config(table: str, buckets: int) -> Config:
        return make_config(
            f'region = "cn-hangzhou"\n[sender_page]\n{table}\n{"".join(map(mount.format, range(buckets)))}'
        )

    tables = ("enabled = true", "enabled = false", "")
    assert [config(table, 100).sender_page for table in tables] == [True, False, False]
    for table, buckets, fault in (
        ("enabled = 1", 1, "true or false"),
        ("on = true", 1, "unknown key 'on'"),
        ("enabled = true", 200, "too many buckets"),
    ):
        with pytest.raises(InvalidConfig, match=f"sender_page: .*{fault}"):
            config(table, buckets)
