"""A thousand links: one `/-/sign`, with its audit line and its JSON, against the same thousand with the official SDK.

Both are measured warm, in turns, each in its own bare process; the peer makes no JSON.
"""

from __future__ import annotations

import json

from .details import Details
from .figures import Bound, Figure
from .process import FOLDERS, PROGRAM_HEAD, http_event, python

LINKS, TURNS = 1000, 5
REQUESTS = 7  # of each process, after a first one that is not measured
PEER = "alibabacloud-oss-v2"

KEYS = [f"exampledir/{number:04}{' ' if number % 4 == 0 else '-'}report.pdf" for number in range(LINKS)]

# Both processes write the median of their requests to stderr, in milliseconds of processor time.
MEASURE = f"""{PROGRAM_HEAD}
argument, requests, *sys.path[:0] = sys.argv[1:]
import statistics
def measure(sign):
    sign()
    seconds = []
    for _ in range(int(requests)):
        began = time.process_time()
        assert sign() == {LINKS}
        seconds.append(time.process_time() - began)
    print(statistics.median(seconds) * 1e3, file=sys.stderr)
"""
OURS = f"""{MEASURE}
from handler import on_http
event = argument.encode()
def sign():
    response = on_http(event, Context)
    assert '"error"' not in response["body"]
    return response["body"].count('"url"')
measure(sign)
"""
THEIRS = f"""{MEASURE}
import datetime, json
import alibabacloud_oss_v2 as oss
from bench.peer import client_for
client = client_for(Context)
keys = json.loads(argument)
lifetime = datetime.timedelta(seconds=900)
def sign():
    objects = (oss.GetObjectRequest(bucket="examplebucket", key=key) for key in keys)
    return len([client.presign(request, expires=lifetime).url for request in objects])
measure(sign)
"""


def measure(details: Details) -> list[Figure]:
    body = json.dumps({"links": [{"path": f"/{key}", "expires": "15m"} for key in KEYS]})
    event = http_event("/-/sign", "POST", headers={"Content-Type": "application/json"}, body=body)
    times: dict[str, list[float]] = {"ours": [], PEER: []}
    for _ in range(TURNS):
        times["ours"].append(_milliseconds(OURS, event))
        times[PEER].append(_milliseconds(THEIRS, json.dumps(KEYS)))
    for name, milliseconds in times.items():
        details.line(f"  {name:<20} {', '.join(f'{each:.1f}' for each in milliseconds)} ms")
    return [Figure.against("batch of 1,000 links", "ms", times["ours"], PEER, times[PEER], Bound(0.33, 0.25))]


def _milliseconds(program: str, argument: str) -> float:
    return float(python(program, argument, str(REQUESTS), *FOLDERS)[1])
