"""Sessions of mounts: what a kept one costs in a warm event, and what the first one costs a new process.

Both configurations of the warm event take turns in one process, with tokens of the same length.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handler.config.load import load
from handler.config.rights import session_policy
from local.ram import Principal, Principals
from local.server import listen, serve
from local.sts import Role, create_app, temporary_credentials
from signer import Credentials

from .details import Details
from .figures import Bound, Figure
from .process import ENVIRONMENT, FOLDERS, ROOT, http_event, python

BATCHES = 20
COLD = 9

ACCOUNT = "1000000000000001"
ROLE = f"acs:ram::{ACCOUNT}:role/links-signer"
TABLE = f'\n[assume_role]\nrole = "{ROLE}"\nduration = "1h"\n'
POLICY = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": "*"}]}

# Events in turns under the configurations; microseconds of processor time per event of each batch go to stderr.
WARM = """
import json, os, sys, time
event, batches, keys, paths, *sys.path[:0] = sys.argv[1:]
from handler import on_http, startup
from handler.config.load import load
class Context:
    class credentials:
        access_key_id, access_key_secret, security_token = json.loads(keys)
    request_id = "1-6743a0f1"
names = [f"{number:04}{'%20' if number % 4 == 0 else '-'}report.pdf" for number in range(500)]
events = [event.replace("exampleobject.txt", name).encode() for name in names]
configs = [load(path, os.environ) for path in json.loads(paths)]
times = [[] for _ in configs]
def batch(config):
    startup.config = lambda: config
    began = time.process_time()
    for event in events:
        assert on_http(event, Context)["statusCode"] == 302
    return (time.process_time() - began) / len(events) * 1e6
for config in configs:
    batch(config)
for number in range(int(batches)):
    for index in (0, 1) if number % 2 else (1, 0):
        times[index].append(batch(configs[index]))
print(json.dumps(times), file=sys.stderr)
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


def measure(details: Details) -> list[Figure]:
    """Raises `RuntimeError` if a new instance's first link takes more than one call of STS."""
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
            calls.clear()
            paths = {"no session": str(plain), "a session": str(with_role)}
            first: dict[str, list[float]] = {name: [] for name in paths}
            for _ in range(COLD):
                for name, path in paths.items():
                    first[name].append(_first(path, keys, environment) * 1e3)
    if len(calls) != COLD:
        raise RuntimeError(f"The first links of {COLD} new instances took {len(calls)} calls of STS.")
    for name, milliseconds in first.items():
        details.line(f"  the first link of a new process, with {name}: {statistics.median(milliseconds):.1f} ms")
    return [Figure.against("kept session, warm event", "µs", kept, "no session", without, Bound(1.05, 1.02))]


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


def _warm(paths: list[str], keys: Credentials, environment: dict[str, str]) -> list[list[float]]:
    arguments = (http_event(), str(BATCHES), json.dumps(keys[:3]), json.dumps(paths))
    times: list[list[float]] = json.loads(python(WARM, *arguments, *FOLDERS, environment=environment)[1])
    return times


def _first(path: str, keys: Credentials, environment: dict[str, str]) -> float:
    environment = {**environment, "LINK_CONFIG": path}
    return python(FIRST, http_event(), json.dumps(keys[:3]), *FOLDERS, environment=environment)[0]
