"""What was pasted is read: the link, OSS's answer, the request and its time, each with its lines."""

from __future__ import annotations

import json

import pytest

import signer
from tests.signer.cli.command import BARE, run
from tests.signer.diagnosis.test_explain import ISSUED, V1, link
from tests.signer.signing import KEYS, sign

NOW = ISSUED + 60
LINK = link()
DENIED = "AccessDenied: You have no right to access this object because of bucket acl."
HEAD = "HTTP/1.1 403 Forbidden\nDate: Mon, 25 Nov 2024 00:31:00 GMT\nx-oss-ec: 0003-00000001\n"


def read(text: str) -> list[tuple[object, ...]]:
    return [tuple(part) for part in signer.explain(text, now=NOW).read]


def test_each_part_says_what_it_is_and_which_lines_it_came_from() -> None:
    text = f"Help!\n$ curl -T a.png -H 'Content-Type: image/png' '{LINK}'\n\n{HEAD}"
    assert read(text) == [
        ("link", (2,), "", ""),
        ("answer", (6,), "EC 0003-00000001", ""),
        ("time", (5,), "Mon, 25 Nov 2024 00:31:00 GMT", ""),
        ("request", (2,), "PUT, content-type", "curl"),
    ]


def test_a_status_without_an_answer_is_read_and_an_answer_that_is_given_counts_more() -> None:
    text = f"{LINK}\nTraceback:\nurllib.error.HTTPError: HTTP Error 403: Forbidden"
    assert read(text) == [("link", (1,), "", ""), ("status", (3,), "403", "")]
    assert "链接（第 1 行）、HTTP 状态码 403（第 3 行）" in signer.explain(text, now=NOW).in_words(
        "zh"
    )
    answered = signer.explain(text, error_xml="x-oss-ec: 0026-00000001", now=NOW)
    assert [part.kind for part in answered.read] == ["link", "answer"]
    assert [finding.code for finding in answered.findings] == ["no_such_key"]


def test_the_other_links_and_all_lines_of_a_broken_one_are_named() -> None:
    text = f"{LINK[:90]}\n{LINK[90:]}\n{sign(credentials=KEYS, now=ISSUED).url}\n"
    assert [part[:2] for part in read(text)] == [("link", (1, 2)), ("other link", (3,))]


def test_a_link_that_stands_twice_is_one_link() -> None:
    assert [part[0] for part in read(f"[{LINK}]({LINK})")] == ["link"]


def test_the_next_line_with_a_question_mark_of_its_own_is_of_another_link() -> None:
    cut = LINK.partition("&x-oss-signature=")[0]
    text = f"{cut}\nimg.example.com/k.png?width=100"
    assert read(text)[0][:2] == ("link", (1,))


def test_a_quoted_line_goes_on_with_a_quoted_link_alone() -> None:
    cut = LINK.partition("&x-oss-signature=")[0]
    rest = LINK.removeprefix(cut)
    assert read(f"Hello\n{cut}\n> {rest[1:]}")[0][:2] == ("link", (2,))
    assert read(f"Hello\n> {cut}\n> {rest[1:]}")[0][:2] == ("link", (2, 3))
    assert read(f"{cut}\n> {rest[1:]}")[0][:2] == ("link", (1, 2))


def test_the_colours_of_a_terminal_are_no_part_of_a_link() -> None:
    explanation = signer.explain(f"\x1b[31m{LINK}\x1b[0m failed", now=NOW)
    assert (explanation.key, explanation.ok) == ("dir/a b.txt", True)


@pytest.mark.parametrize("option", ["-d a=b", "--data-binary @a.png", "-F file=@a.png"])
def test_a_command_that_sends_a_body_sends_its_type(option: str) -> None:
    assert read(f"curl {option} '{LINK}'")[-1][2] == "POST, content-type"


def test_the_first_link_that_is_signed_for_oss_is_explained() -> None:
    other = "https://b.s3.amazonaws.com/k?X-Amz-Signature=a"
    for text in (f"{other}\n{LINK}", f"https://example.com/\n{other} {LINK}"):
        explanation = signer.explain(text, now=NOW)
        assert (explanation.key, explanation.ok) == ("dir/a b.txt", True)


@pytest.mark.parametrize(
    "after", ["\n\nRegards, somebody", "\nWhy does it fail?", " does not work", "\n42"]
)
def test_what_follows_the_link_is_no_fault_of_it(after: str) -> None:
    for url in (LINK, V1):
        assert signer.explain(url + after, now=ISSUED).findings == ()


def test_text_right_after_the_link_is_only_likely_to_be_copied_with_it() -> None:
    (finding,) = signer.explain(f'{LINK}">', now=ISSUED).findings
    assert (finding.code, finding.certainty) == ("trailing_text", "likely")


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_the_order_of_the_parts_does_not_matter(order: tuple[int, ...]) -> None:
    parts = (LINK, f"com.aliyun.oss.OSSException: no right\n[ErrorCode]: {DENIED[:12]}", "Why?")
    explanation = signer.explain("\n\n".join(parts[number] for number in order), now=NOW)
    assert explanation.key == "dir/a b.txt"
    assert [finding.code for finding in explanation.findings] == ["access_denied"]


def test_the_method_and_the_headers_of_a_command_count_as_given() -> None:
    put = sign("PUT", key="a.png", credentials=KEYS, now=ISSUED).url
    text = f"curl -T a.png -H 'Content-Type: image/png' '{put}'"
    explanation = signer.explain(text, credentials=KEYS, now=NOW)
    assert (explanation.method, explanation.headers) == ("PUT", ("content-type",))
    assert explanation.findings[0].code == "extra_header"
    given = signer.explain(text, method="PUT", headers={}, credentials=KEYS, now=NOW)
    assert given.ok


def test_the_time_of_a_request_counts_where_none_is_given() -> None:
    refused = "x-oss-ec: 0002-00000040\n"
    dated = signer.explain(f"{LINK}\n{HEAD}".replace("x-oss-ec: 0003-00000001\n", refused))
    assert (dated.age, dated.findings[0].code) == (72, "signature_mismatch")
    assert "expired" not in [finding.code for finding in dated.findings]
    undated = signer.explain(f"{LINK}\n{refused}")
    assert "expired" in [finding.code for finding in undated.findings]


# LINK is valid from 00:29:48 to 00:39:48 UTC, and has expired by the clock of the reader.
@pytest.mark.parametrize(
    ("line", "shown", "codes"),
    [
        ("2024-11-25T00:31:00Z ERROR oss2: {}", "2024-11-25T00:31:00Z", ["access_denied"]),
        (
            "[2024-11-25T08:31:00.123+08:00 WARN] {}",
            "2024-11-25T08:31:00.123+08:00",
            ["access_denied"],
        ),
        (
            "2024-11-25 08:31:00.123456+0800 Demo[1637:190078] {}",
            "2024-11-25 08:31:00.123456+0800",
            ["access_denied"],
        ),
        (
            "ERROR 2024-11-25T00:31:00Z\nExpires: 2024-11-25T03:00:00Z\n{}",
            "2024-11-25T00:31:00Z",
            ["access_denied"],
        ),
        (
            '{{"level":"error","ts":"2024-11-25T00:31:00Z","msg":"{}"}}',
            "2024-11-25T00:31:00Z",
            ["access_denied"],
        ),
        # It may be that of any place, so it was valid in some of them.
        (
            "2024-11-25 08:31:00,123 ERROR {}",
            "2024-11-25 08:31:00,123",
            ["access_denied", "expired"],
        ),
        ("2024/11/25 08:31:00 main.go:27: {}", "2024/11/25 08:31:00", ["access_denied", "expired"]),
        ("2024-11-24 08:31:00,123 ERROR {}", "2024-11-24 08:31:00,123", ["access_denied"]),
        # In no place.
        (
            "2024-11-25 18:31:00,123 ERROR {}",
            "2024-11-25 18:31:00,123",
            ["expired", "access_denied"],
        ),
        ("2024-11-25T00:45:00Z ERROR {}", "2024-11-25T00:45:00Z", ["expired", "access_denied"]),
    ],
)
def test_the_time_of_a_log_s_line_says_whether_the_link_had_expired(
    line: str, shown: str, codes: list[str]
) -> None:
    explanation = signer.explain(f"{LINK}\n{line.format('AccessDenied')}\n")
    assert [finding.code for finding in explanation.findings] == codes
    assert [part.detail for part in explanation.read if part.kind == "time"] == [shown]


def test_the_time_of_a_log_s_line_counts_from_the_line_of_the_answer_or_the_one_before() -> None:
    text = (
        "2024-11-25T00:20:00Z INFO started\n"
        f"2024-11-25T00:31:00Z GET {LINK}\nTraceback\n  AccessDenied\n2024-11-25T09:00:00Z INFO done\n"
    )
    (time_read,) = (part for part in signer.explain(text).read if part.kind == "time")
    assert (time_read.lines, time_read.detail) == ((2,), "2024-11-25T00:31:00Z")
    assert [finding.code for finding in signer.explain(text).findings] == ["access_denied"]
    # What is given counts more.
    late = signer.explain(text, now=ISSUED + 10**6)
    assert [finding.code for finding in late.findings] == ["expired", "access_denied"]


def test_a_log_without_an_answer_says_nothing_of_the_time() -> None:
    assert [part[0] for part in read(f"2024-11-25T00:31:00Z GET {LINK}")] == ["link", "request"]


def test_a_log_that_is_older_than_the_link_does_not_say_that_its_date_is_wrong() -> None:
    explanation = signer.explain(f"{LINK}\n2024-11-20T00:31:00Z NoSuchKey\n")
    assert [finding.code for finding in explanation.findings] == ["no_such_key"]


def test_a_time_of_a_browser_counts_with_its_zone() -> None:
    har = '"startedDateTime": "2024-11-25T08:31:00.123+08:00", "request": {"method": "GET"}'
    dated = signer.explain(f"{LINK}\n{har}\nx-oss-ec: 0002-00000040\n")
    assert (dated.age, dated.findings[0].code) == (72, "signature_mismatch")


def test_headers_that_were_sent_are_not_said_to_be_required() -> None:
    url = sign(
        headers={"X-Color": "green"}, signed_headers=["x-color"], credentials=KEYS, now=ISSUED
    ).url
    sent = "-H 'Content-Type: text/plain' -H 'x-oss-meta-a: b' -H 'X-Color: green'"
    for command, line, how in (
        (f"curl {sent} '{url}'", "x-color, x-oss-meta-a (sent), content-type (sent)", None),
        (
            f"curl -H 'Content-Type: text/plain' '{LINK}'",
            "content-type (sent)",
            "the method GET with content-type of a curl command",
        ),
        (f"curl '{url}'", "x-color", "the method GET of a curl command"),
    ):
        printed = str(signer.explain(command, now=NOW))
        assert f"  headers    {line}\n" in printed
        assert how is None or how in printed


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("SignatureDoesNotMatch", "signature_mismatch"),
        ("NoSuchKey", "no_such_key"),
        ("0003-00000501", "referer"),
        ("InvalidBucketName", "other_error"),
        ("SomethingNewAtOss", "other_error"),
        ("https://api.aliyun.com/troubleshoot?q=0003-00000501", "referer"),
    ],
)
def test_a_code_alone_is_explained_also_as_the_argument(word: str, code: str) -> None:
    for done in (
        run("explain", word, "--json", env=BARE),
        run("explain", "--json", stdin=f"{word}\n", env=BARE),
    ):
        document = json.loads(done.stdout)
        assert (done.returncode, document["findings"][0]["code"]) == (1, code)
        assert document["read"][0]["kind"] == "answer"


@pytest.mark.parametrize("argument", ["oss://examplebucket/a.txt", "answer.xml", "hello", "README"])
def test_what_has_neither_a_link_nor_a_code_is_refused(argument: str) -> None:
    assert run("explain", argument, env=BARE).returncode == 2


def test_a_code_that_nobody_knows_is_said_to_be_unknown_after_the_message_of_oss() -> None:
    text = f"{LINK}\nErrorCode=SomethingNew, ErrorMessage=It is so., RequestId=1"
    (finding,) = signer.explain(text, now=NOW).findings
    assert finding.evidence == "OSS answered SomethingNew: It is so. Its code is not known here."


def test_access_denied_alone_does_not_say_why() -> None:
    (finding,) = signer.explain(f"{LINK}\nAccessDenied\n", now=NOW).findings
    assert (finding.code, finding.certainty) == ("access_denied", "likely")


def test_that_oss_saw_no_signature_says_nothing_certain_of_the_key_that_signed() -> None:
    answer = "AccessDenied: Anonymous access is forbidden for this operation."
    (finding,) = signer.explain(answer).findings
    assert (finding.code, finding.certainty) == ("unsigned", "likely")
    (finding,) = signer.explain(f"{LINK}\n{answer}", now=NOW).findings
    assert finding.code == "other_error"


def test_an_answer_that_names_another_service_is_not_one_of_oss() -> None:
    message = (
        "The bucket you are attempting to access must be addressed using KS3 third level domain."
    )
    (finding,) = signer.explain(f"SecondLevelDomainForbidden: {message}").findings
    assert finding.code == "other_service"


def test_a_message_without_its_code_is_explained() -> None:
    (finding,) = signer.explain("aliyun oss: You are forbidden to list buckets.").findings
    assert finding.code == "access_denied"


def test_a_full_width_question_mark_alone_is_named() -> None:
    (finding,) = signer.explain(LINK.replace("?", "\uff1f"), now=NOW).findings
    assert finding.code == "missing_question_mark"
    assert "full-width" in finding.evidence


def test_an_ec_that_comes_with_the_code_of_another_service_is_not_taken_for_that_of_oss() -> None:
    answer = "<Error><Code>Unsupported Authorization Type</Code><EC>0002-00000002</EC></Error>"
    assert signer.explain(answer).findings[0].code == "other_error"


def test_the_fixed_words_of_a_signature_are_shown_where_a_slash_was_lost() -> None:
    damaged = LINK.replace("%2F", "")
    assert "must have the form access key/date/region/product/aliyun_v4_request." in str(
        signer.explain(damaged, now=NOW)
    )


def test_a_link_that_was_cut_is_not_said_to_be_for_another_region() -> None:
    for end in range(LINK.index("x-oss-credential"), LINK.index("x-oss-signature-version"), 5):
        codes = {finding.code for finding in signer.explain(f"{LINK[:end]}…", now=NOW).findings}
        assert codes <= {"truncated", "missing_token"}, end


def test_a_credential_of_too_many_parts_is_not_said_to_be_for_another_region() -> None:
    explanation = signer.explain(LINK.replace("%2Fcn-", "%2Fa%2Fcn-"), now=NOW)
    assert [finding.code for finding in explanation.findings] == ["malformed_parameter"]


def test_a_link_of_v1_that_lives_longer_than_v4_can_has_a_note() -> None:
    noted = "It lives longer than 7 days, which V4 cannot"
    assert any(noted in note for note in signer.explain(V1, now=ISSUED - 10**6).notes)
    assert not any(noted in note for note in signer.explain(V1, now=ISSUED).notes)


def test_a_link_of_minio_has_a_note() -> None:
    url = (
        f"https://files.example.com/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={'a' * 64}"
    )
    assert any("MinIO" in note for note in signer.explain(url, now=NOW).notes)
