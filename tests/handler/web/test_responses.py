"""What all responses have in common: few headers, that keep links private, and problems that reveal nothing."""

from __future__ import annotations

import base64
import re
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.core.config import Config
from tests.handler.client import CONFIG, KEYS, Answered, ask, context, invoke, mount, raw_path

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
ANY_VARY = ("Accept", "Accept-Language", "Authorization")
FORBIDDEN = {"connection", "content-length", "date", "keep-alive", "server", "upgrade"}


OPEN = mount(query=["versionId", "response-content-type"])


class Case(NamedTuple):
    """A request, and the status and code of its response; `code` is None unless that is a problem."""

    status: int
    code: str | None
    path: str = "/exampledir/a.txt"
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    config: Config = CONFIG
    has_credentials: bool = True

    def __str__(self) -> str:
        return f"{self.status} {self.code} {self.method} {self.path} {str(self.query)[:40]}"

    def ask(self, **headers: str) -> Answered:
        invocation = context() if self.has_credentials else context(None)
        return ask(
            self.path,
            self.method,
            dict(self.query),
            headers,
            config=self.config,
            invocation=invocation,
        )


CASES = [
    Case(302, None),
    Case(302, None, method="HEAD"),
    Case(200, None, query=(("format", "json"),)),
    Case(200, None, "/-/health"),
    Case(204, None, method="OPTIONS"),
    Case(204, None, "/-/health", "OPTIONS"),
    Case(400, "bad_path", "/exampledir/%ff"),
    Case(400, "bad_expires", query=(("expires", "soon"),)),
    Case(400, "bad_format", query=(("format", "xml"),)),
    Case(400, "bad_download", query=(("download", "a/b"),)),
    Case(400, "not_signable", query=(("acl", ""),)),
    Case(400, "link_too_long", query=(("versionId", "v" * 8000),), config=OPEN),
    Case(400, "bad_query", query=(("response-content-type", "a\nb"),), config=OPEN),
    Case(401, "unauthorized", "/private/a.txt"),
    Case(404, "not_found", "/-/nothing"),
    Case(404, "not_found", "/whole/.links/keys.json"),
    Case(405, "method_not_allowed", method="DELETE"),
    Case(405, "method_not_allowed", "/-/health", "POST"),
    Case(503, "no_credentials", has_credentials=False),
]
PROBLEMS = [case for case in CASES if case.code]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_response_has_the_headers_that_keep_it_private_and_none_that_function_compute_refuses(
    case: Case,
) -> None:
    for accept in ("*/*", "text/html", "application/json"):
        response = case.ask(Accept=accept)
        assert_private(response)
        assert (
            response.body.endswith("}\n")
            or not response.body
            or response.headers["Content-Type"].startswith("text/")
        )
        is_link = response.status in (200, 302) and not case.path.startswith("/-/")
        assert bool(response.line.get("bucket")) == bool(response.line.get("key")) == is_link
        for name, value in response.headers.items():
            assert name.lower() not in FORBIDDEN
            assert not name.lower().startswith("x-fc-")
            assert value.isascii()
            assert value.isprintable()


def test_responses_to_invalid_events_have_them_too() -> None:
    for response in (invoke(b"null"), invoke(b"\xff")):
        assert_private(response)


def assert_private(response: Answered) -> None:
    headers = response.headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    # Pages vary by language, too.
    assert {"Accept", "Authorization"} <= set(headers["Vary"].split(", ")) <= {*ANY_VARY}
    assert not [name for name in headers if name.title() in HEADERS and name not in HEADERS]


@pytest.mark.parametrize("case", PROBLEMS, ids=str)
def test_every_error_is_a_problem_document_and_the_audit_line_says_no_more(case: Case) -> None:
    response, line = case.ask(), case.ask().line
    assert response.status == line["status"] == case.status
    assert response.code == line["code"] == case.code
    assert list(response.json) == ["type", "title", "status", "detail", "code", "request_id"]
    assert response.json["status"] == case.status
    assert response.json["request_id"] == line["request_id"] == "req-EXAMPLE"
    assert response.json["type"] == "about:blank"
    assert response.json["title"]
    assert re.fullmatch(r"[^\n]{10,300}\.", response.json["detail"])
    for name in ("mount", "caller", "expires_in", "clamped_by", "bucket", "key"):
        assert line.get(name) is None
    assert "examplebucket" not in response.printed
    assert "privatebucket" not in response.printed


@pytest.mark.parametrize("case", PROBLEMS, ids=str)
def test_a_page_has_the_codes_of_the_problem_but_not_its_advice_for_programs(case: Case) -> None:
    problem, page = case.ask(), case.ask(**HTML)
    assert page.status == case.status
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.body.startswith("<!doctype html>")
    for fact in (str(case.status), str(case.code), "req-EXAMPLE"):
        assert fact in page.body
    assert problem.json["detail"] not in unescape(page.body)
    assert problem.headers.get("Allow") == page.headers.get("Allow")


PAGE = [
    "text/html",
    "text/html, application/json",
    "application/json;q=0.9, text/html",
    "text/html, *; q=.2, */*; q=.2",
]
DOCUMENT = [
    "application/json, text/html;q=0.9",
    "application/problem+json, text/html;q=0.9",
    "text/html;q=0.5, */*",
    "text/html;q=0.5, application/*;q=0.6, */*;q=0.1",
    "text/html;q=0, application/json;q=0",
    "text/*",
    "*/*",
    "",
]


def test_clients_that_ask_for_html_at_least_as_much_as_json_get_a_page_and_others_a_problem_document() -> (
    None
):
    for accept in (*PAGE, *DOCUMENT):
        content_type = ask("/nothing", headers={"Accept": accept}).headers["Content-Type"]
        assert content_type == (
            "text/html; charset=utf-8" if accept in PAGE else "application/problem+json"
        ), accept


def test_what_a_client_sends_never_becomes_markup() -> None:
    name = "\"'><script>alert(1)</script>&amp;"
    page = ask(query={name: "1"}, headers=HTML, invocation=context(request_id="<i>r</i>"))
    assert page.status == 400
    assert "<script" not in page.body
    assert "<i>" not in page.body
    assert "&lt;i&gt;r&lt;/i&gt;" in page.body


# --- what does not exist ------------------------------------------------------------------------------------------

NOTHING = [
    "/",
    "/nothing/at/all/",
    "/exampledir",
    "/exampledirs/a.txt",
    "/Exampledir/a.txt",
    "/private/",
    "/-",
    "/-/",
    "/-/health/",
    "/-/exampledir/a.txt",
    "/favicon.ico",
    "/invoke",
    "/whole/.links/keys.json",
    "/whole/.links%2Fkeys.json",
    "/whole/%2Elinks/keys.json",
    "/whole/.links/state/",
    "/whole/.links/st%61te/a",
]


@pytest.mark.parametrize("path", NOTHING)
def test_all_paths_that_do_not_exist_have_the_same_404(path: str) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS", "get"):
        uncovered = ask("/nowhere", method)
        assert uncovered.status == 404
        for query in ({}, {"expires": "soon"}, {"acl": ""}, {"format": "xml"}):
            response = ask(path, method, query)
            assert (response.status, response.headers, response.body) == (
                404,
                uncovered.headers,
                uncovered.body,
            )


@pytest.mark.parametrize("path", ["/exampledir/", "/%65xampledir%2F", "/whole/"])
def test_an_anonymous_mount_that_does_not_list_says_so_only_to_who_wants_to_look(path: str) -> None:
    for method in ("GET", "HEAD"):
        response = ask(path, method)
        assert (response.status, response.line["code"]) == (404, "not_listed")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"):
        assert ask(path, method).body == ask("/nowhere", method).body


@pytest.mark.parametrize("path", NOTHING)
def test_all_paths_that_do_not_exist_have_the_same_page_and_audit_line(path: str) -> None:
    uncovered, response = ask("/nowhere", headers=HTML), ask(path, headers=HTML)
    assert response.status == uncovered.status == 404
    assert without_nonces(response) == without_nonces(uncovered)
    assert {**response.line, "path": "", "milliseconds": 0} == {
        **uncovered.line,
        "path": "",
        "milliseconds": 0,
    }


def without_nonces(response: Answered) -> tuple[dict[str, str], str]:
    """Headers and body of a page, without the nonces."""
    nonce = re.compile(r"nonce(-|=\")[\w-]+")
    return {name: nonce.sub("nonce", value) for name, value in response.headers.items()}, nonce.sub(
        "", response.body
    )


def test_a_404_needs_no_credentials() -> None:
    assert ask("/whole/.links/keys.json", invocation=context(None)).status == 404


RESERVED = st.sampled_from(
    [".links/keys.json", ".links/keys.json.lock", ".links/keys.json/x", ".links/state/a"]
)


@given(key=RESERVED, data=st.data())
def test_the_services_own_objects_are_not_found_however_the_path_is_encoded(
    key: str, data: st.DataObject
) -> None:
    path = "/whole/" + "".join(
        data.draw(st.sampled_from([letter, f"%{ord(letter):02x}", f"%{ord(letter):02X}"]))
        for letter in key
    )
    for query in ({}, {"format": "json"}, {"download": "x"}):
        assert ask(path, query=query).status == 404


def test_objects_next_to_the_services_own_are_linked() -> None:
    assert ask("/whole/.links/readme.txt").key == ".links/readme.txt"
    assert ask("/whole/links/keys.json").key == "links/keys.json"
    # To a program that decodes twice, folds case or normalises Unicode, they are the same.
    for path in (
        "/%252Elinks/keys.json",
        "/.LINKS/keys.json",
        "/.links/key%EF%BD%93.json",
        "/.links%5Ckeys.json",
    ):
        assert ask(f"/whole{path}").key == unquote(path)[1:]


# --- methods ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/exampledir/a.txt", "/-/health"])
def test_a_method_that_is_not_allowed_is_a_405_that_lists_the_others_as_options_does(
    path: str,
) -> None:
    allow = "GET, HEAD, OPTIONS"
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "GET "):
        response = ask(path, method)
        assert (response.status, response.headers["Allow"]) == (405, allow)
        assert (response.code, allow in response.json["detail"]) == ("method_not_allowed", True)
    response = ask(path, "OPTIONS", {"anything": "at all"})
    assert (response.status, response.body, response.headers["Allow"]) == (204, "", allow)


def test_a_mount_for_uploads_has_no_download_links() -> None:
    config = mount(methods=["PUT", "POST"], max_size="1MB")
    for method in ("GET", "HEAD", "PUT", "POST"):
        response = ask(method=method, config=config)
        assert response.status == 405
        assert response.headers["Allow"] == "OPTIONS"


@pytest.mark.parametrize(("method", "route"), [("PUT", "POST /-/sign"), ("POST", "POST /-/form")])
def test_an_upload_to_the_path_of_an_object_is_a_405_that_names_the_route_for_it(
    method: str, route: str
) -> None:
    for methods in (["PUT", "POST"], ["GET", "PUT", "POST"]):
        response = ask(method=method, config=mount(methods=methods, max_size="1MB"))
        assert (response.status, response.code) == (405, "method_not_allowed")
        assert route in response.json["detail"]
        assert response.headers["Allow"] in response.json["detail"]
    for response in (
        ask(method=method),
        ask("/-/health", "PUT"),
        ask(method="DELETE", config=mount()),
    ):
        assert response.status == 405
        assert "/-/sign" not in response.body
        assert "/-/form" not in response.body


@pytest.mark.parametrize("path", ["/-/health", "/%2D/health"])
def test_health_needs_no_credentials(path: str) -> None:
    response = ask(path, query={"format": "redirect"}, invocation=context(None))
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json == {"status": "ok"}


# --- what a problem does not reveal ---------------------------------------------------------------------------------

STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(
    path=STRINGS,
    name=STRINGS,
    value=STRINGS,
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]),
)
def test_no_problem_reveals_a_bucket_a_prefix_or_a_stack(
    path: str, name: str, value: str, method: str
) -> None:
    for below in (f"/private/{path}", f"/exampledir/{path}", f"/{path}"):
        response = ask(raw_path(below), method, {name: value})
        assert response.status != 500
        if response.status >= 400:
            output = response.body + str(response.headers) + response.printed
            for secret in (
                "privatebucket",
                "examplebucket",
                KEYS.access_key_id,
                "Traceback",
                ".py",
            ):
                if secret not in path + name + value:
                    assert secret not in output


def test_a_key_that_is_too_long_does_not_reveal_the_length_of_its_prefix() -> None:
    response = ask("/" + "short/" + "a" * 1015, config=mount(path="/short/"))
    assert (response.status, response.code) == (400, "bad_path")
    assert not set(re.findall(r"[0-9]+", response.json["detail"])) - {"1023"}


# Function Compute answers 502 for more than so many bytes of headers.
CAP = 8192
# What Function Compute adds itself: the request's id, date, length, server, CORS, and a Content-Disposition.
OWN_HEADERS = 512
AT_ROOT = mount(
    query=[
        "versionId",
        "response-content-disposition",
        "response-content-type",
        "response-cache-control",
    ],
    path="/",
    target="oss://examplebucket/dir/",
)
BROWSER = {"Accept": "text/html"}


def size(response: Answered) -> int:
    """The bytes of the headers over the wire."""
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in response.headers.items())


def with_token(length: int) -> object:
    return context(
        KEYS._replace(security_token=base64.b64encode(b"\xff\xfe" * length).decode()[:length])
    )


@given(
    key=st.text(st.sampled_from("aé你😀% +"), min_size=1, max_size=1000),
    value=st.text(st.sampled_from("aé你😀% +"), min_size=1, max_size=3000),
    token=st.integers(1, 3000),
    page=st.booleans(),
)
def test_the_headers_of_any_response_stay_below_the_cap(
    key: str, value: str, token: int, page: bool
) -> None:
    path = "/a" + raw_path(key.encode()[:1000].decode("utf-8", "ignore"))
    response = ask(
        path,
        query={"versionId": value},
        headers=BROWSER if page else {},
        config=AT_ROOT,
        invocation=with_token(token),
    )
    assert response.status in (302, 400)
    assert size(response) <= CAP - OWN_HEADERS
    if response.status == 302:
        assert response.query == {"versionId": value}
        assert response.signs(
            keys=KEYS._replace(security_token=response.parameters["x-oss-security-token"])
        )


def test_the_longest_redirect_stays_below_the_cap_and_one_more_letter_is_a_problem() -> None:
    answers = [
        ask("/a", query={"versionId": "v" * letters}, config=AT_ROOT)
        for letters in range(6000, 8000, 50)
    ]
    fitting = [answer for answer in answers if answer.status == 302]
    assert CAP - 2048 < size(fitting[-1]) <= CAP - OWN_HEADERS
    assert {answer.code for answer in answers[len(fitting) :]} == {"link_too_long"}


def test_the_problem_of_a_link_too_long_for_a_redirect_says_to_request_json() -> None:
    query = {"versionId": "v" * 7000}
    response = ask("/a", query=query, config=AT_ROOT)
    assert (response.status, response.code) == (400, "link_too_long")
    assert "format=json" in response.json["detail"]
    assert "Location" not in response.headers
    assert response.line["bucket"] is None
    assert response.line["key"] is None
    as_json = ask("/a", query={**query, "format": "json"}, config=AT_ROOT)
    assert as_json.status == 200
    assert as_json.query == query
    assert size(as_json) < 1024


@pytest.mark.parametrize("letter", ["a", "你", "😀", "%"])
def test_the_longest_key_and_file_name_fit_with_a_token_of_usual_size(letter: str) -> None:
    letters = len(letter.encode())
    key = letter * (1000 // letters)
    response = ask(
        raw_path("/" + key),
        query={"download": letter * (255 // letters)},
        config=AT_ROOT,
        invocation=with_token(800),
    )
    assert (response.status, size(response) <= CAP - OWN_HEADERS) == (302, True)


def test_a_problem_repeats_little_of_the_request() -> None:
    response = ask(query={"x" * 4000: "1"}, headers=BROWSER)
    assert response.status == 400
    assert response.body.count("x") < 200
    assert size(response) < 1024
