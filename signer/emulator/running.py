"""An OSS in a program's own process: `run`, and what it yields."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..credentials import Credentials
from .errors import EmulatorError
from .variables import key_variables, no_proxy

if TYPE_CHECKING:
    from .alone import OssAlone
    from .clock import Clock
    from .faults import Request, Status, Unused, Watches
    from .ram import Principal

_EXTRA = ("fastcrc", "werkzeug")
_TEMPORARY_LIFE = 12 * 3600  # seconds, the longest of STS
_MIN_LIFE = 60  # seconds that are left of temporary credentials when there are new ones


class RunningOss:
    """An OSS as its user sees it, with one bucket of their own. `url` has no slash at its end.

    `fail`, `delay`, `requests` and `clock` are about the user's buckets: of what `run` yields, about every bucket; of a
    test, about its bucket and those that it made here. Threads may share it.
    """

    def __init__(
        self, alone: OssAlone, watches: Watches, bucket: str, *, has_every_bucket: bool
    ) -> None:
        from .clock import Clock
        from .faults import Watch

        self.url = alone.oss_url
        self.region = alone.region
        self.bucket = bucket
        self.credentials = alone.credentials
        self._alone = alone
        self._watches = watches
        self._buckets = {bucket}
        self._lock = threading.Lock()
        self._temporary: list[Principal] = []
        self._clock = Clock(self._age_temporary)
        self._watch = Watch(lambda bucket: has_every_bucket or bucket in self._buckets, self._clock)
        watches.add(self._watch)

    def __repr__(self) -> str:
        return f"RunningOss(url={self.url!r}, region={self.region!r}, bucket={self.bucket!r})"

    @property
    def temporary(self) -> Credentials:
        """Credentials with a token, which may do everything; new ones once they have expired by `clock`."""
        with self._lock:
            now = time.time()
            if not self._temporary or (self._temporary[-1].expires_at or 0) - now < _MIN_LIFE:
                self._temporary.append(self._new_temporary(now + _TEMPORARY_LIFE))
            return self._temporary[-1].credentials

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the SDKs of OSS and fc-presign read, and NO_PROXY in both spellings."""
        keys = key_variables("OSS", self.credentials)
        return {
            "OSS_ENDPOINT": self.url,
            "OSS_REGION": self.region,
            "OSS_BUCKET": self.bucket,
            **{name: value for name, value in keys.items() if value},
            **no_proxy(os.environ),
        }

    @property
    def requests(self) -> list[Request]:
        """Those that came, also those that were refused, in the order of their responses."""
        return self._watch.requests

    @property
    def clock(self) -> Clock:
        """It moves for what was signed before."""
        return self._clock

    def new_bucket(self) -> str:
        """The name of a new and empty bucket."""
        return self.create_bucket(f"bucket-{secrets.token_hex(8)}")

    def create_bucket(self, name: str) -> str:
        """The name, of a bucket that exists from now on. Raises `EmulatorError`."""
        from .folder import add_buckets

        add_buckets(self._alone.root, [name], "root=")
        with self._lock:
            self._buckets = {*self._buckets, name}
        return name

    def fail(
        self,
        operation: str,
        key: str | None = None,
        *,
        status: Status = 503,
        code: str = "",
        times: int = 1,
        unused: Unused = "fail",
    ) -> None:
        """Answers the next such requests with an error of OSS, after their signature was verified.

        `operation` is OSS's name of one, or a method; no `key` means any. The default `code` is the usual one of
        `status`, which is 400 to 599, or "reset" to end the connection. Unless `unused` is "allow", it is an error if
        fewer than `times` requests came. Raises `ValueError`.
        """
        self._watch.fail(operation, key, status=status, code=code, times=times, unused=unused)

    def delay(
        self,
        operation: str,
        key: str | None = None,
        *,
        seconds: float,
        times: int = 1,
        unused: Unused = "fail",
    ) -> None:
        """Lets the next such requests wait, for at most 30 seconds; otherwise as `fail`."""
        self._watch.delay(operation, key, seconds=seconds, times=times, unused=unused)

    def forget_unused(self) -> None:
        """Lets faults that were not used up be no error."""
        self._watch.take_unused()

    def _new_temporary(self, expires_at: float) -> Principal:
        from .ram import Principal
        from .sts import temporary_credentials

        principal = Principal.of(
            temporary_credentials(expires_at=expires_at), expires_at=expires_at
        )
        self._alone.principals.add(principal)
        return principal

    def _age_temporary(self, seconds: float) -> None:
        with self._lock:
            self._temporary = [
                principal._replace(expires_at=(principal.expires_at or 0) - seconds)
                for principal in self._temporary
            ]
            for principal in self._temporary:
                self._alone.principals.add(principal)


@contextmanager
def run(
    *buckets: str,
    region: str = "cn-hangzhou",
    root: Path | str | None = None,
    port: int = 0,
    access_key: tuple[str, str] | None = None,
) -> Iterator[RunningOss]:
    """Runs an OSS on 127.0.0.1 until the end of the block, which ends its threads and connections.

    It has the bucket `examplebucket` where none is named; the first one is that of what is yielded. Objects are in the
    folder `root`, or in a new one that is removed at the end. Port 0 is any free one. `access_key` is ID and secret,
    which are otherwise random; the ID must contain TEST or LOCAL, as a real one never does. Raises `EmulatorError`,
    at the end too if the block raised nothing and left a fault unused.
    """
    try:
        from . import alone as module
        from .faults import Watches
        from .oss import Settings
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        raise EmulatorError(
            f"The OSS for tests requires {package}: install fc-presign[oss].",
            code="extra_missing",
        ) from None
    watches = Watches()
    options = module.Options(
        access_key=access_key,
        settings=Settings(observer=watches),
        port_option="port=",
        root_option="root=",
    )
    names = buckets or (module.DEFAULT_BUCKET,)
    folder = None if root is None else Path(root)
    with ExitStack() as cleanup:
        alone = cleanup.enter_context(
            module.oss_alone(names, region, folder, port, options=options)
        )
        oss = RunningOss(alone, watches, names[0], has_every_bucket=True)
        cleanup.callback(watches.remove, oss._watch)
        yield oss
    check_unused(oss)


@contextmanager
def own_bucket(server: RunningOss) -> Iterator[RunningOss]:
    """A view of a running OSS with a bucket of its own, which is removed at the end, as those that it made."""
    name = server.new_bucket()
    oss = RunningOss(server._alone, server._watches, name, has_every_bucket=False)
    try:
        yield oss
    finally:
        server._watches.remove(oss._watch)
        for bucket in oss._buckets:
            with suppress(OSError):
                shutil.rmtree(server._alone.root / bucket)
    check_unused(oss)


def check_unused(oss: RunningOss) -> None:
    """Raises `EmulatorError` for faults that were not used up, once."""
    if unused := oss._watch.take_unused():
        raise EmulatorError(" ".join(unused), code="unused_fault")
