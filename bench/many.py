"""A thousand links: one `/-/sign`, its audit line and its JSON included, beside the same thousand of the official SDK.

Each is measured warm, in a bare process of its own as start.py has it, by turns.
"""

from __future__ import annotations

import json
import statistics

from .report import Requirement, tell
from .start import EVENT, FOLDERS, python

LINKS, TURNS = 1000, 5
REQUESTS = 7  # of each process, after one that warms it
MOST = 25.0  # milliseconds

KEYS = [f"exampledir/{number:04}{' ' if number % 4 == 0 else '-'}report.pdf" for number in range(LINKS)]

# What both processes do: the median of their requests goes to stderr.
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
given, requests, *sys.path[:0] = sys.argv[1:]
{MEASURE}
from handler import on_http
class Context:
    request_id, credentials = "1-6743a0f1", Credentials
event = given.encode()
def sign():
    answer = on_http(event, Context)
    assert '"error"' not in answer["body"]
    return answer["body"].count('"url"')
measure(sign, int(requests))
"""
THEIRS = f"""
import datetime, json, sys
given, requests, *sys.path[:0] = sys.argv[1:]
{MEASURE}
import alibabacloud_oss_v2 as oss
config = oss.config.load_default()
config.credentials_provider = oss.credentials.StaticCredentialsProvider(
    Credentials.access_key_id, Credentials.access_key_secret, Credentials.security_token
)
config.region = "cn-hangzhou"
client = oss.Client(config)
keys = json.loads(given)
life = datetime.timedelta(seconds=900)
def sign():
    asked = (oss.GetObjectRequest(bucket="examplebucket", key=key) for key in keys)
    return len([client.presign(request, expires=life).url for request in asked])
measure(sign, int(requests))
"""


def event() -> str:
    """The HTTP event that asks for all of them."""
    body = json.dumps({"links": [{"path": f"/{key}", "expires": "15m"} for key in KEYS]})
    transport = {**EVENT["requestContext"]["http"], "method": "POST", "path": "/-/sign"}  # type: ignore[index]
    about = {**EVENT["requestContext"], "http": transport}  # type: ignore[dict-item]
    return json.dumps({**EVENT, "rawPath": "/-/sign", "body": body, "isBase64Encoded": False, "requestContext": about})


def main() -> int:
    """Prints medians and their ratio; 1 where what is required is missed."""
    programs = {"fc-presign": (OURS, event()), "alibabacloud-oss-v2": (THEIRS, json.dumps(KEYS))}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(TURNS):
        for name, (program, given) in programs.items():
            times[name].append(float(python(program, given, str(REQUESTS), *FOLDERS)[1]) * 1e3)
    print(f"{LINKS} links: one /-/sign, and the same through the official SDK (medians, warm)")
    ours, theirs = (statistics.median(found) for found in times.values())
    for name, found in times.items():
        print(f"  {name:<22} {statistics.median(found):>8.1f} ms")
    return tell(
        [
            Requirement("ours, milliseconds", ours, MOST, 20.0, False),
            Requirement("ours / alibabacloud-oss-v2", ours / theirs, 1 / 3, 0.25, False),
        ]
    )
