"""What the commands refuse of a service, or of a gateway before it, that nobody should trust."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from werkzeug import Request, Response

import signer
from signer.cli import listing, service
from signer.cli.listing import ListingFailed, objects
from signer.cli.sending.transfer import check_target
from signer.cli.service import ServiceFailed
from signer.emulator.server import listen, serve
from tests.signer.cli.command import BARE, KEYS, run

Answer = Callable[[Request], Response]
ALL = ["PUT", "SHARE", "GET", "LIST"]
ME = {
    "methods": ALL,
    "mounts": [{"path": "/send/", "methods": ALL, "list": True, "max_share": 9, "max_size": 10**9}],
}
KEY = "fcp_key_EXAMPLE"


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """The address of a service that answers so."""
    server = serve(Request.application(answer), listen(0))
    try:
        yield server.url
    finally:
        server.close()


def as_json(document: object) -> Response:
    return Response(json.dumps(document), mimetype="application/json")


@pytest.mark.parametrize(
    ("target", "headers", "sentence"),
    [
        ("http://192.0.2.1/latest/", {}, "answered with a link that is not https"),
        ("http://localhost.example.com/", {}, "answered with a link that is not https"),
        ("ftp://127.0.0.1/", {}, "answered with a link that is not https"),
        ("http://127.0.0.1@192.0.2.1/", {}, "answered with a link that is not https"),
        ("http://127.0.0.1\\@192.0.2.1/", {}, "answered with a link that is not https"),
        ("{url}/there", {"Host": "192.0.2.1"}, "header that no upload has: Host"),
        ("{url}/there", {"X-aws-ec2-metadata-token-ttl-seconds": "9"}, "that no upload has: X-aws"),
        ("{url}/there", {"Content-Length": "1", "Cookie": "a=b"}, "no upload has: Cookie"),
    ],
)
def test_a_file_is_sent_only_where_an_upload_can_go(
    tmp_path: Path, target: str, headers: dict[str, str], sentence: str
) -> None:
    requests = list[str]()

    def answer(request: Request) -> Response:
        requests.append(f"{request.method} {request.path}")
        if request.path == "/-/me":
            return as_json(ME)
        link = {"url": target.format(url=request.host_url.rstrip("/")), "headers": headers}
        return as_json({"links": [link]})

    (tmp_path / "a.txt").write_text("content")
    with answering(answer) as url:
        env = {**BARE, "FC_PRESIGN_URL": url, "FC_PRESIGN_KEY": KEY}
        done = run("share", str(tmp_path / "a.txt"), env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert requests == ["GET /-/me", "POST /-/sign"]


OSS = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a"


def test_a_link_without_https_is_for_a_service_on_this_machine_alone() -> None:
    headers = {"Content-Length": "7", "content-type": "text/plain", "x-oss-forbid-overwrite": "1"}
    check_target("https://links.example.com", OSS, headers)
    check_target("http://127.0.0.1:9000", OSS, headers)
    check_target("http://127.0.0.1:9000", "http://localhost:9001/a", headers)
    for other in ("http://127.0.0.1:9001/a", "http://[::1]/a", OSS.replace("https", "http")):
        with pytest.raises(ServiceFailed, match="not https"):
            check_target("https://links.example.com", other, headers)


def test_of_an_answer_16_mb_are_read() -> None:
    def answer(request: Request) -> Response:
        blank = b" " * (1 << 14)
        return Response((blank for _ in range(1 << 10)), mimetype="application/json")

    def longer(request: Request) -> Response:
        return Response((b" " * (1 << 14) for _ in range(1 << 11)), mimetype="application/json")

    for answers, sentence in (
        (answer, "did not answer as fc-presign"),
        (longer, "more than 16 MB"),
    ):
        with answering(answers) as url:
            done = run("shares", env={**BARE, "FC_PRESIGN_URL": url, "FC_PRESIGN_KEY": KEY})
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr


def test_no_compression_is_accepted() -> None:
    accepted = list[str]()

    def answer(request: Request) -> Response:
        accepted.append(request.headers["Accept-Encoding"])
        return Response(gzip.compress(b'{"shares": []}'), headers={"Content-Encoding": "gzip"})

    sentence = "compressed its answer (gzip), which was not accepted. Turn that off in the gateway"
    with answering(answer) as url:
        done = run("shares", env={**BARE, "FC_PRESIGN_URL": url, "FC_PRESIGN_KEY": KEY})
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr
        oss = signer.Endpoint.path_style(url, "cn-hangzhou")
        with pytest.raises(ListingFailed) as failure:
            [*objects("examplebucket", "a/", credentials=KEYS, endpoint=oss)]
        assert sentence in str(failure.value)
    assert accepted == ["identity"] * 2


def test_a_list_that_goes_on_ends_at_its_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.MAX_PAGES == listing.MAX_PAGES == 10_000
    monkeypatch.setattr(service, "MAX_PAGES", 3)
    monkeypatch.setattr(listing, "MAX_PAGES", 3)
    numbers = count()

    def answer(request: Request) -> Response:
        if request.path == "/-/shares":
            return as_json({"shares": [], "next": str(next(numbers))})
        return Response(
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>"
            f"{next(numbers)}</NextContinuationToken></ListBucketResult>"
        )

    with answering(answer) as url:
        done = run("shares", env={**BARE, "FC_PRESIGN_URL": url, "FC_PRESIGN_KEY": KEY})
        assert (done.returncode, next(numbers)) == (2, 3)
        assert "has more than 3 pages" in done.stderr
        oss = signer.Endpoint.path_style(url, "cn-hangzhou")
        with pytest.raises(ListingFailed, match="more than 3 pages"):
            [*objects("examplebucket", "a/", credentials=KEYS, endpoint=oss)]
        assert next(numbers) == 7
