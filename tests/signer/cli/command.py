"""The command line as a process, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import signer

KEYS = signer.Credentials("STS.EXAMPLEEXAMPLEEXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIStoken+/EXAMPLE==")
_PACKAGE = find_spec("alibabacloud_credentials")
BARE = {
    "PATH": os.environ["PATH"],
    # Neither the profiles of who runs the tests nor a proxy of theirs.
    "HOME": "/nonexistent",
    "PYTHONPATH": os.pathsep.join(
        str(Path(file).parents[1]) for file in (signer.__file__, _PACKAGE.origin if _PACKAGE else None) if file
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
    *arguments: str, stdin: str = "", env: dict[str, str] = ENVIRONMENT, missing: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs the command, where the modules `missing` cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); "
    start = ["-c", block + "from signer.__main__ import main; sys.exit(main())"] if missing else ["-m", "signer"]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        input=stdin,
        capture_output=True,
        env=env,
        timeout=60,
        check=False,
        encoding="utf-8",
    )
