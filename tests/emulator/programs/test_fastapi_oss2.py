"""A service of FastAPI that keeps documents with oss2."""

import oss2
import pytest
import requests
from fastapi import Body, FastAPI, HTTPException
from fastapi.responses import RedirectResponse, StreamingResponse
from fastapi.testclient import TestClient


def create_app(bucket):
    app = FastAPI()

    @app.put("/documents/{name}")
    def store(name: str, body: bytes = Body(media_type="application/octet-stream")):
        bucket.put_object(name, body)

    @app.get("/documents")
    def names():
        return [item.key for item in oss2.ObjectIteratorV2(bucket)]

    @app.get("/documents/{name}")
    def stream(name: str):
        try:
            return StreamingResponse(iter(bucket.get_object(name)))
        except oss2.exceptions.NoSuchKey as error:
            raise HTTPException(404) from error

    @app.get("/documents/{name}/link")
    def link(name: str):
        return RedirectResponse(bucket.sign_url("GET", name, 60, slash_safe=True))

    @app.post("/log/{line}")
    def log(line: str):
        size = bucket.head_object("log").content_length if bucket.object_exists("log") else 0
        return bucket.append_object("log", size, f"{line}\n").next_position

    @app.delete("/documents/{name}")
    def delete(name: str):
        bucket.delete_object(name)

    return app


@pytest.fixture
def bucket(aliyun_oss):
    key = aliyun_oss.credentials
    auth = oss2.AuthV4(key.access_key_id, key.access_key_secret)
    return oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket, region=aliyun_oss.region)


@pytest.fixture
def service(bucket):
    return TestClient(create_app(bucket), follow_redirects=False)


def test_documents(service):
    assert service.put("/documents/a.txt", content=b"figures").status_code == 200
    assert service.get("/documents").json() == ["a.txt"]
    assert service.get("/documents/a.txt").content == b"figures"
    link = service.get("/documents/a.txt/link").headers["location"]
    assert requests.get(link, timeout=10).content == b"figures"
    assert service.delete("/documents/a.txt").status_code == 200
    assert service.get("/documents/a.txt").status_code == 404


def test_a_log(service, bucket):
    assert [service.post(f"/log/{line}").json() for line in ("one", "two")] == [4, 8]
    assert bucket.get_object("log").read() == b"one\ntwo\n"


def test_a_large_file(bucket, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"0" * 400_000)
    oss2.resumable_upload(bucket, "large", str(path), multipart_threshold=1, part_size=200_000)
    assert bucket.head_object("large").content_length == 400_000


def test_what_is_private_stays_private(bucket):
    bucket.put_object("a.txt", b"figures")
    bucket.put_object_acl("a.txt", oss2.OBJECT_ACL_PRIVATE)
    assert bucket.get_object_acl("a.txt").acl == oss2.OBJECT_ACL_PRIVATE
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.put_object_acl("a.txt", oss2.OBJECT_ACL_PUBLIC_READ)
    assert error.value.status == 501


def test_a_symbolic_link_and_the_size_of_the_bucket(bucket):
    bucket.put_object("a.txt", b"figures")
    bucket.put_symlink("a.txt", "latest")
    assert bucket.get_object("latest").read() == b"figures"
    assert bucket.get_bucket_stat().object_count == 2


def test_a_thumbnail_is_left_out(bucket):
    bucket.put_object("a.jpg", b"figures")
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.get_object("a.jpg", process="image/resize,w_100")
    assert error.value.status == 501
