"""A thousand links: one `/-/sign`, with its audit line and its JSON, against the same thousand with the official SDK.

Both are measured warm, in turns, each in its own bare process as in start.py.
"""

from __future__ import annotations

import json
import statistics

from .report import Requirement, report
from .start import EVENT, FOLDERS, python

LINKS, TURNS = 1000, 5
REQUESTS = 7  # of each process, after a first one that is not measured
MAX_MILLISECONDS = 25.0

KEYS = [f"exampledir/{number:04}{' ' if number % 4 == 0 else '-'}report.pdf" for number in range(LINKS)]

# Both processes write the median of their requests to stderr.
MEASURE = """
import base64, random, statistics, time
def measure(sign, requests):
    sign()
    seconds = []
    for _ in range(requests):
        began = time.perf_counter()
        assert sign() == 1000
        seconds.append(time.perf_counter() - began)
    print(statistics.median(seconds), file=sys.stderr)
class Credentials:
    access_key_id, access_key_secret = "STS.EXAMPLE", "an-example-of-a-secret"
    security_token = base64.b64encode(random.Random(2026).randbytes(450)).decode()
"""
OURS = f"""
import json, sys
argument, requests, *sys.path[:0] = sys.argv[1:]
{MEASURE}
from handler import on_http
class Context:
    request_id, credentials = "1-6743a0f1", Credentials
event = argument.encode()
def sign():
    response = on_http(event, Context)
    assert '"error"' not in response["body"]
    return response["body"].count('"url"')
measure(sign, int(requests))
"""
THEIRS = f"""
import datetime, json, sys
argument, requests, *sys.path[:0] = sys.argv[1:]
{MEASURE}
import alibabacloud_oss_v2 as oss
config = oss.config.load_default()
config.credentials_provider = oss.credentials.StaticCredentialsProvider(
    Credentials.access_key_id, Credentials.access_key_secret, Credentials.security_token
)
config.region = "cn-hangzhou"
client = oss.Client(config)
keys = json.loads(argument)
lifetime = datetime.timedelta(seconds=900)
def sign():
    objects = (oss.GetObjectRequest(bucket="examplebucket", key=key) for key in keys)
    return len([client.presign(request, expires=lifetime).url for request in objects])
measure(sign, int(requests))
"""


def event() -> str:
    """The HTTP event that requests all of them."""
    body = json.dumps({"links": [{"path": f"/{key}", "expires": "15m"} for key in KEYS]})
    http = {**EVENT["requestContext"]["http"], "method": "POST", "path": "/-/sign"}  # type: ignore[index]
    context = {**EVENT["requestContext"], "http": http}  # type: ignore[dict-item]
    return json.dumps(
        {**EVENT, "rawPath": "/-/sign", "body": body, "isBase64Encoded": False, "requestContext": context}
    )


def main() -> int:
    """Prints medians and their ratio; returns 1 if a requirement is missed."""
    programs = {"fc-presign": (OURS, event()), "alibabacloud-oss-v2": (THEIRS, json.dumps(KEYS))}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(TURNS):
        for name, (program, argument) in programs.items():
            times[name].append(float(python(program, argument, str(REQUESTS), *FOLDERS)[1]) * 1e3)
    print(f"{LINKS} links: one /-/sign, and the same through the official SDK (medians, warm)")
    ours, theirs = (statistics.median(milliseconds) for milliseconds in times.values())
    for name, milliseconds in times.items():
        print(f"  {name:<22} {statistics.median(milliseconds):>8.1f} ms")
    return report(
        [
            Requirement("ours, milliseconds", ours, MAX_MILLISECONDS, 20.0, False),
            Requirement("ours / alibabacloud-oss-v2", ours / theirs, 1 / 3, 0.25, False),
        ]
    )
