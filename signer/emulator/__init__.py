"""OSS, STS and RAM for tests: they verify each signature, and answer as Alibaba Cloud does.

```python
from fc_presign import emulator

with emulator.run() as oss:
    oss.url, oss.region, oss.bucket, oss.credentials
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import EmulatorError
    from .running import RunningOss, run

__all__ = ["EmulatorError", "RunningOss", "run"]

# pytest imports this package in every project that has it installed: nothing else is loaded until it is used.
_LAZY_MODULES = {"EmulatorError": "errors", "RunningOss": "running", "run": "running"}


def __getattr__(name: str) -> object:
    if name not in _LAZY_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    member: object = getattr(import_module(f"{__name__}.{_LAZY_MODULES[name]}"), name)
    globals()[name] = member
    return member
