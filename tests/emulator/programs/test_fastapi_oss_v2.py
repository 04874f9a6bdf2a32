"""A service of FastAPI that keeps documents with the asynchronous client of alibabacloud-oss-v2."""

import asyncio
from contextlib import asynccontextmanager

import alibabacloud_oss_v2 as oss
import alibabacloud_oss_v2.aio as oss_aio
import pytest
import requests
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient


def client_config(running):
    key = running.credentials
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        key.access_key_id, key.access_key_secret
    )
    config.region = running.region
    config.endpoint = running.url
    return config


def create_app(config, bucket):
    @asynccontextmanager
    async def lifespan(app):
        async with oss_aio.AsyncClient(config) as client:
            app.state.oss = client
            yield

    app = FastAPI(lifespan=lifespan)

    @app.put("/documents/{name}")
    async def store(name: str, request: Request):
        body = await request.body()
        await app.state.oss.put_object(oss.PutObjectRequest(bucket, name, body=body))

    @app.get("/documents/{name}")
    async def read(name: str):
        if not await app.state.oss.is_object_exist(bucket, name):
            return Response(status_code=404)
        result = await app.state.oss.get_object(oss.GetObjectRequest(bucket, name))
        return Response(await result.body.read())

    @app.get("/documents/{name}/link")
    async def link(name: str):
        return (await app.state.oss.presign(oss.GetObjectRequest(bucket, name))).url

    @app.post("/copies/{name}")
    async def copy(name: str):
        await app.state.oss.copy_object(
            oss.CopyObjectRequest(bucket, f"copy-of-{name}", source_key=name)
        )

    @app.post("/many/{count}")
    async def many(count: int):
        requests = [oss.PutObjectRequest(bucket, f"{n:03}", body=b"1") for n in range(count)]
        await asyncio.gather(*(app.state.oss.put_object(request) for request in requests))

    @app.get("/documents")
    async def names():
        paginator = app.state.oss.list_objects_v2_paginator()
        request = oss.ListObjectsV2Request(bucket, max_keys=15)
        return [
            item.key async for page in paginator.iter_page(request) for item in page.contents or ()
        ]

    @app.delete("/documents")
    async def delete(request: Request):
        objects = [oss.DeleteObject(key=key) for key in await request.json()]
        await app.state.oss.delete_multiple_objects(
            oss.DeleteMultipleObjectsRequest(bucket, objects=objects)
        )

    return app


@pytest.fixture
def service(aliyun_oss):
    app = create_app(client_config(aliyun_oss), aliyun_oss.bucket)
    with TestClient(app) as client:
        yield client


def run(aliyun_oss, steps):
    async def main():
        async with oss_aio.AsyncClient(client_config(aliyun_oss)) as client:
            return await steps(client)

    return asyncio.run(main())


def test_documents(service):
    assert service.put("/documents/a.txt", content=b"figures").status_code == 200
    assert service.get("/documents/a.txt").content == b"figures"
    assert service.get("/documents/missing").status_code == 404
    assert requests.get(service.get("/documents/a.txt/link").json(), timeout=10).text == "figures"
    assert service.post("/copies/a.txt").status_code == 200
    assert service.get("/documents/copy-of-a.txt").content == b"figures"


def test_many(service):
    assert service.post("/many/40").status_code == 200
    names = service.get("/documents").json()
    assert names == [f"{n:03}" for n in range(40)]
    assert service.request("DELETE", "/documents", json=names).status_code == 200
    assert service.get("/documents").json() == []


def test_a_large_file_in_parts(aliyun_oss):
    async def steps(client):
        name = {"bucket": aliyun_oss.bucket, "key": "large"}
        begun = await client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(**name))
        name["upload_id"] = begun.upload_id
        requests = [
            oss.UploadPartRequest(**name, part_number=number, body=b"0" * 150_000)
            for number in (1, 2)
        ]
        done = await asyncio.gather(*(client.upload_part(request) for request in requests))
        parts = [oss.UploadPart(part_number=n, etag=part.etag) for n, part in enumerate(done, 1)]
        upload = oss.CompleteMultipartUpload(parts=parts)
        await client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(**name, complete_multipart_upload=upload)
        )
        head = await client.head_object(oss.HeadObjectRequest(aliyun_oss.bucket, "large"))
        return head.content_length

    assert run(aliyun_oss, steps) == 300_000


def test_tags_acl_append_and_the_size_of_the_bucket(aliyun_oss):
    async def steps(client):
        name = (aliyun_oss.bucket, "log")
        for position in (0, 4):
            request = oss.AppendObjectRequest(*name, position=position, body=b"line")
            await client.append_object(request)
        tags = oss.Tagging(tag_set=oss.TagSet(tags=[oss.Tag(key="kind", value="log")]))
        await client.put_object_tagging(oss.PutObjectTaggingRequest(*name, tagging=tags))
        await client.put_object_acl(oss.PutObjectAclRequest(*name, acl="private"))
        head = await client.head_object(oss.HeadObjectRequest(*name))
        stat = await client.get_bucket_stat(oss.GetBucketStatRequest(aliyun_oss.bucket))
        return (head.content_length, head.tagging_count, stat.object_count)

    assert run(aliyun_oss, steps) == (8, 1, 1)
