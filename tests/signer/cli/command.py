"""The command line in an environment of its own: in this process, which takes a tenth of the time, or as one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from unittest.mock import patch

import signer
from signer import __main__ as program

KEYS = signer.Credentials(
    "STS.EXAMPLEEXAMPLEEXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIStoken+/EXAMPLE=="
)
_PACKAGE = find_spec("alibabacloud_credentials")
BARE = {
    "PATH": os.environ["PATH"],
    # Neither the profiles of who runs the tests nor a proxy of theirs.
    "HOME": "/nonexistent",
    "PYTHONPATH": os.pathsep.join(
        str(Path(file).parents[1])
        for file in (signer.__file__, _PACKAGE.origin if _PACKAGE else None)
        if file
    ),
    "PYTHONIOENCODING": "utf-8",
    "OSS_REGION": "cn-hangzhou",
}
ENVIRONMENT = {
    **BARE,
    "OSS_ACCESS_KEY_ID": KEYS.access_key_id,
    "OSS_ACCESS_KEY_SECRET": KEYS.access_key_secret,
    "OSS_SESSION_TOKEN": KEYS.security_token or "",
}


def run(
    *arguments: str,
    stdin: str = "",
    env: Mapping[str, str] = ENVIRONMENT,
    missing: Iterable[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs the command in this process, where the modules `missing` cannot be imported any more.

    An exception that would be a traceback is raised.
    """
    sent = io.BytesIO(stdin.encode(errors="surrogateescape"))
    errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with (
        TemporaryFile("w+", encoding="utf-8") as output,
        _as_descriptor_1(output.fileno()),
        patch.dict(os.environ, env, clear=True),
        # What the command imports stays, unless something is missing.
        patch.dict(sys.modules, dict.fromkeys(missing)) if missing else nullcontext(),
        patch.object(sys, "argv", [program.__file__, *arguments]),
        patch.object(sys, "stdin", io.TextIOWrapper(sent, encoding="utf-8")),
        patch.object(sys, "stdout", output),
        patch.object(sys, "stderr", errors),
    ):
        try:
            status = program.main()
        except SystemExit as end:
            status = int(end.code or 0)
        for stream in (output, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(arguments, status, output.read(), errors.read())


@contextmanager
def _as_descriptor_1(descriptor: int) -> Iterator[None]:
    """Standard output is this file for what writes to the descriptor, too."""
    own = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(own, 1)
        os.close(own)


def run_process(
    *arguments: str,
    stdin: str = "",
    env: Mapping[str, str] = ENVIRONMENT,
    missing: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs the command as a process, where the modules `missing` cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); "
    start = (
        ["-c", block + "from signer.__main__ import main; sys.exit(main())"]
        if missing
        else ["-m", "signer"]
    )
    return subprocess.run(
        [sys.executable, *start, *arguments],
        input=stdin,
        capture_output=True,
        env=env,
        timeout=60,
        check=False,
        encoding="utf-8",
        errors="surrogateescape",
    )
