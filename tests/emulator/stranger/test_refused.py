"""What OSS refuses is refused, with OSS's own error codes."""

import xml.etree.ElementTree as ET

import alibabacloud_oss_v2 as oss
import oss2
import pytest
import requests


def code(answer):
    assert answer.headers["x-oss-request-id"]
    return (answer.status_code, ET.fromstring(answer.content).findtext("Code"))


@pytest.fixture
def link(bucket):
    bucket.put_object("a.txt", b"figures")
    return bucket.sign_url("GET", "a.txt", 60, slash_safe=True)


def test_a_request_without_a_signature(aliyun_oss, bucket):
    bucket.put_object("a.txt", b"figures")
    answer = requests.get(f"{aliyun_oss.url}/{aliyun_oss.bucket}/a.txt", timeout=10)
    assert code(answer) == (403, "AccessDenied")


def test_another_key_in_the_link(link):
    answer = requests.get(link.replace("/a.txt", "/b.txt"), timeout=10)
    assert code(answer) == (403, "SignatureDoesNotMatch")


def test_another_method(link):
    answer = requests.put(link, b"other", timeout=10)
    assert code(answer) == (403, "SignatureDoesNotMatch")


def test_a_parameter_that_was_added(link):
    answer = requests.get(f"{link}&response-content-type=text/html", timeout=10)
    assert code(answer) == (403, "SignatureDoesNotMatch")


def test_a_wrong_secret(aliyun_oss):
    auth = oss2.AuthV4(aliyun_oss.credentials.access_key_id, "wrong")
    bucket = oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket, region=aliyun_oss.region)
    with pytest.raises(oss2.exceptions.SignatureDoesNotMatch):
        bucket.put_object("a.txt", b"figures")


def test_an_unknown_key(aliyun_oss):
    auth = oss2.AuthV4("LTAI5tUNKNOWN", "wrong")
    bucket = oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket, region=aliyun_oss.region)
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.put_object("a.txt", b"figures")
    assert error.value.code == "InvalidAccessKeyId"


def test_another_region(config, aliyun_oss):
    config.region = "cn-beijing"
    with pytest.raises(oss.exceptions.OperationError) as error:
        oss.Client(config).list_objects_v2(oss.ListObjectsV2Request(aliyun_oss.bucket))
    assert error.value.unwrap().status_code in (400, 403)


def test_what_is_left_out_names_itself(bucket):
    bucket.put_object("a.jpg", b"figures")
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.get_object("a.jpg", process="image/resize,w_100")
    assert error.value.status == 501
    assert error.value.code == "NotImplemented"
