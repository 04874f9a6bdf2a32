"""A thousand records in one event, for a sink that is OSS: processor time of the function.

The function and the peer (notices_peer.py) run in their own processes, in turns, with the laptop's OSS in this one. The
event is repeated, each time with other objects.
"""

from __future__ import annotations

import json
import tempfile

from .details import Details
from .figures import Bound, Figure, Spread
from .process import FOLDERS, PROGRAM_HEAD, ROOT, local_oss, python

RECORDS = 1000
EVENTS = 6  # of each process; the first one is not measured
TURNS = 3
PEER = "alibabacloud-oss-v2"
LINKS = """
region = "${LINK_REGION}"

[[mount]]
path   = "/outbox/"
target = "oss://${LINK_BUCKET}/outbox/"

[[notice]]
on    = "created"
mount = "/outbox/"
to    = ["manifest"]

[[sink]]
name   = "manifest"
target = "oss://${LINK_BUCKET}/.links/notices/"
"""
# Milliseconds of processor time of each event go to stderr.
PROGRAM = f"""{PROGRAM_HEAD}
module, path, events, turn, *sys.path[:0] = sys.argv[1:]
function = __import__(module, fromlist=["on_event"]).on_event
with open(path) as file:
    event = file.read()
for number in range(int(events)):
    sent = event.replace("outbox/0/", f"outbox/{{turn}}/{{number}}/").encode()
    began = time.process_time()
    assert function(sent, Context)["notices"] == {RECORDS}
    print((time.process_time() - began) * 1e3, file=sys.stderr)
"""


def measure(details: Details) -> list[Figure]:
    times: dict[str, list[float]] = {}
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as event, local_oss(LINKS) as environment:
        event.write(thousand_records())
        event.flush()
        for turn in range(TURNS):
            for name, module in (("ours", "handler"), (PEER, "bench.notices_peer")):
                arguments = (module, event.name, str(EVENTS), f"{name}-{turn}", *FOLDERS)
                _, stderr = python(PROGRAM, *arguments, environment=environment)
                milliseconds = [float(line) for line in stderr.splitlines()][1:]
                times.setdefault(name, []).extend(milliseconds)
                details.line(f"  {name:<20} {Spread.of(milliseconds).median:.1f} ms of processor time")
    return [Figure.against("event of 1,000 records", "ms", times["ours"], PEER, times[PEER], Bound(0.5, 0.35))]


def thousand_records() -> str:
    """The sample of the repository, a thousand times. Every fourth key has a space."""
    (record,) = json.loads((ROOT / "tests/data/events/oss-trigger.json").read_text("utf-8"))["events"]
    records = []
    for index in range(RECORDS):
        key = f"outbox/0/{index:05}{' q3' if index % 4 == 0 else ''}.pdf"
        member = {**record["oss"]["object"], "key": key, "eTag": f"{index:032X}"}
        records.append({**record, "oss": {**record["oss"], "object": member}})
    return json.dumps({"events": records})
