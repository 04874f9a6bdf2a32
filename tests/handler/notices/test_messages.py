"""What people and programs are told: signed as each service says, within its limits, and names as data."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from handler.notices.sinks import KINDS, InvalidSink, Sink, Told, messages, read_sink
from handler.notices.sinks.message import harmless, safe_url, shown
from tests.handler.notice_fixtures import WHSEC

NOW = 1_772_347_271.895
URL = (
    "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/outbox/a.txt?x-oss-date=20260301T064111Z&x-oss-expires=900"
    "&x-oss-security-token=CAIS%2B%2F%3D&x-oss-signature=0123456789abcdef"
)
ROBOTS = ("dingtalk", "feishu", "wecom", "slack")
SECRETS = {"webhook": WHSEC, "dingtalk": "SECexample", "feishu": "feishu-secret", "wecom": "", "slack": ""}


def told(name: str = "a.txt", *, size: int | None = 1_234_567, url: str = URL, number: int = 0) -> Told:
    return Told(
        id=f"{number:032x}",
        on="created",
        give="link",
        mount="/outbox/",
        path=f"/outbox/{name}",
        bucket="examplebucket",
        key=f"outbox/{name}",
        name=name,
        size=size,
        mark="ETAG",
        happened_at="2026-03-01T06:45:43Z",
        url=url,
        expires_at="2026-03-08T06:45:43Z",
    )


def sink(kind: str) -> Sink:
    return Sink("ops", kind, f"https://robot.example.com/{kind}?key=EXAMPLE", SECRETS[kind], False)


def sent(kind: str, *tolds: Told, message_id: str = "notice_EXAMPLE") -> Any:
    """The JSON of a message."""
    return json.loads(KINDS[kind].post(sink(kind), message_id, tolds, NOW).body)


def texts(value: Any) -> str:
    """All texts that a message shows, apart from addresses."""
    if isinstance(value, Mapping):
        return "\n".join(texts(inner) for name, inner in value.items() if name not in ("url", "sign", "timestamp"))
    if isinstance(value, list):
        return "\n".join(texts(inner) for inner in value)
    return value if isinstance(value, str) else ""


class TestSignatures:
    def test_a_webhook_is_verified_by_the_reference_library(self) -> None:
        now = datetime.now(tz=timezone.utc).timestamp()
        post = KINDS["webhook"].post(sink("webhook"), "notice_EXAMPLE", (told("报告.pdf"),), now)
        found = Webhook(WHSEC).verify(post.body, dict(post.headers))
        assert found["data"]["key"] == "outbox/报告.pdf"
        assert post.headers["webhook-signature"] == Webhook(WHSEC).sign(
            "notice_EXAMPLE", datetime.fromtimestamp(int(now), timezone.utc), post.body.decode()
        )

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", "body"])
    def test_a_webhook_that_was_changed_is_refused_by_it(self, name: str) -> None:
        now = datetime.now(tz=timezone.utc).timestamp()
        post = KINDS["webhook"].post(sink("webhook"), "notice_EXAMPLE", (told(),), now)
        headers, body = dict(post.headers), post.body
        if name == "body":
            body = body.replace(b"a.txt", b"b.txt")
        elif name == "webhook-timestamp":
            headers[name] = str(int(headers[name]) + 1)
        else:
            headers[name] = headers[name][:-3] + ("AA=" if headers[name][-3:] != "AA=" else "BB=")
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(WHSEC).verify(body, headers)

    def test_several_notices_are_one_digest_for_a_webhook(self) -> None:
        found = sent("webhook", told("a", number=1), told("b", number=2))
        assert found["type"] == "notice.digest"
        assert [entry["key"] for entry in found["data"]["notices"]] == ["outbox/a", "outbox/b"]

    def test_dingtalk_is_signed_in_the_query(self) -> None:
        post = KINDS["dingtalk"].post(sink("dingtalk"), "x", (told(),), NOW)
        query = parse_qs(urlsplit(post.url).query, strict_parsing=True)
        assert query["key"] == ["EXAMPLE"]
        assert query["timestamp"] == ["1772347271895"]
        mac = hmac.new(b"SECexample", b"1772347271895\nSECexample", hashlib.sha256).digest()
        assert base64.b64decode(query["sign"][0]) == mac

    def test_feishu_is_signed_in_the_body(self) -> None:
        found = sent("feishu", told())
        assert found["timestamp"] == "1772347271"
        mac = hmac.new(b"1772347271\nfeishu-secret", b"", hashlib.sha256).digest()
        assert base64.b64decode(found["sign"]) == mac

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_secret_is_in_a_body_or_shown(self, kind: str) -> None:
        post = KINDS[kind].post(sink(kind), "x", (told(),), NOW)
        assert SECRETS[kind] == "" or SECRETS[kind].encode() not in post.body
        assert "EXAMPLE" not in repr(sink(kind)) + repr(post)


class TestTexts:
    @pytest.mark.parametrize("kind", ROBOTS)
    def test_they_name_the_file_its_size_its_end_and_the_link(self, kind: str) -> None:
        message = sent(kind, told("reports/报告 q3.pdf"))
        text = texts(message)
        assert "reports/报告 q3.pdf" in text
        assert "1.2 MB, until 2026-03-08 06:45 UTC" in text
        assert "1 new file" in text
        assert URL in json.dumps(message).replace("\\u0026", "&")

    def test_the_shapes_are_the_services_own(self) -> None:
        assert sent("dingtalk", told())["msgtype"] == "markdown"
        assert set(sent("dingtalk", told())["markdown"]) == {"title", "text"}
        assert sent("wecom", told())["markdown"].keys() == {"content"}
        assert sent("feishu", told())["msg_type"] == "interactive"
        assert sent("slack", told())["blocks"][0]["type"] == "rich_text"

    @pytest.mark.parametrize(
        ("size", "shows"),
        [(None, "(until"), (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KB"), (5 << 40, "5.0 TB")],
    )
    def test_a_size_is_readable(self, size: int | None, shows: str) -> None:
        assert shows in texts(sent("dingtalk", told(size=size)))

    def test_a_long_name_keeps_its_beginning_and_its_end(self) -> None:
        found = shown("a" * 600 + ".tar.gz")
        assert len(found) < 170
        assert found.startswith("aaa")
        assert found.endswith(".tar.gz")


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
names = st.text(max_size=80) | st.sampled_from(NASTY) | st.lists(st.sampled_from(NASTY), max_size=4).map("".join)


def is_plain(text: str) -> bool:
    """One line of characters that are shown, none of which means anything in a chat's markup."""
    return (
        not _MARKUP & set(text)
        and "://" not in text
        and not re.match(r"([-+=]+|[0-9]+[.)])(\s|$)", text)
        and all(unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in text)
        and not re.search(r"(?<![^\W_])_|_(?![^\W_])", text)
    )


class TestNamesAreData:
    @given(names)
    def test_a_name_has_no_markup_left(self, name: str) -> None:
        assert is_plain(harmless(name))
        assert 0 < len(harmless(name)) <= 180

    @pytest.mark.parametrize("name", NASTY)
    @pytest.mark.parametrize("kind", ROBOTS)
    def test_a_nasty_name_changes_a_message_in_the_name_alone(self, kind: str, name: str) -> None:
        plain, nasty = sent(kind, told("a.txt")), sent(kind, told(name))

        def same(mine: Any, other: Any) -> Any:
            if isinstance(mine, dict):
                assert list(mine) == list(other)
                return [same(mine[key], other[key]) for key in mine if key not in ("sign", "timestamp")]
            if isinstance(mine, list):
                assert len(mine) == len(other)
                return list(map(same, mine, other))
            assert type(mine) is type(other)
            if isinstance(mine, str):
                assert mine == other.replace(harmless(name), "a.txt")
            else:
                assert mine == other
            return None

        same(plain, nasty)

    @given(names, st.sampled_from(ROBOTS))
    def test_no_mention_no_link_and_no_card_can_be_made_of_a_name(self, name: str, kind: str) -> None:
        message = sent(kind, told(name))
        shows = texts(message)
        assert "@" not in shows
        assert not re.search(r"<\s*(a|at|font|!)", shows)
        assert "evil.example/)" not in shows
        if kind == "dingtalk":
            assert message["at"] == {"atMobiles": [], "atUserIds": [], "isAtAll": False}
        if kind in ("dingtalk", "wecom"):
            text = message["markdown"].get("text") or message["markdown"]["content"]
            assert re.findall(r"\]\(([^)]*)\)", text) == [safe_url(URL)]
            assert len(text.splitlines()) == (3 if kind == "dingtalk" else 2)

    @given(names)
    def test_a_program_gets_the_key_as_it_is(self, name: str) -> None:
        assert sent("webhook", told(name))["data"]["key"] == f"outbox/{name}"

    @given(st.text(max_size=40))
    def test_a_link_ends_no_markdown(self, tail: str) -> None:
        tail = tail.encode("ascii", "ignore").decode()
        assert re.fullmatch(r"[A-Za-z0-9:/?&=%._~+#-]*", safe_url(URL + tail))
        assert safe_url(URL) == URL


class TestLimits:
    @pytest.mark.parametrize("kind", KINDS)
    def test_many_notices_are_few_messages_within_the_limit(self, kind: str) -> None:
        tolds = [told(f"{'报告' * 20}-{number}.pdf", number=number) for number in range(300)]
        batches = messages(KINDS[kind], tolds)
        assert [entry for batch in batches for entry in batch] == tolds
        bodies = [sent(kind, *batch) for batch in batches]
        limits = {"dingtalk": 20_000, "feishu": 20 * 1024, "slack": 13_000, "webhook": 600_000}
        for body in bodies:
            if kind == "wecom":
                assert len(body["markdown"]["content"].encode()) <= 4096
            else:
                assert len(json.dumps(body)) <= limits[kind]
        assert len(batches) <= {"webhook": 1, "wecom": 150, "slack": 30, "dingtalk": 15, "feishu": 20}[kind]

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_notice_alone_always_fits(self, kind: str) -> None:
        longest = told("报" * 340, url=URL + "&x=" + "a" * 6000)
        ((only,),) = messages(KINDS[kind], [longest])
        body = sent(kind, only)
        if kind == "wecom":
            assert len(body["markdown"]["content"].encode()) <= 4096
            assert "give = share" in body["markdown"]["content"]
        else:
            assert len(json.dumps(body)) < 13_000

    def test_nothing_is_no_message(self) -> None:
        assert messages(KINDS["slack"], []) == []


class TestVerdicts:
    @pytest.mark.parametrize(
        ("kind", "body", "outcome"),
        [
            ("webhook", b"anything", "told"),
            ("webhook", b"", "told"),
            ("dingtalk", b'{"errcode": 0, "errmsg": "ok"}', "told"),
            ("dingtalk", b'{"errcode": 130101, "errmsg": "send too fast"}', "later"),
            ("dingtalk", b'{"errcode": -1}', "again"),
            ("dingtalk", b'{"errcode": 310000, "errmsg": "sign not match"}', "refused"),
            ("dingtalk", b'{"errcode": "0"}', "refused"),
            ("dingtalk", b'{"errcode": false}', "refused"),
            ("dingtalk", b"", "again"),
            ("dingtalk", b'{"errco', "again"),
            ("dingtalk", b"[0]", "refused"),
            ("wecom", b'{"errcode": 0}', "told"),
            ("wecom", b'{"errcode": 45009}', "later"),
            ("wecom", b'{"errcode": 93000}', "refused"),
            ("feishu", b'{"code": 0, "msg": "success"}', "told"),
            ("feishu", b'{"StatusCode": 0, "StatusMessage": "success"}', "told"),
            ("feishu", b'{"code": 11232}', "again"),
            ("feishu", b'{"code": 19021, "StatusCode": 0}', "refused"),
            ("slack", b"ok", "told"),
            ("slack", b"invalid_payload", "refused"),
            ("slack", b"", "again"),
        ],
    )
    def test_an_answer_means(self, kind: str, body: bytes, outcome: str) -> None:
        assert KINDS[kind].verdict(200, body).outcome == outcome


class TestEntries:
    GOOD: Mapping[str, Any] = {"kind": "webhook", "url": "https://hooks.example.com/x?y=1", "secret": WHSEC}

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
    def test_a_good_entry_is_read(self, entry: Mapping[str, Any]) -> None:
        assert read_sink("ops", entry, KINDS).url == entry["url"]

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"kind": "pager"}, "kind that is none of webhook, dingtalk, feishu, wecom, slack"),
            ({"kind": None}, "kind that is none of"),
            ({"kind": ["webhook"]}, "kind that is none of"),
            ({"url": None}, "no url that begins with https://"),
            ({"url": ""}, "no url"),
            ({"url": "ftp://x.example"}, "no url"),
            ({"url": "https://x.example/\n"}, "no url"),
            ({"url": "https://x.example/报告"}, "no url"),
            ({"url": "https://x.example/" + "a" * 2048}, "no url"),
            ({"url": "http://hooks.example.com/x"}, "allow_loopback opens http://127.0.0.1 alone"),
            ({"url": "http://127.0.0.1/x"}, "allow_loopback opens"),
            ({"url": "http://localhost/x", "allow_loopback": True}, "allow_loopback opens"),
            ({"url": "http://127.0.0.1.evil.example/", "allow_loopback": True}, "allow_loopback opens"),
            ({"url": "http://127.0.0.1@evil.example/", "allow_loopback": True}, "allow_loopback opens"),
            ({"url": "http://127.0.0.2/", "allow_loopback": True}, "allow_loopback opens"),
            ({"url": "https://user:pass@x.example/"}, "scheme, host, path and query alone"),
            ({"url": "https://x.example/#top"}, "scheme, host, path and query alone"),
            ({"url": "https:///x"}, "scheme, host, path and query alone"),
            ({"url": "https://x.example:99999/"}, "scheme, host, path and query alone"),
            ({"allow_loopback": "yes"}, "neither true nor false"),
            ({"secret": None}, "no secret"),
            ({"secret": 7}, "no secret"),
            ({"secret": "a" * 40}, "whsec_"),
            ({"secret": "whsec_" + base64.b64encode(b"a" * 23).decode()}, "whsec_"),
            ({"secret": "whsec_" + base64.b64encode(b"a" * 65).decode()}, "whsec_"),
            ({"secret": "whsec_!!!!" + "a" * 40}, "whsec_"),
            ({"kind": "slack"}, "are not signed: leave it out"),
            ({"Secret-member-EXAMPLE": 1}, "a member that is not known"),
        ],
    )
    def test_a_bad_entry_says_why_and_shows_nothing(self, change: Mapping[str, Any], says: str) -> None:
        with pytest.raises(InvalidSink, match=r"The sink ops of the keys document") as refused:
            read_sink("ops", {**self.GOOD, **change}, KINDS)
        sentence = refused.value.sentence
        assert says in sentence
        assert not any(value in sentence for value in (WHSEC, "hooks.example.com", "pass@", "Secret-member"))
