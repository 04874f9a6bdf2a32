import asyncio

import alibabacloud_oss_v2 as oss
import alibabacloud_oss_v2.aio as oss_aio
import pytest


@pytest.fixture
def with_client(config):
    """Runs a coroutine function with an asynchronous client."""

    def run(test):
        async def main():
            async with oss_aio.AsyncClient(config) as client:
                return await test(client)

        return asyncio.run(main())

    return run


def test_forty_at_once(with_client, aliyun_oss):
    async def put_all(client):
        requests = [
            oss.PutObjectRequest(aliyun_oss.bucket, f"{number:02}", body=b"%d" % number)
            for number in range(40)
        ]
        await asyncio.gather(*(client.put_object(request) for request in requests))
        result = await client.list_objects_v2(oss.ListObjectsV2Request(aliyun_oss.bucket))
        return [item.key for item in result.contents]

    assert with_client(put_all) == [f"{number:02}" for number in range(40)]


def test_what_is_put_is_read(with_client, aliyun_oss):
    async def put_and_get(client):
        await client.put_object(oss.PutObjectRequest(aliyun_oss.bucket, "a.txt", body=b"figures"))
        result = await client.get_object(oss.GetObjectRequest(aliyun_oss.bucket, "a.txt"))
        return await result.body.read()

    assert with_client(put_and_get) == b"figures"


def test_a_missing_key(with_client, aliyun_oss):
    async def get(client):
        with pytest.raises(oss.exceptions.OperationError) as error:
            await client.get_object(oss.GetObjectRequest(aliyun_oss.bucket, "missing"))
        return error.value.unwrap().code

    assert with_client(get) == "NoSuchKey"


def test_parts(with_client, aliyun_oss):
    async def upload(client):
        name = {"bucket": aliyun_oss.bucket, "key": "a.bin"}
        begun = await client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(**name))
        name["upload_id"] = begun.upload_id
        part = await client.upload_part(
            oss.UploadPartRequest(**name, part_number=1, body=b"figures")
        )
        parts = oss.CompleteMultipartUpload([oss.UploadPart(part_number=1, etag=part.etag)])
        await client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(**name, complete_multipart_upload=parts)
        )
        result = await client.head_object(oss.HeadObjectRequest(aliyun_oss.bucket, "a.bin"))
        return result.content_length

    assert with_client(upload) == 7


def test_a_wrong_secret(config, with_client, aliyun_oss):
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        aliyun_oss.credentials.access_key_id, "wrong"
    )

    async def put(client):
        with pytest.raises(oss.exceptions.OperationError) as error:
            await client.put_object(oss.PutObjectRequest(aliyun_oss.bucket, "a.txt", body=b"1"))
        return error.value.unwrap().code

    assert with_client(put) == "SignatureDoesNotMatch"
