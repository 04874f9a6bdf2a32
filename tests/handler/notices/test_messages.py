"""Messages to people and programs: signed as each service requires, within its limits, and names as data."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from deploy.checks.secrets import secret_in
from handler.core.outbox import Delivery, Link, Notice
from handler.notices import sinks
from handler.notices.sinks import KINDS, InvalidSink, Sink, batches, read_sink
from handler.notices.sinks.message import display_name, escape_markup, safe_url
from tests.handler.notice_fixtures import WHSEC
from tools.secret_search import search

NOW = 1_772_347_271.895
URL = (
    "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/outbox/a.txt?x-oss-date=20260301T064111Z&x-oss-expires=900"
    "&x-oss-security-token=CAIS%2B%2F%3D&x-oss-signature=0123456789abcdef"
)
ROBOTS = tuple(name for name in KINDS if name != "webhook")
SECRETS = {name: WHSEC if kind.NEEDS_SECRET else "" for name, kind in KINDS.items()}


def delivery(
    name: str = "a.txt", *, size: int | None = 1_234_567, url: str = URL, number: int = 0
) -> Delivery:
    notice = Notice(
        "created",
        "/outbox/",
        "examplebucket",
        f"outbox/{name}",
        "ETAG",
        "link",
        None,
        size,
        1772347543.0,
    )
    link = Link(f"/outbox/{name}", url, "2026-03-08T06:45:43Z")
    return Delivery("ops", "", id=f"{number:032x}", notice=notice, link=link)


def sink(kind: str) -> Sink:
    return Sink("ops", kind, f"https://robot.example.com/{kind}?key=EXAMPLE", SECRETS[kind], False)


def message(kind: str, *deliveries: Delivery) -> Any:
    """The JSON of a message."""
    return json.loads(KINDS[kind].post(sink(kind), deliveries, NOW).body)


def visible_text(value: Any) -> str:
    """All that a message shows, except its links."""
    if isinstance(value, Mapping):
        return visible_text(
            [inner for name, inner in value.items() if name not in ("url", "sign", "timestamp")]
        )
    if isinstance(value, list):
        return "\n".join(visible_text(inner) for inner in value)
    return value if isinstance(value, str) else ""


class TestKinds:
    def test_each_module_that_makes_messages_is_a_kind_of_its_name(self) -> None:
        assert isinstance(sinks.__file__, str)
        files = Path(sinks.__file__).parent.glob("*.py")
        modules = {path.stem for path in files if "\ndef post(" in path.read_text("utf-8")}
        assert modules == {*KINDS}

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_secret_of_each_kind_is_found_where_it_must_not_be(self, kind: str) -> None:
        secret = f"{KINDS[kind].FOUND_BY}0123456789abcdefEXAMPLE"
        assert secret_in(f"https://robot.example.com{secret}") == f"a {kind} secret"
        assert secret_in(f"{KINDS[kind].FOUND_BY}…") is None
        assert [each.kind for each in search(f"POST {secret}")] == ["a sink's secret"]


class TestSignatures:
    def test_a_webhook_is_verified_by_the_reference_library(self) -> None:
        now = datetime.now(tz=timezone.utc).timestamp()
        post = KINDS["webhook"].post(sink("webhook"), (delivery("报告.pdf"),), now)
        payload = Webhook(WHSEC).verify(post.body, dict(post.headers))
        assert payload["data"]["key"] == "outbox/报告.pdf"
        assert post.headers["webhook-signature"] == Webhook(WHSEC).sign(
            f"notice_{0:032x}", datetime.fromtimestamp(int(now), timezone.utc), post.body.decode()
        )

    def test_several_notices_are_one_digest_for_a_webhook(self) -> None:
        first, second = delivery("a", number=1), delivery("b", number=2)
        second = second._replace(notice=second.notice._replace(version="CAEQ…"))
        digest = message("webhook", first, second)
        assert digest["type"] == "notice.digest"
        notices = [(each["id"], each["key"], each["version"]) for each in digest["data"]["notices"]]
        assert notices == [(f"{1:032x}", "outbox/a", None), (f"{2:032x}", "outbox/b", "CAEQ…")]

    def test_a_message_has_the_same_id_whenever_it_has_the_same_notices(self) -> None:
        one, two = delivery("a", number=1), delivery("b", number=2)
        sent = [(one, two), (one, two), (one,), (two,)]
        posts = [
            KINDS["webhook"].post(sink("webhook"), each, NOW + after)
            for after, each in enumerate(sent)
        ]
        ids = [post.headers["webhook-id"] for post in posts]
        assert ids[0] == ids[1]
        assert len(set(ids)) == 3

    def test_dingtalk_is_signed_in_the_query(self) -> None:
        post = KINDS["dingtalk"].post(sink("dingtalk"), (delivery(),), NOW)
        query = parse_qs(urlsplit(post.url).query, strict_parsing=True)
        assert query["key"] == ["EXAMPLE"]
        assert query["timestamp"] == ["1772347271895"]
        secret = SECRETS["dingtalk"].encode()
        mac = hmac.new(secret, b"1772347271895\n" + secret, hashlib.sha256).digest()
        assert base64.b64decode(query["sign"][0]) == mac

    def test_feishu_is_signed_in_the_body(self) -> None:
        card = message("feishu", delivery())
        assert card["timestamp"] == "1772347271"
        mac = hmac.new(f"1772347271\n{SECRETS['feishu']}".encode(), b"", hashlib.sha256).digest()
        assert base64.b64decode(card["sign"]) == mac

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_secret_is_in_a_body_or_shown(self, kind: str) -> None:
        post = KINDS[kind].post(sink(kind), (delivery(),), NOW)
        assert SECRETS[kind] == "" or SECRETS[kind].encode() not in post.body
        assert "EXAMPLE" not in repr(sink(kind)) + repr(post)


class TestContent:
    @pytest.mark.parametrize("kind", ROBOTS)
    def test_a_message_shows_the_name_the_size_the_expiry_and_the_link(self, kind: str) -> None:
        document = message(kind, delivery("reports/报告 q3.pdf"))
        text = visible_text(document)
        assert "reports/报告 q3.pdf" in text
        assert "1.2 MB, until 2026-03-08 06:45 UTC" in text
        assert "1 new file" in text
        assert "报告/" in visible_text(message(kind, delivery("报告/")))
        assert URL in json.dumps(document).replace("\\u0026", "&")

    @pytest.mark.parametrize("kind", ROBOTS)
    def test_a_new_file_of_an_upload_share_has_its_title(self, kind: str) -> None:
        arrived = delivery("reports/a.pdf")
        arrived = arrived._replace(notice=arrived.notice._replace(title=NASTY[0]))
        text = visible_text(message(kind, arrived, delivery("reports/b.pdf")))
        assert (
            text.count(f"06:45 UTC) ({escape_markup(NASTY[0])})")
            + text.count(f"06:45 UTC ({escape_markup(NASTY[0])})")
            == 1
        )
        assert "2 new files" in text

    @pytest.mark.parametrize("kind", ROBOTS)
    @pytest.mark.parametrize(
        ("left", "shows"), [(2, ", 2 uses left"), (1, ", 1 use left"), (None, "")]
    )
    def test_a_use_of_a_share_has_a_title_and_no_link(
        self, kind: str, left: int | None, shows: str
    ) -> None:
        use = Notice(
            "opened",
            "/outbox/",
            "b",
            "k",
            "m",
            "",
            happened_at=1772347543.0,
            share="id",
            path="/outbox/a.pdf",
        )
        opened = Delivery(
            "ops",
            "",
            notice=use._replace(title=NASTY[0], uses_left=left),
            link=Link(use.path, "", ""),
        )
        document = message(kind, delivery(), opened, opened._replace(link=Link("/outbox/", "", "")))
        was_opened = f"was opened 2026-03-01 06:45 UTC ({escape_markup(NASTY[0])}){shows}"
        text = [line.rstrip() for line in visible_text(document).splitlines()]
        assert len([line for line in text if line.endswith(was_opened)]) == 2
        assert "1 new file, 2 share uses" in "\n".join(text)
        assert {"a.pdf", "/outbox/"} <= {
            word for line in text for word in line.removeprefix("- ").split()
        }
        assert json.dumps(document).count(URL[:40]) == 1

    def test_each_message_has_the_shape_of_its_service(self) -> None:
        assert message("dingtalk", delivery())["msgtype"] == "markdown"
        assert set(message("dingtalk", delivery())["markdown"]) == {"title", "text"}
        assert message("wecom", delivery())["markdown"].keys() == {"content"}
        assert message("feishu", delivery())["msg_type"] == "interactive"
        assert message("slack", delivery())["blocks"][0]["type"] == "rich_text"

    @pytest.mark.parametrize(
        ("size", "shows"),
        [(None, "(until"), (0, "0 B"), (1023, "1023 B"), (1024, "1 KB"), (5 << 40, "5 TB")],
    )
    def test_a_size_is_readable(self, size: int | None, shows: str) -> None:
        assert shows in visible_text(message("dingtalk", delivery(size=size)))

    @pytest.mark.parametrize(
        "name",
        [
            "",
            " ",
            "\u3000\u00a0",
            "\u200b",
            "\u3164",
            "\ufe0f",
            "\U000e0041\U000e007f",
            " \u0301 ",
            "//",
            "\u0301/",
        ],
    )
    def test_a_name_that_nobody_would_see_is_shown(self, name: str) -> None:
        assert "\ufffd" in display_name(name)

    def test_no_letter_that_shows_nothing_is_left(self) -> None:
        blank = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U00013441\U0001d159"
        assert display_name(f"a{blank}b") == f"a{chr(0xFFFD) * len(blank)}b"

    @pytest.mark.parametrize(
        "name",
        [
            "reports/",
            "报告/",
            "é",
            "e\u0301.pdf",
            "❤\ufe0f.png",
            "葛\U000e0100.txt",
            "⠓⠊",
            "한글",
            "/x",
        ],
    )
    def test_a_visible_name_is_shown_as_it_is(self, name: str) -> None:
        assert display_name(name) == name

    def test_a_long_name_keeps_its_beginning_and_its_end(self) -> None:
        name = display_name("a" * 600 + ".tar.gz")
        assert len(name) < 170
        assert name.startswith("aaa")
        assert name.endswith(".tar.gz")


NASTY = [
    "@all",
    "@13800001111 @所有人",
    "<@all> <!channel> <!here> <@U123> <#C123>",
    "[click](https://evil.example/)",
    "![x](https://evil.example/x.png)",
    "](https://evil.example/)[",
    "<a href='https://evil.example/'>x</a>",
    '<at id=all></at><at user_id="all">x</at>',
    "<font color='warning'>paid</font>",
    "**bold** __under__ ~~gone~~ `code` ```\nblock\n```",
    "a\n# Heading\n> quote\n- item\n1. item",
    "a\r\nb\u2028c\u2029d\x85e\x0bf",
    "\u202efdp.exe\u202c \u2066x\u2069 \u200b\u200d\ufeff",
    "\x00\x07\x1b[31mred",
    '","isAtAll":true,"x":"',
    '"}},"card":{"elements":[]}',
    "https://evil.example/a.txt",
    "# title",
    "- [ ] task",
    "{{template}} ${var} $(cmd) %s %n",
    "\\*not\\*",
    "| a | b |\n|---|---|",
    ":smile: :rotating_light:",
    "a" * 2000,
    "报告" * 500,
    "\ud800",
    " ",
]
_MARKUP = set("\\`*[]()<>#|!~@&{}$^")
names = (
    st.text(max_size=80)
    | st.sampled_from(NASTY)
    | st.lists(st.sampled_from(NASTY), max_size=4).map("".join)
)


def is_plain(text: str) -> bool:
    """Whether it is one line of visible characters without markup."""
    return (
        not _MARKUP & set(text)
        and "://" not in text
        and not re.match(r"([-+=]+|[0-9]+[.)])(\s|$)", text)
        and all(
            unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in text
        )
        and not re.search(r"(?<![^\W_])_|_(?![^\W_])", text)
    )


class TestNamesAreData:
    @given(names)
    def test_a_name_has_no_markup_left(self, name: str) -> None:
        assert is_plain(escape_markup(name))
        assert 0 < len(escape_markup(name)) <= 180

    @pytest.mark.parametrize("kind", ROBOTS)
    def test_a_nasty_name_changes_only_the_name_in_a_message(self, kind: str) -> None:

        def same(mine: Any, other: Any) -> Any:
            if isinstance(mine, dict):
                assert list(mine) == list(other)
                return [
                    same(mine[key], other[key]) for key in mine if key not in ("sign", "timestamp")
                ]
            if isinstance(mine, list):
                assert len(mine) == len(other)
                return list(map(same, mine, other))
            assert mine == (
                other.replace(escape_markup(name), "a.txt") if isinstance(other, str) else other
            )
            return None

        for name in NASTY:
            same(message(kind, delivery("a.txt")), message(kind, delivery(name)))

    @given(names, st.sampled_from(ROBOTS))
    def test_a_name_cannot_form_a_mention_a_link_or_a_card(self, name: str, kind: str) -> None:
        document = message(kind, delivery(name))
        visible = visible_text(document)
        assert "@" not in visible
        assert not re.search(r"<\s*(a|at|font|!)", visible)
        assert "evil.example/)" not in visible
        if kind == "dingtalk":
            assert document["at"] == {"atMobiles": [], "atUserIds": [], "isAtAll": False}
        if kind in ("dingtalk", "wecom"):
            text = document["markdown"].get("text") or document["markdown"]["content"]
            assert re.findall(r"\]\(([^)]*)\)", text) == [safe_url(URL)]
            assert len(text.splitlines()) == (3 if kind == "dingtalk" else 2)

    @given(names)
    def test_a_program_receives_the_key_as_it_is(self, name: str) -> None:
        assert message("webhook", delivery(name))["data"]["key"] == f"outbox/{name}"

    @given(st.text(max_size=40))
    def test_a_link_cannot_end_its_markdown(self, tail: str) -> None:
        tail = tail.encode("ascii", "ignore").decode()
        assert re.fullmatch(r"[A-Za-z0-9:/?&=%._~+#-]*", safe_url(URL + tail))
        assert safe_url(URL) == URL


def body_size(kind: str, *deliveries: Delivery) -> int:
    """Bytes of a message, as its service counts them."""
    body = message(kind, *deliveries)
    return len(body["markdown"]["content"].encode() if kind == "wecom" else json.dumps(body))


class TestLimits:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ["报告" * 20, "a"])
    def test_many_notices_are_few_messages_within_the_limits(self, kind: str, name: str) -> None:
        deliveries = [delivery(f"{name}-{number}.pdf", number=number) for number in range(300)]
        limits = KINDS[kind]
        split = batches(limits, deliveries)
        assert [entry for batch in split for entry in batch] == deliveries
        assert limits.MAX_BYTES <= limits.SERVICE_BYTES
        assert max(body_size(kind, *batch) for batch in split) <= limits.MAX_BYTES
        for batch, (following, *_) in pairwise(split):
            is_full = body_size(kind, *batch, following) > 0.9 * limits.MAX_BYTES
            assert is_full or len(batch) == limits.MAX_NOTICES

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_notice_alone_always_fits(self, kind: str) -> None:
        longest = delivery("报" * 340, url=URL + "&x=" + "a" * 6000)
        ((only,),) = batches(KINDS[kind], [longest])
        assert body_size(kind, only) <= KINDS[kind].SERVICE_BYTES

    def test_wecom_leaves_out_a_link_that_exceeds_a_message(self) -> None:
        body = message("wecom", delivery(url=URL + "&x=" + "a" * 6000))
        assert "give = share" in body["markdown"]["content"]

    def test_no_notices_are_no_message(self) -> None:
        assert batches(KINDS["slack"], []) == []


class TestEntries:
    GOOD: Mapping[str, Any] = {
        "kind": "webhook",
        "url": "https://hooks.example.com/x?y=1",
        "secret": WHSEC,
    }

    @pytest.mark.parametrize(
        "entry",
        [
            GOOD,
            {**GOOD, "allow_loopback": True},
            {**GOOD, "url": "http://127.0.0.1:8080/x", "allow_loopback": True},
            {"kind": "slack", "url": "https://hooks.slack.example/services/T/B/x"},
            {"kind": "wecom", "url": "https://robot.example.com", "secret": None},
            {"kind": "feishu", "url": "https://robot.example.com:8443/x", "secret": "s"},
        ],
    )
    def test_a_valid_entry_is_read(self, entry: Mapping[str, Any]) -> None:
        assert read_sink("ops", entry, KINDS).url == entry["url"]

    @pytest.mark.parametrize(
        ("entry", "seconds"),
        [({}, 259_200), ({"retry_for": "1h"}, 3600), ({"retry_for": "30d"}, 2_592_000)],
    )
    def test_a_sink_is_tried_again_for_so_long(
        self, entry: Mapping[str, Any], seconds: int
    ) -> None:
        assert read_sink("ops", {**self.GOOD, **entry}, KINDS).retry_for == seconds

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"retry_for": "59m"}, "retry_for must be a duration from 3600 to 2592000 seconds"),
            ({"retry_for": 0}, "retry_for must be a duration from"),
            ({"kind": "pager"}, "kind must be one of webhook, dingtalk, feishu, wecom, slack"),
            ({"url": None}, "url must begin with https:// and be at most 2048 ASCII characters"),
            ({"url": "ftp://x.example"}, "url must begin with https:// and"),
            ({"url": "https://x.example/\n"}, "url must begin with https:// and"),
            ({"url": "https://x.example/" + "a" * 2048}, "url must begin with https:// and"),
            ({"url": "http://hooks.example.com/x"}, "allow_loopback permits only http://127.0.0.1"),
            ({"url": "http://127.0.0.1/x"}, "allow_loopback permits only"),
            ({"url": "http://localhost/x", "allow_loopback": True}, "allow_loopback permits only"),
            (
                {"url": "http://127.0.0.1@evil.example/", "allow_loopback": True},
                "allow_loopback permits only",
            ),
            (
                {"url": "http://user@127.0.0.1/", "allow_loopback": True},
                "scheme, host, path and query only",
            ),
            ({"url": "https://user:pass@x.example/"}, "scheme, host, path and query only"),
            ({"url": "https://x.example/#top"}, "scheme, host, path and query only"),
            ({"url": "https:///x"}, "scheme, host, path and query only"),
            ({"url": "https://x.example:99999/"}, "scheme, host, path and query only"),
            ({"url": "https://x.example:0/"}, "scheme, host, path and query only"),
            ({"secret": None}, "secret is required"),
            ({"secret": "a" * 40}, "secret must be whsec_"),
            ({"secret": "whsec_" + base64.b64encode(b"a" * 23).decode()}, "secret must be whsec_"),
            ({"secret": "whsec_" + base64.b64encode(b"a" * 65).decode()}, "secret must be whsec_"),
            ({"secret": "whsec_!!!!" + "a" * 40}, "secret must be whsec_"),
            ({"kind": "slack"}, "secret is not allowed, because slack messages are not signed"),
            (
                {"Secret-member-EXAMPLE": 1},
                "unknown member (known: kind, url, secret, allow_loopback, retry_for)",
            ),
        ],
    )
    def test_an_invalid_entry_is_refused_without_its_values(
        self, change: Mapping[str, Any], reason: str
    ) -> None:
        with pytest.raises(
            InvalidSink, match=r"^Invalid sink ops in the keys document: "
        ) as refused:
            read_sink("ops", {**self.GOOD, **change}, KINDS)
        sentence = refused.value.sentence
        assert reason in sentence
        assert not any(
            value in sentence for value in (WHSEC, "hooks.example.com", "pass@", "Secret-member")
        )
