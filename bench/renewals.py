"""Sessions of a mount under load: renewed ten times while threads serve requests.

The clock stands at the last request, so that ten renewals take seconds; STS takes as long as a hundred requests do.
"""

from __future__ import annotations

import os
import threading
from itertools import count

from handler.config import Config, Mount
from handler.config.load import load
from handler.context import RoleCredentials
from handler.links import create_link
from handler.sessions.cache import Session, Sessions
from signer import Credentials

from .details import Details
from .figures import Bound, Figure, Spread
from .process import ENVIRONMENT, ROOT

RATE = 200  # requests per second
RENEWALS = 10
LIFE = 240  # seconds of a session, which is renewed after a quarter
SLOW = 100  # requests that others get while STS opens a session
THREADS = 8
TIMEOUT = 30  # seconds


def measure(details: Details) -> list[Figure]:
    """Raises `RuntimeError` if other requests wait for a renewal, or a link outlives its session."""
    config = load(str(ROOT / "bench" / "links.toml"), ENVIRONMENT)
    load_test = _Load(config, config.mounts[0])
    requests = load_test.run()
    if load_test.too_long:
        raise RuntimeError(f"{load_test.too_long} links outlive their session.")
    details.line(
        f"  {requests:,} requests, {RATE} per second, by {THREADS} threads: {load_test.renewals} renewals; "
        f"the shortest link had {load_test.shortest} s of {LIFE}"
    )
    return [Figure("waiting for a new session", "at once", Spread.of([load_test.max_waiting]), bound=Bound(1, 1))]


class _Load:
    """Requests at a steady rate until the sessions have been renewed often enough."""

    def __init__(self, config: Config, mount: Mount) -> None:
        self.config, self.mount = config, mount._replace(max_expires=LIFE, expires=LIFE)
        self.renewals = -1  # the first one is not a renewal
        self.waiting = self.max_waiting = 0
        self.too_long = 0
        self.shortest = LIFE
        self._numbers, self._served = count(), 0
        self._progress = threading.Condition()
        self._role = RoleCredentials(Credentials("STS.EXAMPLE", "an-example-of-a-secret", "CAIS"), None)
        self._sessions = Sessions(self._open)

    def run(self) -> int:
        """The number of requests. Raises `RuntimeError` if requests had to wait for a renewal."""
        self._sessions.get(self.config, self.mount, self._role, 0.0)
        errors: list[BaseException] = []
        threads = [threading.Thread(target=self._serve, args=(errors,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise RuntimeError("A request failed.") from errors[0]
        return self._served

    def _serve(self, errors: list[BaseException]) -> None:
        try:
            while self.renewals < RENEWALS and not errors:
                self._request(next(self._numbers) / RATE)
        except BaseException as error:
            errors.append(error)

    def _request(self, now: float) -> None:
        role = self._sessions.get(self.config, self.mount, self._role, now)
        issued = create_link(self.config, self.mount, "exampledir/a.txt", "GET", role, now)
        with self._progress:
            self.too_long += issued.link.expires_at.timestamp() > (role.expires_at or 0)
            self.shortest = min(self.shortest, issued.link.expires_in)
            self._served += 1
            self._progress.notify_all()

    def _open(self, config: Config, mount: Mount, role: RoleCredentials, now: float) -> Session:
        """STS, which answers when the others have served so many requests."""
        with self._progress:
            self.waiting += 1
            self.max_waiting = max(self.max_waiting, self.waiting)
            until = self._served + (SLOW if self.renewals >= 0 else 0)
            if not self._progress.wait_for(lambda: self._served >= until, TIMEOUT):
                raise RuntimeError("The other requests wait for STS, too.")
            self.waiting -= 1
            self.renewals += 1
            keys = Credentials(f"STS.{self.renewals}", os.urandom(16).hex(), "CAIS" + "t+/=" * 149)
        return Session(RoleCredentials(keys, now + LIFE, is_session=True), now, now + LIFE)
