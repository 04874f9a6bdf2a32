import oss2
import pytest
import requests


@pytest.mark.parametrize("key", ["a.txt", "reports/文件 (1)+%20.txt", "~!*'();:@&=$,"])
def test_what_is_put_is_read(bucket, key):
    bucket.put_object(key, b"figures")
    assert bucket.get_object(key).read() == b"figures"
    assert [item.key for item in bucket.list_objects_v2().object_list] == [key]


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_has_an_empty_bucket(bucket, number):
    assert bucket.list_objects_v2().object_list == []
    bucket.put_object(f"{number}.txt", b"1")


def test_a_range(bucket):
    bucket.put_object("a.txt", b"figures")
    result = bucket.get_object("a.txt", byte_range=(0, 2))
    assert result.status == 206
    assert result.read() == b"fig"


def test_metadata(bucket):
    headers = {"Content-Type": "text/csv", "x-oss-meta-owner": "finance"}
    bucket.put_object("a.csv", b"1;2", headers=headers)
    head = bucket.head_object("a.csv")
    assert head.content_type == "text/csv"
    assert head.headers["x-oss-meta-owner"] == "finance"
    assert head.content_length == 3


def test_folders(bucket):
    for key in ("a/1", "a/2", "b/1", "c"):
        bucket.put_object(key, b"")
    result = bucket.list_objects_v2(delimiter="/")
    assert result.prefix_list == ["a/", "b/"]
    assert [item.key for item in result.object_list] == ["c"]


def test_a_list_of_several_pages(bucket):
    for number in range(7):
        bucket.put_object(f"{number}", b"")
    keys = [item.key for item in oss2.ObjectIteratorV2(bucket, max_keys=3)]
    assert keys == list("0123456")


def test_a_missing_key(bucket):
    with pytest.raises(oss2.exceptions.NoSuchKey) as error:
        bucket.get_object("missing")
    assert error.value.status == 404
    assert error.value.request_id


def test_a_missing_bucket(aliyun_oss, bucket):
    other = oss2.Bucket(bucket.auth, aliyun_oss.url, "no-such-bucket", region=aliyun_oss.region)
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        other.get_object("a.txt")


def test_delete(bucket):
    bucket.put_object("a.txt", b"figures")
    bucket.delete_object("a.txt")
    assert not bucket.object_exists("a.txt")
    assert bucket.delete_object("a.txt").status == 204


def test_delete_many(bucket):
    for key in ("a", "b", "c"):
        bucket.put_object(key, b"")
    assert bucket.batch_delete_objects(["a", "b", "missing"]).status == 200
    assert [item.key for item in bucket.list_objects_v2().object_list] == ["c"]


def test_copy(bucket):
    bucket.put_object("a.txt", b"figures", headers={"x-oss-meta-owner": "finance"})
    bucket.copy_object(bucket.bucket_name, "a.txt", "b.txt")
    assert bucket.get_object("b.txt").read() == b"figures"
    assert bucket.head_object("b.txt").headers["x-oss-meta-owner"] == "finance"


def test_a_large_file_in_parts(bucket, tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(b"0123456789" * 40_000)
    oss2.resumable_upload(
        bucket,
        "large.bin",
        str(path),
        multipart_threshold=100_000,
        part_size=150_000,
        num_threads=2,
    )
    assert bucket.head_object("large.bin").headers["x-oss-object-type"] == "Multipart"
    oss2.resumable_download(
        bucket, "large.bin", str(tmp_path / "copy.bin"), multiget_threshold=100_000
    )
    assert (tmp_path / "copy.bin").read_bytes() == path.read_bytes()


def test_an_upload_that_is_given_up(bucket):
    upload = bucket.init_multipart_upload("a.bin").upload_id
    bucket.upload_part("a.bin", upload, 1, b"figures")
    assert [item.upload_id for item in bucket.list_multipart_uploads().upload_list] == [upload]
    bucket.abort_multipart_upload("a.bin", upload)
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.upload_part("a.bin", upload, 2, b"figures")


def test_append(bucket):
    position = bucket.append_object("log.txt", 0, b"one\n").next_position
    assert bucket.append_object("log.txt", position, b"two\n").next_position == 8
    assert bucket.get_object("log.txt").read() == b"one\ntwo\n"
    with pytest.raises(oss2.exceptions.PositionNotEqualToLength):
        bucket.append_object("log.txt", 3, b"three\n")


def test_conditions(bucket):
    etag = bucket.put_object("a.txt", b"figures").etag
    with pytest.raises(oss2.exceptions.NotModified):
        bucket.get_object("a.txt", headers={"If-None-Match": etag})
    with pytest.raises(oss2.exceptions.PreconditionFailed):
        bucket.get_object("a.txt", headers={"If-Match": "0"})


def test_an_object_that_must_not_be_replaced(bucket):
    headers = {"x-oss-forbid-overwrite": "true"}
    bucket.put_object("a.txt", b"one", headers=headers)
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.put_object("a.txt", b"two", headers=headers)
    assert error.value.code == "FileAlreadyExists"


def test_tags(bucket):
    bucket.put_object("a.txt", b"", headers={"x-oss-tagging": "kind=report"})
    rule = bucket.get_object_tagging("a.txt").tag_set.tagging_rule
    assert rule == {"kind": "report"}


def test_versions(bucket):
    bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled"))
    first = bucket.put_object("a.txt", b"one").versionid
    bucket.put_object("a.txt", b"two")
    bucket.delete_object("a.txt")
    assert bucket.get_object("a.txt", params={"versionId": first}).read() == b"one"


def test_a_symbolic_link(bucket):
    bucket.put_object("a.txt", b"figures")
    bucket.put_symlink("a.txt", "latest")
    assert bucket.get_symlink("latest").target_key == "a.txt"
    assert bucket.get_object("latest").read() == b"figures"


def test_the_size_of_a_bucket(bucket):
    bucket.put_object("a.txt", b"figures")
    stat = bucket.get_bucket_stat()
    assert (stat.storage_size_in_bytes, stat.object_count) == (7, 1)


def test_a_link_to_read(bucket):
    bucket.put_object("a.txt", b"figures")
    url = bucket.sign_url("GET", "a.txt", 60, slash_safe=True)
    assert requests.get(url, timeout=10).content == b"figures"


def test_a_link_to_write(bucket):
    headers = {"Content-Type": "text/plain"}
    url = bucket.sign_url("PUT", "a/b.txt", 60, headers=headers, slash_safe=True)
    assert requests.put(url, b"figures", headers=headers, timeout=10).status_code == 200
    assert bucket.get_object("a/b.txt").read() == b"figures"


def test_temporary_credentials(aliyun_oss):
    key = aliyun_oss.temporary
    auth = oss2.StsAuth(
        key.access_key_id, key.access_key_secret, key.security_token, oss2.AUTH_VERSION_4
    )
    bucket = oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket, region=aliyun_oss.region)
    bucket.put_object("a.txt", b"figures")
    url = bucket.sign_url("GET", "a.txt", 60, slash_safe=True)
    assert requests.get(url, timeout=10).content == b"figures"


def test_the_old_signature(aliyun_oss):
    key = aliyun_oss.credentials
    auth = oss2.Auth(key.access_key_id, key.access_key_secret)
    bucket = oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket)
    bucket.put_object("a.txt", b"figures")
    assert bucket.get_object("a.txt").read() == b"figures"


def test_a_bucket_that_a_program_creates(aliyun_oss, bucket):
    other = oss2.Bucket(bucket.auth, aliyun_oss.url, "my-own-bucket", region=aliyun_oss.region)
    other.create_bucket()
    service = oss2.Service(bucket.auth, aliyun_oss.url, region=aliyun_oss.region)
    assert "my-own-bucket" in [each.name for each in oss2.BucketIterator(service)]
    other.delete_bucket()
