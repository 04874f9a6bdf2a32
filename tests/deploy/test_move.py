"""A share outlives its bucket: whoever moves it as docs/deploy.md says keeps every share, and the old bucket may go."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests

from deploy.command import output_of
from local.stack import Stack
from signer.common.listing import listing_query, read_page
from signer.emulator import client
from tests.deploy.project_copy import BUILT, ROOT, ProjectCopy

OLD = "examplebucket"
NEW = "newbucket"
TIMEOUT = 30  # seconds
PAGE = (ROOT / "docs/deploy.md").read_text("utf-8")
KEYS_FILE = "keys-dev.json"


class Moving:
    """A project in its own folder, whose objects stay on disk from one start of the stack to the next."""

    def __init__(self, folder: Path) -> None:
        self.project = ProjectCopy.of(folder / "project", BUILT)
        self.folder = folder
        self.key = ""

    def start(self) -> Stack:
        return Stack.start(self.project.config, root=self.folder / "oss", warm=False)

    def keys(self, stack: Stack, *arguments: str) -> str:
        """What the command prints on the document in the bucket of the stack."""
        done = output_of(
            [sys.executable, "-m", "handler.commands", "keys", *arguments],
            TIMEOUT,
            cwd=self.project.folder,
            env={
                "LINK_REGION": stack.region,
                "LINK_BUCKET": stack.bucket,
                "LINK_OSS_ENDPOINT": stack.oss_url,
                "OSS_ACCESS_KEY_ID": stack.credentials.access_key_id,
                "OSS_ACCESS_KEY_SECRET": stack.credentials.access_key_secret,
                "OSS_SESSION_TOKEN": stack.credentials.security_token or "",
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, stack: Stack, method: str, path: str, params: object = None) -> Any:
        """What the service answers the caller, as JSON."""
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}
        url = stack.http_url + path
        answer = requests.request(method, url, json=params, headers=headers, timeout=TIMEOUT)
        return answer.json() if answer.content else None

    def share(self, stack: Stack, path: str, **params: Any) -> dict[str, Any]:
        share: dict[str, Any] = self.ask(stack, "POST", "/-/shares", {"path": path, **params})
        assert "url" in share, share
        return share


def put(stack: Stack, bucket: str, key: str, content: bytes = b"", **headers: str) -> None:
    assert client.request(stack, "PUT", bucket, key, content, headers).status == 200


def keys_in(stack: Stack, bucket: str, prefix: str = "") -> list[str]:
    answer = client.request(stack, "GET", bucket, None, query=listing_query(prefix))
    page = read_page(answer.body)
    assert page.token == ""
    return [each.key for each in page.objects]


def copy(stack: Stack, prefix: str) -> None:
    """As `aliyun oss cp --recursive` does between buckets of a region."""
    for key in keys_in(stack, OLD, prefix):
        source = {"x-oss-copy-source": f"/{OLD}/{quote(key)}"}
        answer = client.request(stack, "PUT", NEW, key, headers=source)
        assert answer.status == 200, key


def delete_bucket(stack: Stack) -> None:
    for key in keys_in(stack, OLD):
        assert client.request(stack, "DELETE", OLD, key).status == 204
    assert client.request(stack, "DELETE", OLD, None).status == 204


def opened(stack: Stack, url: str, params: object = None) -> requests.Response:
    """The response to the address of a share, of whose origin only the port changed."""
    address = urlsplit(url)
    target = f"{stack.http_url}{address.path}?{address.query}"
    method = "GET" if params is None else "POST"
    return requests.request(method, target, json=params, timeout=TIMEOUT)


@pytest.fixture
def moving(tmp_path: Path) -> Moving:
    (tmp_path / "project").mkdir()
    return Moving(tmp_path)


def name_earlier_targets(project: ProjectCopy) -> None:
    """Each mount of the shipped file names where it was, as step 2 of the page says."""
    path = project.folder / "links.toml"
    text = path.read_text("utf-8")
    target = r'(?m)^target +=.*"oss://\$\{LINK_BUCKET\}/(?!\.links)([^"]+)"$'
    text, count = re.subn(target, rf'\g<0>\nearlier_targets = ["oss://{OLD}/\1"]', text)
    assert count >= 5
    path.write_text(text, "utf-8")


def test_a_share_opens_after_its_bucket_was_moved_and_deleted(moving: Moving) -> None:
    with moving.start() as stack:
        moving.keys(stack, "init")
        rights = [f"--path={path}" for path in ("/send/", "/in/", "/outbox/")]
        rights += [f"--method={method}" for method in ("GET", "PUT", "POST", "SHARE", "LIST")]
        moving.key = moving.keys(stack, "add-api-key", "ops", *rights).strip()
        for name in ("send/q3.pdf", "send/2026/a.txt", "send/2026/b.txt"):
            put(stack, OLD, name, f"content of {name}".encode())
        plain = moving.share(stack, "/send/q3.pdf", expires="30d", title="For Ann")
        limited = moving.share(stack, "/send/q3.pdf", max_uses=2)
        folder = moving.share(stack, "/send/2026/", password=True)
        uploads = moving.share(stack, "/in/", method="POST", upload={"max_files": 3})
        revoked = moving.share(stack, "/send/q3.pdf")
        put(stack, OLD, f"inbox/{uploads['id']}/1-photo.jpg", b"photo")
        assert opened(stack, limited["url"], {}).content == b"content of send/q3.pdf"
        assert moving.ask(stack, "DELETE", f"/-/shares/{revoked['id']}") is None
        moving.keys(stack, "backup", KEYS_FILE)

    moving.project.edit(f"bucket: {OLD}", f"bucket: {NEW}")
    with moving.start() as stack:
        assert stack.bucket == NEW
        for prefix in (".links/state/", "send/", "inbox/"):
            copy(stack, prefix)
        delete_bucket(stack)
        moving.keys(stack, "restore", KEYS_FILE, "--yes")
        # Without the key, each share ended with its bucket.
        ended = opened(stack, plain["url"])
        assert (ended.status_code, ended.json()["code"]) == (404, "share_invalid")

        name_earlier_targets(moving.project)
        stack.reload()
        assert opened(stack, plain["url"]).content == b"content of send/q3.pdf"
        shown = moving.ask(stack, "GET", "/-/shares")["shares"]
        states = {share["id"]: (share["state"], share["uses"]) for share in shown}
        assert states == {
            plain["id"]: ("active", None),
            limited["id"]: ("active", 1),
            folder["id"]: ("active", None),
            uploads["id"]: ("active", 1),
            revoked["id"]: ("revoked", None),
        }
        assert opened(stack, limited["url"], {}).status_code == 200
        assert opened(stack, limited["url"], {}).json()["code"] == "share_used_up"
        assert opened(stack, revoked["url"]).json()["code"] == "share_revoked"
        assert opened(stack, folder["url"], {"password": "AAAA-AAAA"}).status_code == 403
        listed = opened(stack, folder["url"], {"password": folder["password"]}).json()
        assert [file["name"] for file in listed["files"]] == ["a.txt", "b.txt"]
        assert opened(stack, uploads["url"]).json()["files_left"] == 2
        extended = moving.ask(stack, "POST", f"/-/shares/{plain['id']}", {"expires": "30d"})
        assert extended["state"] == "active"


def test_the_page_copies_what_the_test_copies_and_never_creates_new_keys() -> None:
    (section,) = re.findall(r"(?ms)^## Move to another bucket\n(.*?)^## ", PAGE)
    copied = re.findall(r"aliyun oss cp oss://examplebucket/(\S+) oss://newbucket/\1 ", section)
    assert copied == [".links/state/", "send/"]
    assert 'make keys ARGS="backup keys-dev.json"' in section
    assert section.index("backup keys-dev.json") < section.index("restore keys-dev.json")
    assert "make keys ARGS=init" not in section
