"""`python tools/installed.py`: the installed fc-presign signs as it should. CI runs it with the wheel of each run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from datetime import datetime, timezone
from urllib.parse import parse_qs, urlsplit

import fc_presign

BUCKET = "examplebucket"
KEY = "exampledir/exampleobject.txt"
REGION = "cn-hangzhou"
CREDENTIALS = fc_presign.Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
SIGNED_AT = 1_700_000_000
SIGNATURE = "6bb2eac378c7b83046f75a2e76d91be3d1b3d1af3fa7acc92bd481908ff6d49a"


def expected(signed_at: int) -> str:
    """The link that the library makes at a time, with the 15 minutes that are the command's default."""
    endpoint = fc_presign.Endpoint.public(REGION)
    link = fc_presign.presign(
        "GET",
        BUCKET,
        KEY,
        credentials=CREDENTIALS,
        endpoint=endpoint,
        expires_in=900,
        now=signed_at,
    )
    return link.url


def main() -> int:
    if not expected(SIGNED_AT).endswith(f"x-oss-signature={SIGNATURE}"):
        print("The library makes another signature than expected.", file=sys.stderr)
        return 1
    environment = {
        **os.environ,
        "OSS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "OSS_ACCESS_KEY_SECRET": CREDENTIALS.access_key_secret,
    }
    program = shutil.which("fc-presign", path=sysconfig.get_path("scripts"))
    if program is None:
        print("The command fc-presign is not installed.", file=sys.stderr)
        return 1
    command = [program, "sign", f"oss://{BUCKET}/{KEY}", "--region", REGION]
    printed = subprocess.check_output(command, env=environment, text=True, timeout=60)
    date = parse_qs(urlsplit(printed).query)["x-oss-date"][0]
    signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    if printed != f"{expected(int(signed_at.timestamp()))}\n":
        print("The command prints another link than the library makes.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
