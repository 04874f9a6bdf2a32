"""The doctor says which records of people a deployment keeps."""

from __future__ import annotations

import pytest

from deploy.probes.findings import Finding
from deploy.probes.personal_data import records
from tests.deploy.deployments import EVENTS, HTTP, LINKS, XML, deployed, overlaid, serving
from tests.handler.client import KEYS

OFF = "The access log of examplebucket is off: OSS does not record who downloads."
ON = """<?xml version="1.0" encoding="UTF-8"?>
<BucketLoggingStatus xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">
  <LoggingEnabled>
    <TargetBucket>examplelogs</TargetBucket>
    <TargetPrefix>oss/</TargetPrefix>
  </LoggingEnabled>
</BucketLoggingStatus>"""


def examined(status: int, body: str) -> Finding:
    """What it says of the bucket."""
    asked = []

    def respond(method: str, path: str) -> tuple[int, dict[str, str], str]:
        asked.append((method, path.partition("&")[0]))
        return status, {}, body

    with serving(respond) as oss:
        *_, finding = records(deployed(oss, KEYS, LINKS))
    assert asked == [("GET", "/examplebucket/?logging")]
    return finding


def test_an_access_log_has_everybody_who_downloads() -> None:
    sentence = (
        "The access log of examplebucket is on: oss://examplelogs/oss/ has address, time and link of each download, "
        "until you delete it."
    )
    assert examined(200, ON) == ("ok", "personal-data", sentence)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<BucketLoggingStatus></BucketLoggingStatus>"), (501, XML.format("NotImplemented"))],
)
def test_without_one_nobody_is_recorded(status: int, body: str) -> None:
    assert examined(status, body) == ("ok", "personal-data", OFF)


@pytest.mark.parametrize(
    ("status", "body"), [(403, XML.format("AccessDenied")), (200, "no XML"), (200, "<a/>")]
)
def test_one_that_cannot_be_read_is_unknown(status: int, body: str) -> None:
    finding = examined(status, body)
    assert finding.level == "unknown"
    assert finding.sentence.endswith("allow oss:GetBucketLogging, or look in the console.")


def test_the_logs_of_both_functions_have_addresses_for_the_days_of_s_yaml() -> None:
    without_metrics = overlaid(EVENTS, {"logConfig": {"enableRequestMetrics": False}})
    http, events = records(deployed("http://127.0.0.1:9", None, LINKS, "", HTTP, without_metrics))
    lines = "in the audit lines and the request metrics, for 190 days."
    assert http.sentence.endswith(f"addresses, paths and callers of links_http, {lines}")
    assert events.sentence.endswith("in the audit lines, for 190 days.")
