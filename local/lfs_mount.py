"""links.toml as `python -m local` reads it: with the mount for Git LFS, which is a comment in the shipped one."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from signer.common.files import replace_file

from .fc import functions
from .stack import links_toml_path

COMMENT = b"""\
# [[mount]]
# path      = "/lfs/"
# target    = "oss://${LINK_BUCKET}/lfs/"
# methods   = ["GET", "PUT"]
# max_size  = "5GB"
# overwrite = false
# expires   = "5m"
"""
_MOUNT = COMMENT.replace(b"# ", b"")
# A path after file: is relative to the folder of links.toml.
_RELATIVE_FILE = re.compile(rb"""(?m)^(\s*\w+\s*=\s*["'])file:(?!/)""")


class Copy(NamedTuple):
    """Of a links.toml, at `path` in a folder of its own; there is none while there is no source."""

    source: Path
    path: Path

    @property
    def environment(self) -> dict[str, str]:
        """What makes a function read the copy."""
        return {"LINK_CONFIG": str(self.path)}

    def refresh(self) -> None:
        """Writes it again if the source has changed."""
        try:
            source = self.source.read_bytes()
        except OSError:
            self.path.unlink(missing_ok=True)
            return
        folder = os.fsencode(self.source.resolve().parent)
        content = _RELATIVE_FILE.sub(
            lambda match: match[1] + b"file:" + folder + b"/", source.replace(COMMENT, _MOUNT)
        )
        if not self.path.exists() or self.path.read_bytes() != content:
            replace_file(str(self.path), content)


@contextmanager
def copied(config: Path) -> Iterator[Copy | None]:
    """The copy until the end of the block; None where the functions of `config` read no links.toml with `COMMENT`.

    Raises `LocalError`.
    """
    deployment = functions.read(config, os.environ)
    sources = {links_toml_path(function, {}) for function in deployment.functions}
    source = sources.pop()
    if sources or not source.is_file() or COMMENT not in source.read_bytes():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="links-", ignore_cleanup_errors=True) as folder:
        copy = Copy(source, Path(folder, source.name))
        copy.refresh()
        yield copy
