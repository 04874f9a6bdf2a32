"""Links of opendal, which signs with V1."""

import asyncio

import opendal
import pytest
import requests


@pytest.fixture
def operator(aliyun_oss):
    key = aliyun_oss.credentials
    return opendal.AsyncOperator(
        "oss",
        root="/",
        bucket=aliyun_oss.bucket,
        endpoint=aliyun_oss.url,
        addressing_style="path",
        access_key_id=key.access_key_id,
        access_key_secret=key.access_key_secret,
    )


@pytest.mark.parametrize("key", ["a.txt", "reports/文件 (1)+%.txt"])
def test_links(operator, key):
    async def sign():
        write = await operator.presign_write(key, 60)
        return write, await operator.presign_stat(key, 60), await operator.presign_read(key, 60)

    write, stat, read = asyncio.run(sign())
    assert requests.put(write.url, b"figures", timeout=10).status_code == 200
    assert requests.head(stat.url, timeout=10).headers["Content-Length"] == "7"
    assert requests.get(read.url, timeout=10).content == b"figures"
    assert requests.get(f"{read.url}x", timeout=10).status_code == 403
