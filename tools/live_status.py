"""Writes what `make live` has shown: the status line of both READMEs, and CONTRIBUTING's list of open cases."""

import re
import sys
from collections import Counter
from pathlib import Path

from live.__main__ import FOLDER, replay
from live.cases import load

ROOT = FOLDER.parent
NOT_YET = ("not yet compared with a live account: `make live` does it", "尚未与真实账号比对：`make live` 即可完成")
COMPARED = (
    "compared with OSS in {} on {}: {} of {} answers equal",
    "已于 {1} 与 {0} 的 OSS 比对：{3} 个应答中 {2} 个相同",
)


def pages(folder: Path = FOLDER) -> dict[str, str]:
    """The files with what the recordings say."""
    status, known = list(NOT_YET), set[str]()
    for path, (document, results) in zip(sorted(folder.glob("recorded/*.json")), replay(folder), strict=False):
        counts = Counter(result.verdict for result in results)
        numbers = counts["same"], counts["same"] + counts["differs"]
        status = [sentence.format(path.stem, document["date"], *numbers) for sentence in COMPARED]
        known |= document["answers"].keys()
    contents = {}
    for name, start, end, sentence in (
        ("README.md", "**Status: ", ".", status[0]),
        ("README.zh-CN.md", "**当前状态：", "。", status[1]),
    ):
        contents[name] = re.sub(
            rf"(?m)^{re.escape(start)}.*?\*\*", f"{start}{sentence}{end}**", (ROOT / name).read_text("utf-8")
        )
    cases = {case.settles: case for case in load("sts", "kms") if case.is_open and case.name not in known}
    listed = "".join(f"- {settles} (`{case.name}`)\n" for settles, case in cases.items())
    name = ".github/CONTRIBUTING.md"
    contents[name] = re.sub(
        r"(?s)(<!-- open cases -->\n).*?(<!-- end -->)", rf"\1{listed}\2", (ROOT / name).read_text("utf-8")
    )
    return contents


if __name__ == "__main__":
    stale = [name for name, content in pages().items() if (ROOT / name).read_text("utf-8") != content]
    if "--check" in sys.argv and stale:
        sys.exit(f"{', '.join(stale)} not current: run make docs.")
    for name, content in pages().items():
        (ROOT / name).write_text(content, "utf-8")
