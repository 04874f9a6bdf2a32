"""Writes what `make live` has shown: the status line of both READMEs, and how much is open in docs/live.md."""

import re
import sys
from pathlib import Path

from live.__main__ import FOLDER, replay
from live.cases import load

NOT_YET = [
    "not yet compared with a live account: `make live` does it",
    "尚未在真实账号上验证（用 `make live` 验证）",
]
COMPARED = (
    "compared with OSS in {} on {}: {} of {} answers equal",
    "已于 {1} 与 {0} 的 OSS 比对：{3} 个应答中 {2} 个相同",
)


def pages(folder: Path = FOLDER) -> dict[Path, str]:
    """The files with what the recordings say: the last one in the status, all of them in what is not open any more."""
    status = NOT_YET
    known = set[str]()
    for document, results in replay(folder) if any(folder.glob("recorded/*.json")) else ():
        equal = [not result.fields for result in results if result.verdict in ("same", "differs")]
        facts = document["region"], document["date"], sum(equal), len(equal)
        status = [sentence.format(*facts) for sentence in COMPARED]
        known |= {name for name, answer in document["answers"].items() if answer}
    questions = {
        case.settles for case in load("sts", "kms") if case.is_open and case.name not in known
    }
    parts = {
        "README.md": (r"(\*\*Status: ).*?(\.\*\*)", status[0]),
        "README.zh-CN.md": ("(状态：).*?(。)", status[1]),
    }
    parts["docs/live.md"] = (
        r"(?s)(<!-- open -->\n).*?(\n<!-- end -->)",
        f"Open questions: {len(questions)}.",
    )
    contents = {}
    for name, (pattern, new) in parts.items():
        path = FOLDER.parent / name
        contents[path] = re.sub(pattern, rf"\g<1>{new}\2", path.read_text("utf-8"), count=1)
    return contents


if __name__ == "__main__":
    for path, content in pages().items():
        if "--check" in sys.argv and path.read_text("utf-8") != content:
            sys.exit(f"{path.name} is not current: run make docs.")
        path.write_text(content, "utf-8")
