"""Which steps of our own code a call takes: pairs of lines that run one after the other, in handler/ and signer/."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
WATCHED = (str(ROOT / "handler"), str(ROOT / "signer"))
MAX_WORD = 40  # characters of a constant that mutations use


class Coverage:
    """Runs calls and says which steps they took; `words` are the strings in the code that ran."""

    def __init__(self, watched: tuple[str, ...] = WATCHED) -> None:
        self._watched = watched
        self._files: dict[str, int] = {}  # 0 for a file that is not watched
        self._known: set[CodeType] = set()
        self.words: set[bytes] = set()

    def steps(self, function: Callable[[bytes], object], data: bytes) -> set[int]:
        """The steps of one call. Raises what the call raises; `self.last` has the steps until then."""
        self.last: set[int] = set()
        steps, files, number_of = self.last, self._files, self._number
        previous = 0

        def on_line(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal previous
            here = files[frame.f_code.co_filename] + frame.f_lineno
            steps.add(previous << 32 | here)
            previous = here
            return on_line

        def on_call(frame: FrameType, event: str, arg: Any) -> Any:
            name = frame.f_code.co_filename
            number = files[name] if name in files else number_of(name)
            return on_line if number else None

        before = sys.gettrace()
        sys.settrace(on_call)
        try:
            function(data)
        finally:
            sys.settrace(before)
        return steps

    def _number(self, name: str) -> int:
        is_watched = name.startswith(self._watched) and name.endswith(".py")
        self._files[name] = (len(self._files) + 1) << 16 if is_watched else 0
        if is_watched:
            self._collect_words(name)
        return self._files[name]

    def _collect_words(self, name: str) -> None:
        """The constants of a file are what it compares input with."""
        with open(name, "rb") as file:
            codes = [compile(file.read(), name, "exec")]
        while codes:
            for constant in codes.pop().co_consts:
                if isinstance(constant, CodeType):
                    codes.append(constant)
                for word in constant if isinstance(constant, (tuple, frozenset)) else (constant,):
                    if isinstance(word, str) and 0 < len(word) <= MAX_WORD:
                        self.words.add(word.encode("utf-8", "surrogatepass"))
