"""A folder of 1,000 files as JSON: processor time of the function, which gets OSS's list without waiting for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .details import Details
from .figures import Bound, Figure, Spread
from .process import ENVIRONMENT, FOLDERS, PROGRAM_HEAD, http_event, python

FILES, REQUESTS = 1000, 15
LINKS = """
region = "${LINK_REGION}"

[[mount]]
path   = "/exampledir/"
target = "oss://${LINK_BUCKET}/exampledir/"
access = "anonymous"
list   = true
"""
# As OSS writes it with encoding-type=url. Every fourth key has a space; each has a time of its own.
ENTRY = (
    "<Contents><Key>exampledir/2026/{:04}{}report.pdf</Key><LastModified>2026-03-01T06:{:02}:{:02}.000Z</LastModified>"
    '<ETag>"5B3C1A2E053D763E1B002CC607C5A0FE"</ETag><Type>Normal</Type><Size>344606</Size>'
    "<StorageClass>Standard</StorageClass></Contents>"
)
# Milliseconds of processor time of each request go to stderr.
PROGRAM = f"""{PROGRAM_HEAD}
event, path, *sys.path[:0] = sys.argv[1:]
from handler import on_http
from handler.core.cloud.oss import OssClient, OssResponse
with open(path, "rb") as file:
    response = OssResponse(200, {{}}, file.read(), "")
OssClient.request = lambda *_, **__: response
for _ in range({REQUESTS}):
    began = time.process_time()
    answer = on_http(event.encode(), Context)
    print((time.process_time() - began) * 1e3, file=sys.stderr)
    assert answer["body"].count('"size"') == {FILES}
"""


def measure(details: Details) -> list[Figure]:
    entries = (ENTRY.format(n, "%20" if n % 4 == 0 else "-", n // 60, n % 60) for n in range(FILES))
    with tempfile.TemporaryDirectory() as folder:
        links, listed = Path(folder, "links.toml"), Path(folder, "list.xml")
        links.write_text(LINKS, "utf-8")
        listed.write_text(f"<ListBucketResult>{''.join(entries)}</ListBucketResult>", "utf-8")
        event = http_event("/exampledir/2026/", query={"limit": str(FILES)})
        environment = {**ENVIRONMENT, "LINK_CONFIG": str(links)}
        _, stderr = python(PROGRAM, event, str(listed), *FOLDERS, environment=environment)
    spread = Spread.of([float(line) for line in stderr.splitlines()][1:])
    return [Figure("folder of 1,000 files", "ms", spread, bound=Bound(10, 10))]
