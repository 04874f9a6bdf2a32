"""Commands that take a clone to production: build, check, policies, doctor. Never deployed themselves."""

from __future__ import annotations

import sys

from .excepthook import report

# The name is -m only until Python has found the command of this package that it was started with.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = report
