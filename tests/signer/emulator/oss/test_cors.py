"""Requests from pages of other origins."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.local_oss import BUCKET, LocalOss

RULES = b"""<CORSConfiguration>
  <CORSRule>
    <AllowedOrigin>https://*.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>
    <AllowedHeader>X-OSS-*</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <MaxAgeSeconds>60</MaxAgeSeconds>
  </CORSRule>
</CORSConfiguration>"""


def preflight(
    cloud: LocalOss, origin: str, method: str, headers: str = "", target: str = f"/{BUCKET}/object"
) -> int:
    requested = {"Origin": origin, "Access-Control-Request-Method": method}
    return cloud.send(
        "OPTIONS",
        target,
        requested | ({"Access-Control-Request-Headers": headers} if headers else {}),
    ).status


def test_a_new_bucket_allows_no_page(cloud: LocalOss) -> None:
    cloud.put("object")
    for origin in ("http://localhost:3000", "null"):
        assert [preflight(cloud, origin, method) for method in ("GET", "PUT")] == [403, 403]
        got = cloud.send("GET", cloud.link("GET", "object"), {"Origin": origin})
        assert (
            got.status,
            [name for name in got.headers if name.startswith("access-control")],
        ) == (200, [])
    missing = cloud.call("GET", query={"cors": ""})
    assert (missing.code, missing.text("Message")) == (
        "NoSuchCORSConfiguration",
        "The CORS Configuration does not exist.",
    )


def test_a_page_may_read_an_answer_also_why_it_was_refused_where_a_rule_allows_it(
    cloud: LocalOss,
) -> None:
    cloud.call("PUT", query={"cors": ""}, body=RULES.replace(b"https://*.example.com", b"*"))
    cloud.put("object")
    requested = {"Origin": "null", "Access-Control-Request-Method": "PUT"}
    requested["Access-Control-Request-Headers"] = "x-oss-meta-a, x-oss-meta-b"
    response = cloud.send("OPTIONS", cloud.link("PUT", "object"), requested)
    assert (response.status, response.headers["access-control-allow-methods"]) == (200, "GET, PUT")
    assert response.headers["access-control-allow-headers"] == "x-oss-meta-a, x-oss-meta-b"
    got = cloud.send("GET", cloud.link("GET", "object"), {"Origin": "null"})
    assert (got.status, got.headers["access-control-expose-headers"]) == (200, "ETag")
    refused = cloud.send("GET", f"/{BUCKET}/object", {"Origin": "null"})
    for answer in (response, got, refused):
        assert answer.headers["access-control-allow-origin"] == "*"
    assert refused.status == 403


def test_only_what_the_rules_of_a_bucket_allow_is_allowed(cloud: LocalOss) -> None:
    assert cloud.call("PUT", query={"cors": ""}, body=RULES).status == 200
    stored = cloud.call("GET", query={"cors": ""})
    assert stored.texts("AllowedOrigin") == ["https://*.example.com"]
    assert stored.texts("AllowedHeader") == ["x-oss-*"]  # in lower case
    assert (stored.texts("ExposeHeader"), stored.texts("ResponseVary")) == (["ETag"], ["false"])
    assert preflight(cloud, "https://app.example.com", "PUT", "x-oss-meta-a") == 200
    assert preflight(cloud, "https://app.example.org", "PUT") == 403
    assert preflight(cloud, "https://app.example.com", "DELETE") == 403
    assert preflight(cloud, "https://app.example.com", "PUT", "content-type") == 403
    cloud.put("object")
    link = cloud.link("GET", "object")
    allowed = cloud.send("GET", link, {"Origin": "https://app.example.com"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example.com"
    assert allowed.headers["access-control-max-age"] == "60"
    assert "access-control-allow-origin" not in cloud.send("GET", link, {"Origin": "null"}).headers


def test_every_response_varies_by_origin_where_the_bucket_wants_it_and_else_none(
    cloud: LocalOss,
) -> None:
    cloud.put("object")
    for wanted in (
        b"",
        b"<ResponseVary>false</ResponseVary>",
        b"<ResponseVary>true</ResponseVary>",
    ):
        body = RULES.replace(b"</CORSConfiguration>", wanted + b"</CORSConfiguration>")
        assert cloud.call("PUT", query={"cors": ""}, body=body).status == 200
        for headers in (
            {"Origin": "https://app.example.com"},
            {"Origin": "https://app.example.org"},
            {},
        ):
            for response in (
                cloud.send("GET", cloud.link("GET", "object"), headers),
                cloud.send("GET", f"/{BUCKET}/object", headers),
                cloud.send(
                    "OPTIONS",
                    f"/{BUCKET}/object",
                    {**headers, "Access-Control-Request-Method": "GET"},
                ),
            ):
                assert response.headers.get("vary") == ("Origin" if b"true" in wanted else None)


def test_after_the_rules_are_removed_no_origin_is_allowed(cloud: LocalOss) -> None:
    cloud.call("PUT", query={"cors": ""}, body=RULES)
    assert cloud.call("DELETE", query={"cors": ""}).status == 204
    assert preflight(cloud, "https://app.example.com", "GET") == 403
    assert cloud.call("GET", query={"cors": ""}).code == "NoSuchCORSConfiguration"


def test_invalid_rules_are_refused(cloud: LocalOss) -> None:
    vary = RULES.replace(b"</CORSRule>", b"</CORSRule><ResponseVary>sometimes</ResponseVary>")
    for rules in (b"", b"<CORSConfiguration/>", RULES.replace(b"PUT", b"PATCH"), vary):
        assert cloud.call("PUT", query={"cors": ""}, body=rules).code == "MalformedXML"


@pytest.mark.parametrize(("entity", "status"), [("b", 200), ("j", 400)])
def test_rules_whose_entities_grow_to_a_gigabyte_are_refused(
    entity: str, status: int, cloud: LocalOss
) -> None:
    entities = "".join(
        f'<!ENTITY {outer} "{f"&{inner};" * 10}">' for inner, outer in pairwise("abcdefghij")
    )
    document = f"<!DOCTYPE x [<!ENTITY a 'x'>{entities}]>".encode()
    rules = document + RULES.replace(b"ETag", f"&{entity};".encode())
    assert cloud.call("PUT", query={"cors": ""}, body=rules).status == status


def test_a_preflight_must_name_an_origin_a_method_and_an_existing_bucket(cloud: LocalOss) -> None:
    assert cloud.send("OPTIONS", f"/{BUCKET}/object").code == "InvalidArgument"
    assert preflight(cloud, "null", "GET", target="/otherbucket/object") == 404
