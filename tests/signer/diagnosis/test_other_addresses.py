"""Links inside other addresses, links that OSS did not sign, answers without a link, and what only OSS says."""

from __future__ import annotations

import ast
import base64
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import signer
from signer.diagnosis.causes import causes_in
from signer.diagnosis.explanation import WORDS
from tests.signer.cli.command import run
from tests.signer.signing import KEYS, sign

ISSUED = 1_764_000_000


def presign(key: str = "a.txt", **options: Any) -> str:
    return sign(key=key, **{"expires_in": 600, "now": ISSUED, **options}).url


LINK = presign("a b.txt")
ENCODED = quote(LINK, safe="")
WRAPPED = {
    "url": f"https://nam02.safelinks.protection.outlook.com/?url={ENCODED}&data=05%7C01%7Ca&reserved=0",
    "pfurl": f"https://c.pc.qq.com/middlem.html?pfurl={quote(ENCODED, safe='')}&pfuin=1",
    "target": f"Look here: https://link.zhihu.com/?target={LINK}",
    "u": f"<https://go.example.com/r?x=1&amp;u={quote(LINK, safe=':/')}>",
}
DENIED = "<Error><Code>AccessDenied</Code><Message>{}</Message><EC>0003-00000001</EC></Error>"


@pytest.mark.parametrize("name", WRAPPED)
def test_a_link_inside_another_address_is_unwrapped_and_explained(name: str) -> None:
    explanation = signer.explain(WRAPPED[name], now=ISSUED + 1, credentials=KEYS)
    assert (explanation.key, explanation.signature) == ("a b.txt", True)
    (finding,) = explanation.findings
    assert (finding.code, finding.certainty) == ("wrapped", "certain")
    assert f"the parameter {name} of another address" in finding.evidence
    later = signer.explain(WRAPPED[name], now=ISSUED + 10**7)
    assert [finding.code for finding in later.findings] == ["expired", "wrapped"]


def test_what_oss_says_of_a_wrapped_link_counts_more_than_its_wrapper() -> None:
    for answer, code in (
        (DENIED.format("You have no right to access this object."), "access_denied"),
        ("<Error><Code>SignatureDoesNotMatch</Code></Error>", "signature_mismatch"),
    ):
        findings = signer.explain(WRAPPED["url"], error_xml=answer, now=ISSUED + 1).findings
        assert [finding.code for finding in findings] == [code, "wrapped"]
        assert findings[1].certainty == "possible"


@pytest.mark.parametrize(
    "url",
    [
        f"{LINK}&next={quote('https://example.com/?token=1', safe='')}",
        "https://example.com/?next=https://example.com/a",
        f"https://example.com/callback?token=abc&redirect={quote('https://app.example.com/?token=xyz', safe='')}",
        LINK.replace(
            "?", f"?a-url={quote('https://example.com/?token=0123456789abcdef', safe='')}&"
        ),
    ],
)
def test_what_is_no_signed_link_or_stands_in_one_is_not_unwrapped(url: str) -> None:
    assert "wrapped" not in [
        finding.code for finding in signer.explain(url, now=ISSUED + 1).findings
    ]


@pytest.mark.parametrize(
    ("url", "service", "certainty"),
    [
        ("https://b.s3.cn-north-1.amazonaws.com.cn/k?X-Amz-Signature=a", "Amazon S3", "certain"),
        (
            "https://b.s3.amazonaws.com/k?AWSAccessKeyId=A&Signature=a&Expires=1764000600",
            "Amazon S3",
            "certain",
        ),
        (
            "https://b-1.cos.ap-guangzhou.myqcloud.com/k?q-sign-algorithm=sha1&q-signature=a",
            "Tencent COS",
            "certain",
        ),
        ("https://cdn.example.com/k?q-sign-algorithm=sha1&q-signature=a", "Tencent COS", "likely"),
        (
            "https://cdn.example.com/k?AccessKeyId=A&Expires=1764000600&Signature=a",
            "Huawei OBS",
            "likely",
        ),
        (
            "https://storage.googleapis.com/b/k?X-Goog-Signature=a",
            "Google Cloud Storage",
            "certain",
        ),
        (
            "https://a.blob.core.windows.net/c/k?sv=2020-08-04&sp=r&sig=a",
            "Azure Blob Storage",
            "certain",
        ),
        ("http://d.example.com/k?e=1764000600&token=A:a", "Qiniu Kodo", "likely"),
    ],
)
def test_a_link_of_another_service_is_named_whatever_was_answered(
    url: str, service: str, certainty: str
) -> None:
    for answer in (None, DENIED.format("Request has expired.")):
        explanation = signer.explain(url, error_xml=answer, now=ISSUED)
        (finding,) = explanation.findings
        assert (finding.code, finding.certainty, explanation.version) == (
            "other_service",
            certainty,
            None,
        )
        assert f"of {service}." in finding.evidence


def test_a_link_of_an_s3_client_to_oss_is_not_that_of_another_service() -> None:
    for host in ("examplebucket.oss-cn-hangzhou.aliyuncs.com", "static.example.com"):
        url = f"https://{host}/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={'a' * 64}&e=1&token=1"
        assert signer.explain(url, now=ISSUED).version == "S3-compatible V4"


HEAD = "HTTP/1.1 403 Forbidden\r\nServer: AliyunOSS\r\nx-oss-ec: {}\r\n{}\r\n"
EXPIRED = base64.b64encode(DENIED.format("Request has expired.").encode()).decode()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (HEAD.format("0002-00000069", ""), "expired"),
        (HEAD.format("0003-00000001", f"x-oss-err: {EXPIRED}\r\n"), "expired"),
        (
            HEAD.format("0002-00000040", "")
            .replace("Server", "< Server")
            .replace("x-oss", "< x-oss"),
            "wrong_method",
        ),
        (f"x-oss-err: {EXPIRED}", "expired"),
    ],
    ids=["its code", "its answer", "curl -v", "a line"],
)
def test_what_curl_printed_of_a_head_request_is_an_answer(answer: str, code: str) -> None:
    done = run("explain", "-", "--method", "HEAD", stdin=f"{LINK}\n{answer}", env={})
    assert (done.returncode, f"[{code}, " in done.stdout) == (1, True)


def test_an_answer_without_its_link_is_explained() -> None:
    answer = DENIED.format("You are denied by bucket referer policy.")
    for pasted in (
        answer,
        f"This XML file has no style information.\n{answer}\n",
        HEAD.format("0003-00000501", ""),
    ):
        done = run("explain", "-", stdin=pasted, env={})
        read, _, rest = done.stdout.partition("\n")
        assert read.startswith("Read: an answer of OSS: ")
        assert rest.startswith("OSS's answer, without its link\n\n1. The bucket's Referer rule")
        assert done.returncode == 1
    explanation = signer.explain(None, error_xml=answer)
    assert (explanation.host, explanation.to_json()["host"], explanation.signature) == (
        "",
        "",
        None,
    )
    both = run("explain", "-", stdin=f"{answer}\n{LINK}\n", env={}).stdout
    assert both.startswith(
        "Read: a link (line 2), an answer of OSS: AccessDenied, EC 0003-00000001 (line 1)\n"
    )
    assert "\nOSS presigned URL" in both
    with pytest.raises(signer.InvalidLink, match="missing"):
        signer.explain(None)


@pytest.mark.parametrize(
    ("variables", "page"),
    [
        ({}, "docs/causes.md#expired"),
        ({"LANG": "zh_CN.UTF-8"}, "docs/causes.zh-CN.md#expired"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "docs/causes.md#expired"),
    ],
)
def test_the_last_line_names_the_page_of_the_first_finding(
    variables: dict[str, str], page: str
) -> None:
    done = run("explain", LINK, env=variables)
    assert done.stdout.endswith(f"\n\nMore: {page}\n")


def test_a_chinese_terminal_reads_chinese_words() -> None:
    done = run("explain", LINK, env={"LANG": "zh_CN.UTF-8"})
    assert done.stdout.startswith(
        "已读取：链接（第 1 行）\nOSS 签名 URL，签名版本 V4，请求方法 GET\n"
    )
    assert f"1. {causes_in('zh')['expired'].title} [expired, certain]\n" in done.stdout
    assert "Fix:" not in done.stdout
    assert run("explain", LINK, env={"LANG": "de_DE"}).stdout.startswith(
        "Read: a link (line 1)\nOSS presigned"
    )


def test_each_word_of_an_explanation_has_a_chinese_one() -> None:
    source = Path(import_module("signer.diagnosis.explanation").__file__ or "").read_text("utf-8")
    words = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    assert words >= set(WORDS["zh"])
    answer = DENIED.format("You are denied by bucket referer policy.")
    for text in (
        LINK,
        f"{LINK}\n{answer}\ncurl -I '{LINK}'",
        answer,
        "https://links.example.com/q3.pdf",
    ):
        printed = signer.explain(text, now=ISSUED).in_words("zh")
        labels = [line.partition("：")[0] for line in printed.splitlines() if line[:1].strip()]
        assert not [label for label in labels if label.isascii() and not label[:1].isdigit()]


def test_the_page_is_named_where_it_stands_wherever_the_command_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = import_module("signer.cli.explain")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "fc_presign/cli/explain.py"))
    done = run("explain", LINK, env={})
    assert done.stdout.endswith("\n\nMore: docs/causes.md#expired\n")


def test_a_command_outside_of_a_clone_names_no_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Another project may have a page with this name.
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/causes.md").write_text("# Causes\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = run("explain", LINK, env={})
    assert "[expired, certain]" in done.stdout
    assert "causes" not in done.stdout


def test_a_signed_link_with_names_of_other_services_is_one_of_oss() -> None:
    url = "https://dl.example.com/a?OSSAccessKeyId=LTAI5tEXAMPLE&Expires=1764000600&Signature=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"
    for added in ("&sv=1&sig=2", "&AccessKeyId=me"):
        assert "other_service" not in [
            finding.code for finding in signer.explain(url + added, now=ISSUED).findings
        ]
    (finding,) = signer.explain(
        "https://d1.cloudfront.net/a?Expires=1&Signature=a&Key-Pair-Id=K", now=ISSUED
    ).findings
    assert (finding.code, finding.certainty) == ("other_service", "certain")


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ("X-Tengine-Error: black ua", "other_error", "The CDN answered: black ua."),
        (
            "X-Tengine-Error: denied by IP ACL = blacklist",
            "other_error",
            "denied by IP ACL = blacklist.",
        ),
        (
            DENIED.format("Anonymous access is forbidden for this operation."),
            "other_error",
            "OSS saw no signature",
        ),
        (
            "<Error><Code>AccessDenied</Code><Message>The bucket you are attempting to access must be addressed using "
            "the specified endpoint.</Message><Endpoint>oss-cn-shanghai.aliyuncs.com</Endpoint></Error>",
            "wrong_region",
            "OSS names oss-cn-shanghai.aliyuncs.com.",
        ),
        (
            "<Error><Code>InvalidArgument</Code><Message>Bucket POST must contain the field 'OSSAccessKeyId'.</Message>"
            "<EC>0002-00000706</EC></Error>",
            "upload_refused",
            "must contain the field",
        ),
    ],
)
def test_the_words_of_an_answer_reach_the_reader(answer: str, code: str, said: str) -> None:
    finding = signer.explain(LINK, error_xml=answer, now=ISSUED + 1).findings[0]
    assert finding.code == code
    assert said in finding.evidence


def test_a_get_of_a_delete_marker_is_said() -> None:
    url = sign(query={"versionId": "CAEQEhiBgM"}, now=ISSUED).url
    answer = (
        "<Error><Code>MethodNotAllowed</Code><Message>The method is not allowed.</Message></Error>"
    )
    assert (
        "a delete marker"
        in signer.explain(url, error_xml=answer, now=ISSUED + 1).findings[0].evidence
    )


def test_an_account_that_forbids_v1_is_said_of_a_v1_link_only() -> None:
    answer = "<Error><Code>AccessDenied</Code><Message>V1 signature is forbidden</Message></Error>"
    v1 = f"{presign().partition('?')[0]}?OSSAccessKeyId=LTAI5tEXAMPLE&Expires={ISSUED + 600}&Signature={'A' * 27}%3D"
    for url, code in ((v1, "v1_forbidden"), (presign(), "other_link")):
        assert [f.code for f in signer.explain(url, error_xml=answer, now=ISSUED).findings] == [
            code
        ]


def test_of_two_links_in_one_paste_the_first_is_explained() -> None:
    explanation = signer.explain(f"Links:\n{presign('a.txt')}\n  {presign('b.txt')}", now=ISSUED)
    assert (explanation.key, explanation.findings) == ("a.txt", ())


def test_an_address_without_a_signature_on_another_domain_may_be_the_services_own() -> None:
    for url, certainty in (
        (f"{presign().partition('?')[0]}", "certain"),
        ("https://links.example.com/q3.pdf", "likely"),
    ):
        (finding,) = signer.explain(url, now=ISSUED).findings
        assert (finding.code, finding.certainty) == ("unsigned", certainty)
        assert "An address of fc-presign itself needs none" in finding.advice


def test_a_token_is_not_compared_with_temporary_credentials_that_have_none() -> None:
    temporary = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIStokenEXAMPLE")
    url, without = presign(credentials=temporary), temporary._replace(security_token=None)
    assert signer.verify("GET", url, credentials=without, now=ISSUED).ok
    explanation = signer.explain(url, credentials=without, now=ISSUED)
    assert explanation.ok
    assert "The security token was not compared: the credentials have none." in explanation.notes
    wrong = temporary._replace(security_token="CAISanotherEXAMPLE")
    assert signer.verify("GET", url, credentials=wrong, now=ISSUED).fault == "wrong_token"


def test_an_empty_expiry_is_a_missing_parameter() -> None:
    url = presign().replace("x-oss-expires=600", "x-oss-expires=")
    assert signer.explain(url, now=ISSUED).findings[0].code == "missing_parameter"


def test_a_custom_domain_needs_its_bucket_to_be_checked() -> None:
    url = presign(
        endpoint=signer.Endpoint.custom_domain("https://static.example.com", "cn-hangzhou")
    )
    notes = signer.explain(url, credentials=KEYS, now=ISSUED).notes
    assert any("it requires the bucket" in note for note in notes)


def test_a_link_of_temporary_credentials_for_more_than_12_hours_is_not_wrong_but_has_a_note() -> (
    None
):
    temporary = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIStokenEXAMPLE")
    noted = "STS credentials live 12 hours at most"
    # Not made by `presign`, which may limit it.
    url = presign(credentials=temporary).replace("x-oss-expires=600", "x-oss-expires=43201")
    explanation = signer.explain(url, now=ISSUED)
    assert (explanation.ok, any(noted in note for note in explanation.notes)) == (True, True)
    for other in (presign(credentials=temporary), presign(expires_in=604_800)):
        assert not any(noted in note for note in signer.explain(other, now=ISSUED).notes)


@pytest.mark.parametrize(
    ("key", "is_noted"), [("app.apk", True), ("dir/App.IPA", True), ("apk.txt", False)]
)
def test_an_app_package_at_a_domain_of_oss_has_a_note(key: str, is_noted: bool) -> None:
    explanation = signer.explain(presign(key), now=ISSUED)
    assert explanation.ok
    assert any(".apk and .ipa" in note for note in explanation.notes) == is_noted


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (
            "http://127.0.0.1:9000/-/s/exampleobject.txt?share=axN_axN_axN_axN_axN_aw",
            "share_address",
        ),
        (
            "https://links.example.com/-/s/?share=axN_axN_axN_axN_axN_aw&format=json",
            "share_address",
        ),
        ("https://links.example.com/team-/s/a.txt?share=axN_axN_axN_axN_axN_aw", "unsigned"),
        ("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a.txt?share=1", "unsigned"),
        (
            "https://cdn.example.com/a.mp4?auth_key=1444435200-0-0-23bf85053008f5c0e791667a313e28ce",
            "cdn_address",
        ),
        ("https://cdn.example.com/2015/test.flv?time=55CE8100", "unsigned"),
    ],
)
def test_an_address_that_oss_did_not_sign_is_named_as_what_it_is(url: str, code: str) -> None:
    explanation = signer.explain(url)
    assert [finding.code for finding in explanation.findings] == [code]
    assert "axN_axN_axN_axN_" not in str(explanation)
    assert (code == "unsigned") == ("everything after the question mark" in str(explanation))
