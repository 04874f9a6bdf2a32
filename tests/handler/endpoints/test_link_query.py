"""The parameters that a client may add to a link: the allow-list of the mount."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handler.config import Config
from tests.handler.client import CONFIG, ask, mount

# Sub-resources that OSS signs, of the OSS page on canonicalised resources and of the official SDK's own list.
_SUB_RESOURCES = """
accessPoint accessPointForObjectProcess accessPointPolicy accessPointPolicyForObjectProcess accessmonitor acl append
archive asyncFetch bucketArchiveDirectRead bucketInfo callback callback-var channel comp cname continuation-token
cors csr delete deleteMultiple dataRedundancyTransition dryRun encryption endTime eventTriggers group groupSet
img inventory inventoryId lifecycle list-type live location logging metaQuery meta notification objectInfo objectMeta
partNumber policy policyStatus position publicAccessBlock qos qosInfo quotas redundancyTransition referer regionList
replication replicationLocation replicationProgress requestPayment requesterQosInfo requestPayer resourceGroup
resourcePool response-vod restore rtc sequential securityToken security-token space startTime stat status style
styleName symlink tagging tlsVersion transferAcceleration udf udfApplication udfApplicationLog udfId udfImage
udfImageDesc udfName uploadId uploads userDefinedLogFieldsConfig versioning versionId versions vip vod website
worm wormExtend wormId x-oss-async-process x-oss-process x-oss-request-payer x-oss-rename x-oss-target
x-oss-write-get-object-response x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-ac-forward-allow
x-oss-traffic-limit x-oss-acl x-oss-copy-source x-oss-object-acl x-oss-tagging x-oss-symlink-target x-oss-callback
x-oss-callback-var x-oss-storage-class x-oss-delete-all x-oss-meta-a response-content-type response-content-language
httpsConfig response-expires response-cache-control response-content-disposition response-content-encoding
"""
_SIGNATURE = """
x-oss-signature x-oss-signature-version x-oss-credential x-oss-date x-oss-expires x-oss-security-token
x-oss-additional-headers OSSAccessKeyId Signature Expires security-token
"""
SUB_RESOURCES, SIGNATURE = _SUB_RESOURCES.split(), _SIGNATURE.split()
EVERYTHING = sorted(
    {
        "versionId",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "x-oss-traffic-limit",
    }
)
OPEN = mount(query=EVERYTHING)
LENIENT = mount(unknown_query="ignore")
LENIENT_AND_OPEN = mount(unknown_query="ignore", query=EVERYTHING)


@pytest.mark.parametrize("name", [*SUB_RESOURCES, *SIGNATURE])
@pytest.mark.parametrize("value", ["", "1"])
def test_a_mount_that_lists_nothing_refuses_every_parameter_of_oss_by_name(name: str, value: str) -> None:
    response = ask(query={name: value})
    assert (response.status, response.code) == (400, "not_signable")
    assert repr(name) in response.json["detail"]


@pytest.mark.parametrize("name", sorted({*SUB_RESOURCES, *SIGNATURE} - set(EVERYTHING)))
def test_a_mount_that_lists_everything_refuses_every_other_parameter_of_oss(name: str) -> None:
    for value in ("", "1"):
        response = ask(query={name: value}, config=OPEN)
        assert (response.status, response.code) == (400, "not_signable")


@pytest.mark.parametrize("name", [*SUB_RESOURCES, *SIGNATURE, "utm_source", "fbclid", "from", "X-OSS-PROCESS"])
def test_a_mount_that_ignores_unknown_parameters_never_signs_them(name: str) -> None:
    response = ask(query={name: "1", "expires": "90"}, config=LENIENT)
    assert response.status == 302
    assert response.query == {}
    assert response.expires_in == 90
    assert response.url == ask(query={"expires": "90"}, config=LENIENT).url


@given(name=st.text(st.characters(exclude_categories=["Cs"])), value=st.text(max_size=20))
def test_no_other_name_is_accepted(name: str, value: str) -> None:
    assume(name not in ("expires", "download", "format"))
    assume((name, value) != ("null", ""))
    assert ask(query={name: value}, config=CONFIG).code == "not_signable"
    assert ask(query={name: value}, config=LENIENT).query == {}


@pytest.mark.parametrize("name", EVERYTHING)
def test_names_are_compared_exactly(name: str) -> None:
    for written in (name.upper(), name.title(), f" {name}", f"{name} ", f"{name}\0", name[:-1]):
        assert ask(query={written: "1000000"}, config=OPEN).code == "not_signable"


def test_a_listed_parameter_is_signed_unchanged() -> None:
    query = {
        "versionId": "CAEQNhiBgMDJgZCA0BYiIDc4MGZjZGI2OTBjOTRmNTE5NmU5NmFhZjhjYmY0+/=",
        "response-content-type": "text/plain; charset=utf-8",
        "response-content-disposition": 'inline; filename="a b.txt"',
        "response-cache-control": "no-cache,no-store",
        "response-content-encoding": "gzip",
        "response-content-language": "zh-CN",
        "response-expires": "Fri, 24 Feb 2012 17:00:00 GMT",
        "x-oss-traffic-limit": "819200",
    }
    response = ask(query=query, config=OPEN)
    assert response.query == query
    assert response.signs()


def test_a_listed_parameter_requires_a_value() -> None:
    for name in EVERYTHING:
        for config in (OPEN, LENIENT_AND_OPEN):
            response = ask(query={name: ""}, config=config)
            assert (response.status, response.code) == (400, "bad_query")
            assert name in response.json["detail"]


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: a=b", "a\x00", "\x7f", "\ud800"])
def test_a_value_that_is_not_valid_in_a_header_is_refused(value: str) -> None:
    response = ask(query={"response-content-language": value}, config=OPEN)
    assert (response.status, response.code) == (400, "bad_query")
    assert value not in response.json["detail"]


def test_a_repeated_parameter_has_the_joined_value_of_function_compute() -> None:
    assert ask(query={"expires": "600,60"}).code == "bad_expires"
    assert ask(query={"format": "json,redirect"}).code == "bad_format"
    assert ask(query={"versionId": "a,b"}, config=OPEN).query == {"versionId": "a,b"}


@pytest.mark.parametrize("config", [CONFIG, LENIENT, OPEN], ids=["refuse", "ignore", "open"])
def test_an_empty_null_is_dropped(config: Config) -> None:
    response = ask(query={"null": "", "expires": "90"}, config=config)
    assert response.query == {}
    assert response.expires_in == 90


def test_a_null_with_a_value_is_like_any_other_parameter() -> None:
    assert ask(query={"null": "null"}).code == "not_signable"
    assert ask(query={"Null": ""}).code == "not_signable"
    assert ask(query={"null": "1"}, config=LENIENT).query == {}


# --- x-oss-process ------------------------------------------------------------------------------------------------

THUMBNAIL = "image/resize,w_100"
PROCESS = mount(query=["x-oss-process"], process=[THUMBNAIL, "style/small"])


@pytest.mark.parametrize("value", [THUMBNAIL, "style/small"])
def test_a_listed_process_is_signed(value: str) -> None:
    response = ask(query={"x-oss-process": value}, config=PROCESS)
    assert response.query == {"x-oss-process": value}
    assert response.signs()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "image/resize,w_101",
        f"{THUMBNAIL}/watermark,image_cHJpdmF0ZS5wbmc",
        f"{THUMBNAIL},{THUMBNAIL}",
        f"{THUMBNAIL}|sys/saveas,o_YQ,b_Yg",
        f"{THUMBNAIL} ",
        THUMBNAIL.upper(),
        "image/info",
    ],
)
@pytest.mark.parametrize("unknown", ["refuse", "ignore"])
def test_another_process_is_refused_even_if_unknown_parameters_are_ignored(value: str, unknown: str) -> None:
    config = mount(query=["x-oss-process"], process=[THUMBNAIL], unknown_query=unknown)
    response = ask(query={"x-oss-process": value}, config=config)
    assert (response.status, response.code) == (400, "bad_query")
    assert "x-oss-process" in response.json["detail"]
    assert THUMBNAIL not in response.json["detail"]


# --- x-oss-traffic-limit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("819200", 302),
        ("838860800", 302),
        ("819199", 400),
        ("838860801", 400),
        ("0", 400),
        ("0819200", 400),
        ("-819200", 400),
        ("+819200", 400),
        (" 819200", 400),
        ("819200.0", 400),
        ("8e5", 400),
        ("819_200", 400),
        ("\uff18\uff11\uff19\uff12\uff10\uff10", 400),
        ("1000000000000000000000", 400),
        ("819200,819200", 400),
        ("1MB", 400),
        ("", 400),
    ],
)
def test_a_traffic_limit_must_be_within_the_limits_of_oss(value: str, status: int) -> None:
    response = ask(query={"x-oss-traffic-limit": value}, config=OPEN)
    assert response.status == status
    if status == 400:
        assert response.code == "bad_query"
        assert "x-oss-traffic-limit" in response.json["detail"]


@given(value=st.integers(800_000, 900_000_000).map(str) | st.from_regex(r"[+0 _]{0,3}[1-8][0-9]{5,8}", fullmatch=True))
def test_a_signed_traffic_limit_is_a_plain_number_within_the_limits(value: str) -> None:
    response = ask(query={"x-oss-traffic-limit": value}, config=OPEN)
    if response.status == 302:
        signed = response.query["x-oss-traffic-limit"]
        assert signed == str(int(signed))
        assert 819_200 <= int(signed) <= 838_860_800


# --- together -----------------------------------------------------------------------------------------------------


def test_a_download_and_a_disposition_exclude_each_other() -> None:
    response = ask(query={"download": "a", "response-content-disposition": "inline"}, config=OPEN)
    assert (response.status, response.code) == (400, "bad_query")
