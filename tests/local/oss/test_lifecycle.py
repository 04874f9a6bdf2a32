"""The lifecycle rules of a bucket, which are kept and shown."""

from __future__ import annotations

import pytest

from tests.local.oss.cloud import Cloud

RULES = (
    b"<LifecycleConfiguration><Rule><ID>old</ID><Prefix>a/</Prefix><Status>Enabled</Status>"
    b"<Expiration><Days>7</Days></Expiration></Rule></LifecycleConfiguration>"
)


def test_a_bucket_has_no_rules_at_first(cloud: Cloud) -> None:
    refused = cloud.call("GET", query={"lifecycle": ""})
    assert (refused.status, refused.code) == (404, "NoSuchLifecycle")
    assert cloud.call("GET", query={"lifecycle": ""}, bucket="missing-bucket").code == "NoSuchBucket"


def test_rules_are_returned_as_they_were_set_until_others_replace_them(cloud: Cloud) -> None:
    for rules in (RULES, RULES.replace(b"old", b"new")):
        assert cloud.call("PUT", query={"lifecycle": ""}, body=rules).status == 200
        response = cloud.call("GET", query={"lifecycle": ""})
        assert (response.status, response.headers["content-type"]) == (200, "application/xml")
        assert response.body.endswith(rules)
    assert cloud.call("GET", query={"lifecycle": ""}).text("ID") == "new"


@pytest.mark.parametrize("body", [b"", b"<LifecycleConfiguration/>", b"no XML"])
def test_a_document_without_rules_is_refused(cloud: Cloud, body: bytes) -> None:
    refused = cloud.call("PUT", query={"lifecycle": ""}, body=body)
    assert (refused.status, refused.code) == (400, "MalformedXML")
