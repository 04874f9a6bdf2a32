"""For each finding: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path


def _read() -> Mapping[str, tuple[str, str]]:
    parser = ConfigParser(interpolation=None)
    parser.read_string(Path(__file__).with_name("advice.ini").read_text("utf-8"))
    words = {code: (parser[code]["wrong"], parser[code]["advice"]) for code in parser.sections()}
    return {
        code: (wrong.replace("\n", " "), advice.replace("\n", " "))
        for code, (wrong, advice) in words.items()
    }


# code: (what is wrong, what to do)
ADVICE = _read()
