"""Lists of objects."""

from __future__ import annotations

import pytest

from signer.common.listing import ListedObject, ListedPage, read_page

# The elements are those of the example of the page "ListObjectsV2", and its namespace, which OSS itself leaves out.
DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult{}>
  <Prefix>a%2F</Prefix>
  <IsTruncated>true</IsTruncated>
  <NextContinuationToken>CgJiYw--</NextContinuationToken>
  <Contents>
    <Key>a%2Fb%20c</Key>
    <LastModified>2020-05-18T05:45:43.000Z</LastModified>
    <ETag>"35A27C2B9EAEEB6F48FD7FB5861D7A0F"</ETag>
    <Size>25</Size>
  </Contents>
  <CommonPrefixes><Prefix>a%2Fd%2F</Prefix></CommonPrefixes>
</ListBucketResult>"""


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com"'])
def test_a_list_is_read_with_and_without_the_namespace_of_the_documentation(namespace: str) -> None:
    listed = ListedObject(
        "a/b c", 25, "35a27c2b9eaeeb6f48fd7fb5861d7a0f", "2020-05-18T05:45:43.000Z"
    )
    assert read_page(DOCUMENT.format(namespace).encode()) == ListedPage(
        [listed], ["a/d/"], "CgJiYw--"
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2020-05-18T05:45:43.000Z", "2020-05-18T05:45:43Z"),
        ("2020-05-18T05:45:43Z", "2020-05-18T05:45:43Z"),
        ("2020-05-18T13:45:43.123+08:00", "2020-05-18T05:45:43Z"),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_time_of_a_change_is_in_utc_without_a_fraction(written: str, shown: str | None) -> None:
    assert ListedObject("a", 1, last_modified=written).modified_at == shown
