"""Types that browsers run are refused at upload where a domain of yours could show them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.handler.client import make_config, new_instance
from tests.handler.upload_fixtures import WRITER, UploadService
from tests.handler.web.endpoints import test_inline

# No extension is listed.
LINKS = re.sub(r"(?m)^inline = .*\n", "", test_inline.LINKS)
# config/test_uploaded_content has every active type.
ACTIVE = ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/javascript"]
PREFIXES = ["text/", "image/", "application/", "video/"]
Attempt = Callable[[UploadService, str, str], dict[str, Any]]


@pytest.fixture
def service(tmp_path: Path) -> UploadService:
    return UploadService(new_instance(make_config(LINKS)), tmp_path)


def put(service: UploadService, path: str, content_type: str) -> dict[str, Any]:
    (result,) = service.sign({"path": path, "method": "PUT", "size": 5, "headers": {"Content-Type": content_type}})
    error: dict[str, Any] = result.get("error", result)
    return error


def form(service: UploadService, path: str, content_type: str) -> dict[str, Any]:
    document: dict[str, Any] = service.post("/-/form", {"path": path, "content_type": content_type}).json
    return document


def multipart(service: UploadService, path: str, content_type: str) -> dict[str, Any]:
    document: dict[str, Any] = service.post("/-/uploads", {"path": path, "size": 5, "content_type": content_type}).json
    return document


@pytest.mark.parametrize("attempt", [put, form, multipart])
@pytest.mark.parametrize("content_type", ACTIVE)
def test_active_types_are_refused(service: UploadService, attempt: Attempt, content_type: str) -> None:
    problem = attempt(service, "/site/a.png", content_type)
    assert (problem.get("status"), problem.get("code")) == (400, "wrong_type")
    assert content_type in problem["detail"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_form_for_a_prefix_that_contains_active_types_is_refused(service: UploadService, prefix: str) -> None:
    for path in ("/site/a.png", "/site/"):
        problem = form(service, path, prefix)
        assert (problem.get("status"), problem.get("code")) == (400, "wrong_type")
    assert "fields" in form(service, "/free/a.png", prefix)


@pytest.mark.parametrize("attempt", [put, form])
@pytest.mark.parametrize(("path", "content_type"), [("/site/a.png", "image/png"), ("/free/a.png", "text/html")])
def test_other_types_are_accepted_and_active_ones_where_they_cannot_run(
    service: UploadService, attempt: Attempt, path: str, content_type: str
) -> None:
    assert "url" in attempt(service, path, content_type)


class TestUploadShares:
    @pytest.fixture
    def drop(self, uploads: UploadService) -> UploadService:
        """Where /in/ accepts no active types."""
        return uploads.with_mount("/in/", inline=())

    def test_active_types_are_refused_and_take_no_place(self, drop: UploadService) -> None:
        url = drop.create_upload_share(max_files=1)
        response = drop.request_form(url, name="a.png", type="text/html")
        assert (response.status, response.code) == (400, "wrong_type")
        assert drop.request_form(url, name="a.png", type="image/png").status == 200
        upload = {"max_files": 1, "content_type": "text/html"}
        response = drop.post("/-/shares", {"path": "/in/", "method": "POST", "upload": upload}, WRITER)
        assert (response.status, response.code) == (400, "wrong_type")

    def test_with_a_prefix_every_file_has_one_type_and_no_active_one(self, drop: UploadService) -> None:
        url = drop.create_upload_share(content_type="image/")
        assert drop.request_form(url, type="image/svg+xml").code == "wrong_type"
        fields = drop.request_form(url, type="image/png").json["fields"]
        assert fields["x-oss-content-type"] == "image/png"
