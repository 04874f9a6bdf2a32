import alibabacloud_oss_v2 as oss
import pytest
import requests


def put(client, bucket, key, body=b"figures", **headers):
    return client.put_object(oss.PutObjectRequest(bucket, key, body=body, **headers))


def get(client, bucket, key, **headers):
    return client.get_object(oss.GetObjectRequest(bucket, key, **headers)).body.read()


def test_what_is_put_is_read(client, aliyun_oss):
    put(client, aliyun_oss.bucket, "文件/a b.txt")
    assert get(client, aliyun_oss.bucket, "文件/a b.txt") == b"figures"
    assert get(client, aliyun_oss.bucket, "文件/a b.txt", range_header="bytes=0-2") == b"fig"


def test_the_environment_has_what_the_sdk_reads(client, aliyun_oss_environment):
    put(client, aliyun_oss_environment.environment["OSS_BUCKET"], "a.txt")
    assert client.is_object_exist(aliyun_oss_environment.bucket, "a.txt")
    assert not client.is_object_exist(aliyun_oss_environment.bucket, "missing")


def test_a_list_of_several_pages(client, aliyun_oss):
    for number in range(5):
        put(client, aliyun_oss.bucket, f"{number}")
    request = oss.ListObjectsV2Request(aliyun_oss.bucket, max_keys=2)
    pages = list(client.list_objects_v2_paginator().iter_page(request))
    assert [[item.key for item in page.contents] for page in pages] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]


def test_a_missing_key(client, aliyun_oss):
    with pytest.raises(oss.exceptions.OperationError) as error:
        get(client, aliyun_oss.bucket, "missing")
    assert error.value.unwrap().code == "NoSuchKey"


def test_metadata_and_tags(client, aliyun_oss):
    put(client, aliyun_oss.bucket, "a.txt", metadata={"owner": "finance"}, tagging="kind=report")
    head = client.head_object(oss.HeadObjectRequest(aliyun_oss.bucket, "a.txt"))
    assert head.metadata["owner"] == "finance"
    assert head.tagging_count == 1


def test_copy(client, aliyun_oss):
    put(client, aliyun_oss.bucket, "a.txt")
    client.copy_object(oss.CopyObjectRequest(aliyun_oss.bucket, "b.txt", source_key="a.txt"))
    assert get(client, aliyun_oss.bucket, "b.txt") == b"figures"


def test_delete_many(client, aliyun_oss):
    for key in ("a", "b"):
        put(client, aliyun_oss.bucket, key)
    objects = [oss.DeleteObject(key="a"), oss.DeleteObject(key="b")]
    result = client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(aliyun_oss.bucket, objects=objects)
    )
    assert sorted(each.key for each in result.deleted_objects) == ["a", "b"]


def test_the_uploader_and_the_downloader(client, aliyun_oss, tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(b"0123456789" * 40_000)
    uploader = client.uploader(part_size=150_000, parallel_num=2)
    uploader.upload_file(oss.PutObjectRequest(aliyun_oss.bucket, "large.bin"), str(path))
    downloader = client.downloader(part_size=150_000, parallel_num=2)
    copy = tmp_path / "copy.bin"
    downloader.download_file(oss.GetObjectRequest(aliyun_oss.bucket, "large.bin"), str(copy))
    assert copy.read_bytes() == path.read_bytes()


def test_append(client, aliyun_oss):
    for position, line in ((0, b"one\n"), (4, b"two\n")):
        request = oss.AppendObjectRequest(
            aliyun_oss.bucket, "log.txt", position=position, body=line
        )
        assert client.append_object(request).next_position == position + 4
    assert get(client, aliyun_oss.bucket, "log.txt") == b"one\ntwo\n"


def test_a_file_that_is_appended_to(client, aliyun_oss):
    with client.append_file(aliyun_oss.bucket, "log.txt") as file:
        file.write(b"one\n")
    with client.append_file(aliyun_oss.bucket, "log.txt") as file:
        file.write(b"two\n")
    assert get(client, aliyun_oss.bucket, "log.txt") == b"one\ntwo\n"


def test_a_link_to_read(client, aliyun_oss):
    put(client, aliyun_oss.bucket, "a.txt")
    link = client.presign(oss.GetObjectRequest(aliyun_oss.bucket, "a.txt"))
    assert requests.get(link.url, headers=link.signed_headers, timeout=10).content == b"figures"


def test_a_link_to_write(client, aliyun_oss):
    request = oss.PutObjectRequest(aliyun_oss.bucket, "a.txt", content_type="text/plain")
    link = client.presign(request)
    answer = requests.put(link.url, b"figures", headers=link.signed_headers, timeout=10)
    assert answer.status_code == 200
    assert get(client, aliyun_oss.bucket, "a.txt") == b"figures"
