"""What pages say: names that read as they are, types as people know them, and errors that ask nothing technical."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from handler.core.errors import ERRORS, Problem
from handler.core.words import Words
from handler.web import pages
from handler.web.pages.file_types import file_type, media_file_type
from handler.web.pages.words import PROBLEMS, SHARE, UPLOAD
from handler.web.response import Response
from tests.memory_oss import MemoryOss
from tests.system import HTML, System

# What only developers say.
TECHNICAL = re.compile(
    r"API|HTTP|JSON|OSS|URL|token|header|query|parameter|encod|method|mount|nonce|links\.toml|operator|密钥|令牌|参数|请求头"
)


ORIGIN = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com"
NONCE, END = "nonce-EXAMPLE-000000000", 1_772_347_271
NOTHING = pages.SharedPage(Words(), END)


def share_page(
    name: str, media_type: str = "text/plain", lang: str = "en", shared: pages.SharedPage = NOTHING
) -> Response:
    file = pages.SharedFile(name, 1, media_type, None, None)
    return pages.share_page(lang, shared, file, nonce=NONCE, link_origin=ORIGIN)


def upload_page(
    title: str | None, content_type: str | None = None, message: str | None = None
) -> Response:
    upload = pages.SharedUpload(1, content_type, 1)
    return pages.upload_page(
        "en", pages.SharedPage(Words(title, message), END), upload, link_origin=ORIGIN
    )


def code_page(title: str | None, message: str | None = None) -> Response:
    return pages.code_page("en", pages.SharedPage(Words(title, message), END))


@pytest.mark.parametrize(
    "page",
    [
        share_page,
        upload_page,
        code_page,
        lambda words: code_page(None, words),
        lambda words: upload_page("", None, words),
    ],
    ids=[
        "a file name",
        "a title of uploads",
        "a title before the code",
        "a message",
        "a message of uploads",
    ],
)
def test_a_control_of_direction_becomes_an_underscore(page: Callable[[str], Response]) -> None:
    """Every one of Unicode (UAX 9, table 1 and section 2)."""
    kinds = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    controls = [
        each
        for each in map(chr, range(sys.maxunicode + 1))
        if unicodedata.bidirectional(each) in kinds
    ]
    for control in (*controls, "\u061c", "\u200e", "\u200f"):
        body = page(f"report{control}fdp.exe").body
        assert control not in unescape(body)
        assert "report_fdp.exe" in unescape(body), ascii(control)
        assert not re.search(r"&#x?[0-9a-f]+;", body, re.IGNORECASE), ascii(control)


@pytest.mark.parametrize(
    "letter", [*"\u200b\u2060\u3164\ufeff\u00ad\u2800\u2028\u115f\U000e0001\U000e0061\U000e01ef"]
)
@pytest.mark.parametrize("page", [share_page, upload_page, lambda words: code_page(None, words)])
def test_what_nobody_sees_becomes_an_underscore(
    page: Callable[[str], Response], letter: str
) -> None:
    body = page(f"a{letter}b.txt").body
    assert "a_b.txt" in unescape(body)
    assert letter not in unescape(body)


def test_a_name_of_nothing_but_blanks_is_shown_and_every_other_as_it_is() -> None:
    for name in (" ", "\u3000\xa0", "\u200b"):
        assert "<h1>_</h1>" in share_page(name).body
    for name in (
        "报告 q3.pdf",
        "می\u200cروم.pdf",
        "דוח.pdf",
        "👩\u200d💻.png",
        "a & b <c>.txt",
        "Zoë_$1.txt",
    ):
        assert f"<h1>{name}</h1>" in unescape(share_page(name).body)


def test_so_it_is_on_the_page_of_a_share_by_its_path_and_by_its_chosen_name(
    in_memory: System, oss: MemoryOss
) -> None:
    path = "/reports/q3\u202efdp.exe"
    oss.fill({path[1:]: b"content"})
    for url in (
        in_memory.create_share(path=path),
        in_memory.create_share(path=path, download="q4\u2066fdp.exe"),
    ):
        page = in_memory.open(url, headers=HTML)
        assert re.search("<h1>q[34]_fdp.exe</h1>", page.body)
        assert re.search("<title>q[34]_fdp.exe</title>", page.body)
        assert not {"\u202e", "\u2066"} & set(unescape(page.body))


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("code", ERRORS)
def test_no_error_speaks_to_developers(code: str, lang: str) -> None:
    body = unescape(pages.problem_page(Problem(code), "req-EXAMPLE", lang).body)
    main = body.partition("<main>")[2].partition("<footer>")[0]
    assert re.search(r"<h1>.{2,}</h1>\s*<p>.{6,}</p>", main)
    assert not TECHNICAL.search(main), main
    assert f"<footer>{ERRORS[code].status} {code} · req-EXAMPLE</footer>" in body


@pytest.mark.parametrize(
    ("code", "english", "chinese"),
    [
        ("share_invalid", "Invalid link", "链接无效"),
        ("share_expired", "This link has expired", "链接已过期"),
        ("share_owner_removed", "This link was withdrawn", "链接已撤销"),
        ("state_unavailable", "Temporarily unavailable", "服务暂不可用"),
        ("bad_path", "This link does not work", "链接无法使用"),
    ],
)
def test_an_error_has_a_title_in_the_language_of_its_reader(
    code: str, english: str, chinese: str
) -> None:
    for accept, title in (
        ("en-GB", english),
        ("zh-TW, en;q=0.5", chinese),
        ("de", english),
        ("zh;q=0.1, en", english),
    ):
        page = pages.problem_page(Problem(code), "req-EXAMPLE", accept)
        policy = page.headers["Content-Security-Policy"]
        assert (
            policy.startswith("default-src 'none';"),
            "script-src" in policy,
            "unsafe" in policy,
        ) == (
            True,
            False,
            False,
        )
        assert all(
            f"{name} 'none'" in policy for name in ("base-uri", "form-action", "frame-ancestors")
        )
        assert f"<title>{title}</title>" in page.body
        assert not re.search(
            r"<(script|link|img|iframe|form|a|svg|object)\b|https?://|url\(|@import", page.body
        )


def test_the_policy_of_a_share_allows_its_own_script_and_the_origin_of_the_link() -> None:
    page = share_page("q3.pdf")
    policy = re.sub(r"nonce-[A-Za-z0-9_-]{22}", "nonce-…", page.headers["Content-Security-Policy"])
    assert policy == (
        "default-src 'none'; style-src 'nonce-…'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; "
        "form-action 'self' https://examplebucket.oss-cn-hangzhou.aliyuncs.com; "
        "script-src 'nonce-…'; connect-src 'self'"
    )
    assert page.headers["Vary"] == "Accept, Accept-Language, Authorization"
    assert "<dt>Downloads left</dt>" not in page.body
    assert 'id="note"' not in page.body


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_neither_does_any_other_word_of_the_pages(lang: str) -> None:
    for words in (SHARE[lang], UPLOAD[lang]):
        for word in words.values():
            assert not TECHNICAL.search(word), word


@pytest.mark.parametrize("words", [SHARE, UPLOAD, PROBLEMS], ids=["share", "upload", "problem"])
def test_both_languages_have_the_same_words(words: dict[str, dict[str, object]]) -> None:
    assert list(words["en"]) == list(words["zh"])


OFFICE = "application/vnd.openxmlformats-officedocument"
BINARY = "application/octet-stream"
MARKS = dict(
    re.findall(
        r'"(\w+)": "([^"]*)",',
        (Path(pages.__file__).parents[1] / "templates/icon.html").read_text(),
    )
)


@pytest.mark.parametrize(
    ("name", "media_type", "english", "chinese", "icon"),
    [
        ("q3.xlsx", f"{OFFICE}.spreadsheetml.sheet", "Excel workbook", "Excel 工作簿", "table"),
        ("q3", "application/vnd.ms-excel", "Excel workbook", "Excel 工作簿", "table"),
        ("Q3.DOC", BINARY, "Word document", "Word 文档", "text"),
        ("q3.pptx", "", "PowerPoint presentation", "PowerPoint 演示文稿", "slides"),
        ("all.zip", "application/zip", "ZIP archive", "ZIP 压缩包", "archive"),
        ("photo", "IMAGE/PNG", "Image", "图片", "image"),
        ("clip.mp4", "video/mp4", "Video", "视频", "video"),
        ("talk.mp3", "audio/mpeg", "Audio", "音频", "audio"),
        ("a.txt", "text/plain; charset=utf-8", "Text", "文本", "text"),
        ("plan.dwg", BINARY, "DWG file", "DWG 文件", "file"),
        # What the name says is what the reader's machine does with it.
        ("invoice.pdf.exe", "application/pdf", "Program", "程序", "program"),
    ],
)
def test_a_type_is_called_as_people_know_it(
    name: str, media_type: str, english: str, chinese: str, icon: str
) -> None:
    kind = file_type(name, media_type)
    assert kind is not None
    assert (kind.en, kind.zh, kind.icon) == (english, chinese, icon)
    for lang, word in (("en", english), ("zh", chinese)):
        body = share_page(name, media_type, lang).body
        assert f"<dd>{word}</dd>" in body
        assert f'<path d="{MARKS[icon]}"/></svg>' in body
        assert not media_type or media_type not in body


@pytest.mark.parametrize(
    "name", ["README", "v1.2 final", ".profile", "2026.07", "data.", "a.季度", "x." + "y" * 9]
)
def test_a_type_that_nothing_says_is_left_out(name: str) -> None:
    assert file_type(name, BINARY) is None
    assert "<dt>Type</dt>" not in share_page(name, BINARY).body


@pytest.mark.parametrize(
    ("accepted", "word"),
    [("image/", "Image"), ("application/pdf", "PDF document"), ("text/csv", "Table (CSV)")],
)
def test_accepted_types_have_the_same_names(accepted: str, word: str) -> None:
    kind = media_file_type(accepted)
    assert kind is not None
    assert kind.en == word
    body = upload_page("inbox", accepted).body
    assert f"<dd>{word}</dd>" in body
    assert f'<path d="{MARKS[kind.icon]}"/></svg>' in body
    assert "<h1>inbox</h1>" in body
    assert '<svg class="icon"' not in upload_page(None).body
    assert "<h1>Send files</h1>" in upload_page(None).body


def test_a_message_keeps_its_lines_and_is_never_markup() -> None:
    for page in (
        code_page("<i>", "<b>a</b>\n\nb & c"),
        share_page("q3.pdf", shared=pages.SharedPage(Words("<i>", "<b>a</b>\n\nb & c"), END)),
    ):
        assert '<p class="message">&lt;b&gt;a&lt;/b&gt;<br><br>b &amp; c</p>' in page.body
        assert "<h1>&lt;i&gt;</h1>" in page.body
    assert "<dt>File</dt><dd>q3.pdf</dd>" in page.body
    assert 'class="message"' not in share_page("q3.pdf").body
