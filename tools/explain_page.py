"""docs/causes.md, with a section for each finding of `explain`; the lists in docs/explain.md; llms.txt.

Run as a program, this writes them, the first two in English and Chinese, or with `--check` only says whether they are
current. The entries come from signer/diagnosis, and the answers from the local OSS; tools/pages.yaml has what the pages
say around them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from werkzeug.test import Client

import signer
from signer.diagnosis.causes import CAUSES, Cause, causes_in
from signer.emulator.oss import create_app
from signer.emulator.oss.errors import OssError

ROOT = Path(__file__).parents[1]
LANGUAGES = {"en": ".md", "zh": ".zh-CN.md"}

ISSUED = 1_764_000_000  # 2025-11-24 16:00:00 UTC
BUCKET = "examplebucket"
KEY = "reports/q3 final.pdf"
HOST = "oss-cn-hangzhou.aliyuncs.com"
PERMANENT = signer.Credentials("LTAI5tEXAMPLE", "secretEXAMPLEsecretEXAMPLE")
TEMPORARY = signer.Credentials(
    "STS.EXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIS+token/EXAMPLE+EXAMPLE=="
)

Tables = dict[str, Any]
Causes = Mapping[str, Cause]
Example = tuple[str, str, str]


def read_tables() -> Tables:
    """What the pages say around the entries."""
    tables: Tables = yaml.safe_load((ROOT / "tools/pages.yaml").read_text(encoding="utf-8"))
    return tables


def ecs_of(cause: Cause) -> list[str]:
    """OSS's finer codes among the codes of a cause."""
    return [code for code in cause.codes if code[0].isdigit()]


def edited(url: str, edits: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in edits:
        url = re.sub(pattern, replacement, url, flags=re.DOTALL)
    return url


def documented_answer(error: str, ecs: Sequence[str], extra: Tables) -> str:
    status, code, message = re.fullmatch(r"(\d+) (\w+)(?:: (.*))?", error).groups("")  # type: ignore[union-attr]
    ec = ecs[0] if len(ecs) == 1 else ""
    xml = OssError(int(status), code, message, ec=ec, **extra).xml("-", f"{BUCKET}.{HOST}").decode()
    return xml.replace("  <Message></Message>\n", "")


def local_answer(url: str, example: Tables, credentials: signer.Credentials, root: Path) -> str:
    """What local OSS answers, whose clock shows when the link is used."""
    now = ISSUED + example.get("after", 120)
    app = create_app(
        root,
        region="cn-hangzhou",
        credentials=[credentials],
        buckets=[BUCKET],
        now=lambda: float(now),
    )
    address, _, query = url.partition("?")
    path = "/" + address.split("/", 3)[3]
    response = Client(app).open(
        path,
        method=example.get("method", "GET"),
        base_url=address.removesuffix(path),
        query_string=query,
        headers=example.get("headers"),
        environ_overrides={"RAW_URI": f"{path}?{query}", "REQUEST_URI": f"{path}?{query}"},
    )
    assert response.status_code >= 400
    return response.headers["x-oss-err"] if response.request.method == "HEAD" else response.text


def explained(cause: Cause, **changes: object) -> tuple[str, str, str]:
    """The source of an answer, the answer, and what `explain` says about it and about the link of the example.

    `changes` are members of the example with other values.
    """
    example = {**json.loads(cause.example), **changes}
    credentials = TEMPORARY if example.get("temporary") else PERMANENT
    method = example.get("method", "GET")
    signed = signer.presign(
        example.get("signed_method", method),
        BUCKET,
        example.get("key", KEY),
        credentials=credentials._replace(**example.get("signed_by", {})),
        endpoint=signer.Endpoint(*example.get("endpoint", ("https", HOST, "cn-hangzhou"))),
        expires_in=600,
        now=ISSUED,
        **example.get("options", {}),
    )
    source = example.get("answer", "oss" if cause.errors else "local")
    cdn = signer.CdnKey("EXAMPLEEXAMPLE16") if source == "cdn" else None
    if cdn is not None:
        address = "https://static.example.com/reports/q3%20final.pdf"
        signed = signer.presign_cdn(address, cdn, expires_in=600, now=ISSUED)
    url = edited(signed.url, example.get("edit", ()))
    xml = ""
    if source == "oss":
        shown = [example["ec"]] if "ec" in example else ecs_of(cause)
        xml = documented_answer(
            example.get("error") or cause.errors[0], shown, example.get("extra", {})
        )
    elif source == "local":
        sent = edited(url, example.get("sent", ()))
        known = credentials._replace(**example.get("known", {}))
        with tempfile.TemporaryDirectory() as root:
            xml = local_answer(sent, example, known, Path(root))
    elif source == "cdn":
        said = example.get("said", "invalid md5hash")
        xml = f"HTTP/1.1 403 Forbidden\nX-Tengine-Error: denied by req auth: {said}\n"
    explanation = signer.explain(
        url,
        error_xml=xml or None,
        method=method,
        headers=example.get("headers") if example.get("know_secret") else None,
        now=ISSUED + example.get("after", 120),
        credentials=credentials if example.get("know_secret") else None,
        cdn=cdn,
    )
    return source, xml if source == "cdn" else redacted(xml), str(explanation)


def redacted(xml: str) -> str:
    """An answer as a page shows it: without secrets, and with the same request id everywhere."""
    if "<" not in xml:
        xml = b64decode(xml).decode()
    xml = re.sub(r"<(OSSAccessKeyId|SignatureProvided)>[^<]*<", r"<\1>REDACTED<", xml)
    xml = re.sub(r"<(\w+Bytes)>[^<]*<", r"<\1>...<", xml)
    xml = re.sub(r"<RequestId>[^<]*<", "<RequestId>692480C0E5A1B2C3D4E5F607<", xml)
    xml = re.sub(r"\n[0-9a-f]{64}<", "\n...<", xml)
    return signer.redact(xml).replace('<?xml version="1.0" encoding="UTF-8"?>\n', "")


def plain(sentence: str) -> str:
    """A sentence that is not Markdown, as Markdown."""
    return re.sub(r"&(?=\w+;)|[\\<*\[\]`]", r"\\\g<0>", sentence)


def errors_of(causes: Causes, cause: Cause) -> list[str]:
    """OSS's own errors for a finding, or the first of each finding that it looks like."""
    return [*cause.errors] or [causes[like].errors[0] for like in cause.like]


def error_line(error: str) -> str:
    return re.sub(
        r"^(\d+) ([\w-]+)(.*)$", lambda match: f"{match[1]} `{match[2]}`{plain(match[3])}", error
    )


def linked(cause: Cause, page: str = "") -> str:
    return f"[{plain(cause.title)}]({page}#{cause.code})"


def alike(causes: Causes, code: str) -> list[str]:
    """The findings that look the same, in the order of the entries."""
    own = {*causes[code].like, *causes[code].near}
    return [
        other for other, cause in causes.items() if other in own or code in cause.like + cause.near
    ]


def paragraphs(output: str) -> list[str]:
    """What `explain` printed, with the lines of one sentence together, without what it read and what to do."""
    joined = re.split(r"\n(?=\S| {2}\w| {3}[A-Z])", output)
    return [
        each
        for each in map(str.rstrip, joined)
        if each and not each.startswith(("   Fix:", "Read: "))
    ]


def options_of(example: Tables, source: str) -> str:
    """The options with which the command explains an example."""
    options = ["fc-presign explain -"]
    if "method" in example:
        options.append(f"--method {example['method']}")
    if example.get("know_secret"):
        headers = example.get("headers", {}).items()
        options += [f"--header '{name}: {value}'" for name, value in headers]
        options.append("--profile default")
    if source == "cdn":
        options.append("--cdn-key -")
    return " ".join(options)


def section(
    causes: Causes, code: str, words: Mapping[str, str], examples: Mapping[str, Example]
) -> str:
    """The section of a finding: what one sees, whether it is one's case, and what to do."""
    cause = causes[code]
    others = alike(causes, code)
    source, _, output = examples[code]
    seen = " · ".join(map(error_line, errors_of(causes, cause))) or cause.seen
    if ecs := ecs_of(cause):
        seen += f" {words['ec'].format(', '.join(ecs))}"
    command = options_of(json.loads(cause.example), source)
    said = words["says"] if command.endswith(" -") else words["option"].format(command)
    known = {each for other in others for each in paragraphs(examples[other][2])}
    own = [each for each in paragraphs(output) if each not in known]
    related = " · ".join(linked(causes[other]) for other in others)
    if cause.stage == "before signature" or cause.like == ("signature_mismatch",):
        related += f". {words[cause.stage]}" if cause.stage in words else ""
    untranslated = words["untranslated"] if cause.language == "en" else ""
    fence = "\n".join(["```text", *own, "```"])
    parts = [
        f"## {code}",
        untranslated,
        f"**{plain(cause.title)}**",
        f"{words['see']} {seen}",
        f"{words['case']} {cause.why} {said}",
        fence,
        f"{words['do']} {plain(cause.advice)}",
        cause.more,
        f"{words['alike']} {related}" if others else "",
    ]
    return "\n\n".join(filter(None, parts))


def listing(causes: Causes, page: str, words: Mapping[str, str]) -> str:
    """OSS's errors, each with the causes that it may have: the title of one at its first error, later its code."""
    groups = {}
    for code, cause in causes.items():
        if cause.errors:
            ecs = f" (EC {', '.join(ecs_of(cause))})" if ecs_of(cause) else ""
            like = [other for other in causes if code in causes[other].like]
            groups[" · ".join(map(error_line, cause.errors)) + ecs] = [code, *like]
    groups = dict(sorted(groups.items(), key=lambda group: -len(group[1])))
    groups[words["no_answer"]] = [code for code in causes if not errors_of(causes, causes[code])]
    lines = []
    listed = set[str]()
    for group, codes in groups.items():
        new = [linked(causes[code], page) for code in codes if code not in listed]
        lines += [f"- {group}", *(f"  - {link}" for link in new)]
        repeated = [f"[{code}]({page}#{code})" for code in codes if code in listed]
        if repeated:
            lines.append(f"  - {words['above']} {', '.join(repeated)}")
        listed.update(codes)
    return "\n".join(lines) + "\n"


def pages(tables: Tables) -> Iterator[tuple[Path, str]]:
    """Each generated file and its content."""
    examples = {code: explained(cause) for code, cause in CAUSES.items()}
    for language, suffix in LANGUAGES.items():
        causes = causes_in(language)
        words = tables["words"][language]
        sections = [section(causes, code, words, examples) for code in causes]
        text = tables["templates"][language].replace("{causes}", "\n\n".join(sections))
        yield ROOT / f"docs/causes{suffix}", text
        path = ROOT / f"docs/explain{suffix}"
        before, mark, rest = path.read_text(encoding="utf-8").partition("<!-- findings -->\n")
        links = listing(causes, f"causes{suffix}", words)
        yield path, f"{before}{mark}{links}<!-- end -->{rest.partition('<!-- end -->')[2]}"


def llms_txt(texts: dict[Path, str], introduction: str, pages: Mapping[str, str]) -> str:
    """The list of pages in the format of llmstxt.org, each of `pages` with what it says of it."""
    found = sorted({*texts, *ROOT.glob("docs/*.md"), *(ROOT / name for name in pages)})
    entries = {}
    for path in found:
        name = path.relative_to(ROOT).as_posix()
        title = re.findall(r"(?m)^# (.*)$", texts.get(path) or path.read_text(encoding="utf-8"))[0]
        entries[path] = f"- [{title}]({name})" + (f": {pages[name]}" if name in pages else "")
    english = {
        path: entry for path, entry in entries.items() if not path.name.endswith(LANGUAGES["zh"])
    }
    sections = {
        "Documentation": [english[ROOT / name] for name in pages],
        "Optional": [entry for path, entry in entries.items() if path not in english],
    }
    return introduction + "".join(
        f"\n## {title}\n\n" + "\n".join(lines) + "\n" for title, lines in sections.items()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Write docs/causes.md, the lists of docs/explain.md, and llms.txt."
    )
    parser.add_argument("--check", action="store_true", help="only check that they are current")
    options = parser.parse_args(arguments)
    tables = read_tables()
    texts = dict(pages(tables))
    texts[ROOT / "llms.txt"] = llms_txt(texts, tables["llms"], tables["pages"])
    stale = {
        path
        for path, text in texts.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path in sorted(stale):
        if options.check:
            print(
                f"{path.relative_to(ROOT).as_posix()} is not current: run make docs.",
                file=sys.stderr,
            )
        else:
            path.write_text(texts[path], encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
