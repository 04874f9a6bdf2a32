"""Functions that fail, hang or exit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def raising(event: bytes, context: object) -> None:
    raise ValueError("the event does not suit me")


def leaving(event: bytes, context: object) -> None:
    sys.exit(0)


def hanging(event: bytes, context: object) -> int:
    """Returns its process id, or never returns."""
    if event == b"hang":
        threading.Event().wait()
    return os.getpid()


def hanging_with_a_child(event: bytes, context: object) -> None:
    """Opens the FIFO that the event names, passes it to a child process, and does not return in time."""
    fifo = os.open(event, os.O_WRONLY)
    os.set_inheritable(fifo, True)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    os.write(fifo, b"x")
    threading.Event().wait(60)


def hanging_with_a_child_over_http(event: bytes, context: object) -> None:
    hanging_with_a_child(os.environ["FIFO"].encode(), context)
