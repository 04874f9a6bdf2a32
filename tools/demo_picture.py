"""Writes docs/images/demo.svg: all that `make demo` prints in a terminal: `make docs`."""

from __future__ import annotations

import html
import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/demo.svg"
COLUMNS = 100
# Fonts of the reader's own system: the picture loads nothing.
FORMAT = """\
<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<desc>DESCRIPTION</desc>
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def without_what_varies(output: str) -> str:
    """Ports, ids and durations differ in each run of the demonstration."""
    for pattern, replacement in (
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r'("request_id":")[\w-]+', r"\1ID"),
        (r'("milliseconds":)[\d.]+', r"\1DURATION"),
    ):
        output = re.sub(pattern, replacement, output)
    return output.strip()


def run_demo() -> str:
    """What the demonstration prints."""
    process = subprocess.run([sys.executable, "-m", "local.demo"], cwd=ROOT, capture_output=True, text=True)
    if process.returncode:
        raise SystemExit(process.stderr)
    return process.stdout


def draw(screen: Text) -> str:
    console = Console(width=COLUMNS, file=io.StringIO(), record=True, force_terminal=True, color_system="truecolor")
    console.print(screen)
    svg = console.export_svg(title="make demo", code_format=FORMAT, unique_id="demo")
    return svg.replace("DESCRIPTION", html.escape(screen.plain), 1)


def shown_text(svg: str) -> str:
    """The lines of a picture."""
    return html.unescape(svg.partition("<desc>")[2].partition("</desc>")[0])


def main() -> int:
    screen = Text(run_demo().strip())
    screen.highlight_regex("(?m)^# .*", "bold")
    # A picture that would differ only in ports and times stays as it is; one that is deleted is drawn in any case.
    current = shown_text(PICTURE.read_text(encoding="utf-8")) if PICTURE.exists() else ""
    if without_what_varies(current) != without_what_varies(screen.plain):
        PICTURE.write_text(draw(screen), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
