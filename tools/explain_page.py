"""docs/errors, a page for each finding of `explain` in English and Chinese; the lists in docs/explain.md; llms.txt.

Run as a program, this writes them, or with `--check` only says whether they are current. What is wrong and what to do
come from signer/diagnosis, and the answers from local OSS; tools/findings.yaml has what only the pages say.
"""

from __future__ import annotations

import argparse
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
from signer.diagnosis.advice import ADVICE
from signer.diagnosis.facts import CHECKED_BEFORE_SIGNATURE, SIGNATURE_CODES
from signer.diagnosis.oss_error import FINDING_BY_EC
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


def read_tables() -> Tables:
    """tools/findings.yaml, with the sentences of `explain` as those of its language."""
    tables: Tables = yaml.safe_load((ROOT / "tools/findings.yaml").read_text(encoding="utf-8"))
    for code, (title, advice) in ADVICE.items():
        if code not in tables["findings"]:
            sys.exit(f"tools/findings.yaml does not have the finding {code}.")
        tables["findings"][code]["en"] |= {"title": title, "advice": advice}
    return tables


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


def explained(finding: Tables, ecs: Sequence[str]) -> tuple[str, str, str]:
    """The source of an answer, the answer, and what `explain` says about it and about the link of the example."""
    example = finding["example"]
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
    source = example.get("answer", "oss" if "oss" in finding else "local")
    cdn = signer.CdnKey("EXAMPLEEXAMPLE16") if source == "cdn" else None
    if cdn is not None:
        address = "https://static.example.com/reports/q3%20final.pdf"
        signed = signer.presign_cdn(address, cdn, expires_in=600, now=ISSUED)
    url = edited(signed.url, example.get("edit", ()))
    xml = ""
    if source == "oss":
        shown = [example["ec"]] if "ec" in example else ecs
        xml = documented_answer(
            example.get("error") or finding["oss"][0], shown, example.get("extra", {})
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


def ecs_of(code: str) -> list[str]:
    return [ec for ec, finding in FINDING_BY_EC.items() if finding == code]


def errors_of(findings: Tables, code: str) -> list[str]:
    """OSS's own errors for a finding, or the first of each finding that it looks like."""
    return findings[code].get("oss") or [
        findings[like]["oss"][0] for like in findings[code].get("like", ())
    ]


def error_line(error: str) -> str:
    return re.sub(
        r"^(\d+) ([\w-]+)(.*)$", lambda match: f"{match[1]} `{match[2]}`{plain(match[3])}", error
    )


def heading(findings: Tables, code: str, language: str) -> str:
    """OSS's own error where only this finding has it; otherwise its code and what is wrong."""
    title = plain(findings[code][language]["title"])
    errors = errors_of(findings, code)
    error, _, message = errors[0].partition(" ")[2].partition(": ") if errors else ("", "", "")
    if "oss" in findings[code] and message:
        return f"{error}: {plain(message)}" + (
            f"（{title.removesuffix('。')}）" if language == "zh" else ""
        )
    return f"{error}: {title}" if error else title


def linked(findings: Tables, code: str, language: str, folder: str = "") -> str:
    return f"[{plain(findings[code][language]['title'])}]({folder}{code}{LANGUAGES[language]})"


def finding_page(tables: Tables, code: str, language: str, example: tuple[str, str, str]) -> str:
    """The page of a finding, with what `explained` returned for its example."""
    findings = tables["findings"]
    words = tables["words"][language]
    (source, xml, output) = example
    finding = findings[code]
    own = findings[code][language]
    answers = [
        "\n".join(f"- {error_line(error)}" for error in errors_of(findings, code)) or own["seen"]
    ]
    answers += [words["ec"].format(", ".join(ecs_of(code)))] if ecs_of(code) else []
    if xml:
        answers += [words[source], f"```{'text' if source == 'cdn' else 'xml'}\n{xml}```"]
    options = [f"--method {method}" for method in filter(None, [finding["example"].get("method")])]
    if finding["example"].get("know_secret"):
        options += [
            f"--header '{name}: {value}'"
            for name, value in finding["example"].get("headers", {}).items()
        ]
        options += ["--profile default"]
    options += ["--cdn-key -"] if source == "cdn" else []
    needs = "key" if finding["example"].get("know_secret") else "no_key"
    like = finding.get("like", [])
    related = [
        f"- {linked(findings, other, language)}"
        for other, row in findings.items()
        if other in like + finding["near"] or code in row.get("like", []) + row["near"]
    ]
    if code in CHECKED_BEFORE_SIGNATURE:
        related[:0] = [words["before_signature"], ""]
    elif code in SIGNATURE_CODES and like == ["signature_mismatch"]:
        related[:0] = [words["in_signature"], ""]
    page: str = tables["templates"][language].format(
        code=code,
        heading=heading(findings, code, language),
        title=plain(own["title"]),
        first=f"\n{own['first']}" if "first" in own else "",
        answers="\n\n".join(answers),
        options="".join(f" {option}" for option in options),
        needs=words["cdn_key" if source == "cdn" else needs],
        output=re.sub(r"(?s)(   Fix:      ).*?(?=\n\d\. |\nNote: |$)", r"\1…", output, count=1),
        advice="\n\n".join([plain(own["advice"]), *filter(None, [own.get("more")])]),
        why=own["why"],
        related="\n".join(related),
    )
    return page


def listing(findings: Tables, language: str, no_answer: str) -> str:
    """OSS's errors, each with the pages of the findings that it may mean."""
    groups = {}
    for code, finding in findings.items():
        if "oss" in finding:
            ecs = f" (EC {', '.join(ecs_of(code))})" if ecs_of(code) else ""
            alike = [other for other in findings if code in findings[other].get("like", ())]
            groups[" · ".join(map(error_line, finding["oss"])) + ecs] = [code, *alike]
    groups = dict(sorted(groups.items(), key=lambda group: -len(group[1])))
    groups[no_answer] = [code for code in findings if not errors_of(findings, code)]
    lines = []
    for group, codes in groups.items():
        lines += [
            f"- {group}",
            *(f"  - {linked(findings, code, language, 'errors/')}" for code in codes),
        ]
    return "\n".join(lines) + "\n"


def pages(tables: Tables) -> Iterator[tuple[Path, str]]:
    """Each generated file and its content."""
    findings = tables["findings"]
    examples = {code: explained(finding, ecs_of(code)) for code, finding in findings.items()}
    for language, suffix in LANGUAGES.items():
        for code in findings:
            yield (
                ROOT / f"docs/errors/{code}{suffix}",
                finding_page(tables, code, language, examples[code]),
            )
        path = ROOT / f"docs/explain{suffix}"
        before, mark, rest = path.read_text(encoding="utf-8").partition("<!-- findings -->\n")
        links = listing(findings, language, tables["words"][language]["no_answer"])
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
    errors = {path: entry for path, entry in english.items() if path.parent.name == "errors"}
    sections = {
        "Documentation": [english[ROOT / name] for name in pages],
        "Errors of OSS, each with its cause and its fix": list(errors.values()),
        "Optional": [entry for path, entry in entries.items() if path not in english],
    }
    return introduction + "".join(
        f"\n## {title}\n\n" + "\n".join(lines) + "\n" for title, lines in sections.items()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Write docs/errors, the lists of docs/explain.md, and llms.txt."
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
    stale |= {*ROOT.glob("docs/errors/*")} - texts.keys()
    for path in sorted(stale):
        if options.check:
            print(
                f"{path.relative_to(ROOT).as_posix()} is not current: run make docs.",
                file=sys.stderr,
            )
        elif path in texts:
            path.parent.mkdir(exist_ok=True)
            path.write_text(texts[path], encoding="utf-8")
        else:
            path.unlink()
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
