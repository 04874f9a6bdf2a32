"""What the doctor reports: one line per finding, with what to do."""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

from signer import redact


class Finding(NamedTuple):
    """`fault` will not work, `warning` may not be wanted, `unknown` could not be examined and says what that needs."""

    level: Literal["ok", "warning", "fault", "unknown"]
    subject: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.level:<8}{self.subject:<14}{redact(self.sentence)}"


# What creates or corrects roles, policies, queues, logs and lifecycle rules.
SCRIPT = "run the script of make policies FORMAT=commands"

ok = partial(Finding, "ok")
warning = partial(Finding, "warning")
fault = partial(Finding, "fault")
unknown = partial(Finding, "unknown")
