"""Sessions of mounts: what a kept one costs, what a new instance costs, and renewal under load.

Both configurations of the warm event take turns in one process, with tokens of the same length. Under load, threads
serve the requests of a clock that stands at the last request, so that ten renewals take seconds; STS takes as long as
a hundred requests do.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from handler.config import Config, Mount
from handler.config.load import load
from handler.config.rights import session_policy
from handler.context import RoleCredentials
from handler.links import create_link
from handler.sessions.cache import Session, Sessions
from local.ram import Principal, Principals
from local.server import listen, serve
from local.sts import Role, create_app, temporary_credentials
from signer import Credentials

from .report import Requirement, report
from .start import ENVIRONMENT, EVENT, FOLDERS, ROOT, python

BATCHES = 200
COLD = 9
RATE = 200  # requests per second
RENEWALS = 10
LIFE = 240  # seconds of a session, which is renewed after a quarter
SLOW = 100  # requests that others get while STS opens a session
THREADS = 8
TIMEOUT = 30  # seconds

ACCOUNT = "1000000000000001"
ROLE = f"acs:ram::{ACCOUNT}:role/links-signer"
TABLE = f'\n[assume_role]\nrole = "{ROLE}"\nduration = "1h"\n'
POLICY = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": "*"}]}

# Events in turns under the configurations; the medians of microseconds per event go to stderr, in their order.
WARM = """
import json, os, statistics, sys, time
event, batches, keys, paths, *sys.path[:0] = sys.argv[1:]
from handler import on_http, startup
from handler.config.load import load
class Context:
    class credentials:
        access_key_id, access_key_secret, security_token = json.loads(keys)
    request_id = "1-6743a0f1"
names = [f"{number:04}{'%20' if number % 4 == 0 else '-'}report.pdf" for number in range(50)]
events = [event.replace("exampleobject.txt", name).encode() for name in names]
configs = [load(path, os.environ) for path in json.loads(paths)]
times = [[] for _ in configs]
def batch(config):
    startup.config = lambda: config
    began = time.perf_counter()
    for event in events:
        assert on_http(event, Context)["statusCode"] == 302
    return (time.perf_counter() - began) / len(events) * 1e6
for config in configs:
    batch(config)
for number in range(int(batches)):
    for index in (0, 1) if number % 2 else (1, 0):
        times[index].append(batch(configs[index]))
print(json.dumps([statistics.median(each) for each in times]), file=sys.stderr)
"""
# One event in a new process.
FIRST = """
import json, sys
event, keys, *sys.path[:0] = sys.argv[1:]
from handler import on_http
class Context:
    class credentials:
        access_key_id, access_key_secret, security_token = json.loads(keys)
    request_id = "1-6743a0f1"
assert on_http(event.encode(), Context)["statusCode"] == 302
"""


def main() -> int:
    """Prints the figures; returns 1 if a requirement is missed."""
    with tempfile.TemporaryDirectory() as folder:
        plain = ROOT / "bench" / "links.toml"
        with_role = Path(folder, "links.toml")
        with_role.write_text(plain.read_text("utf-8") + TABLE, "utf-8")
        config = load(str(with_role), ENVIRONMENT)
        (mount,) = config.mounts
        # The token of a session grows with its policy; that of the role is as long here.
        keys = temporary_credentials(session_policy(config, mount))
        with _sts(keys) as (url, calls):
            environment = {**ENVIRONMENT, "LINK_STS_ENDPOINT": url}
            without, kept = _warm([str(plain), str(with_role)], keys, environment)
            warm_calls = len(calls)
            cold = {
                path: [_first(path, keys, environment) for _ in range(COLD)] for path in (str(plain), str(with_role))
            }
            first_calls = (len(calls) - warm_calls) / COLD
    without_ms, with_ms = (statistics.median(seconds) * 1e3 for seconds in cold.values())
    print(f"sessions: a warm event (medians of {BATCHES} batches in turns), and the first one of a new process")
    print(f"  {'without [assume_role]':<22} {without_ms:>8.1f} ms cold  {without:>8.1f} µs warm")
    print(f"  {'with a session':<22} {with_ms:>8.1f} ms cold  {kept:>8.1f} µs warm ({warm_calls} call of STS)")
    load_test = _Load(config, mount)
    requests = load_test.run()
    print(
        f"  {requests:,} requests, {RATE} per second, by {THREADS} threads: {load_test.renewals} renewals; "
        f"the shortest link had {load_test.shortest} s of {LIFE}"
    )
    return report(
        [
            Requirement("kept session / none, warm event", kept / without, 1.05, 1.02, False),
            Requirement("STS calls of a new instance's first link", first_calls, 1, 1, False),
            Requirement("renewals", load_test.renewals, RENEWALS, RENEWALS, True),
            Requirement("requests that wait for STS at a time", load_test.max_waiting, 1, 1, False),
            Requirement("links that outlive their session", load_test.too_long, 0, 0, False),
        ]
    )


@contextmanager
def _sts(keys: Credentials) -> Iterator[tuple[str, list[str]]]:
    """The address of a local STS for a function with these keys, and the actions that it is sent."""
    calls: list[str] = []
    role = Role(ROLE, frozenset({f"acs:ram::{ACCOUNT}:role/links"}), 3600, (POLICY,))
    registry = Principals([Principal.of(keys, f"acs:ram::{ACCOUNT}:assumed-role/links/fc-1")])
    app = create_app(registry, lambda: {ROLE: role}, before=lambda action: calls.append(action))
    server = serve(app, listen(0))
    try:
        yield server.url, calls
    finally:
        server.close()


def _warm(paths: list[str], keys: Credentials, environment: dict[str, str]) -> list[float]:
    arguments = (json.dumps(EVENT), str(BATCHES), json.dumps(keys[:3]), json.dumps(paths))
    medians: list[float] = json.loads(python(WARM, *arguments, *FOLDERS, environment=environment)[1])
    return medians


def _first(path: str, keys: Credentials, environment: dict[str, str]) -> float:
    environment = {**environment, "LINK_CONFIG": path}
    return python(FIRST, json.dumps(EVENT), json.dumps(keys[:3]), *FOLDERS, environment=environment)[0]


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
        with contextlib.redirect_stdout(io.StringIO()):
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
