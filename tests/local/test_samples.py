"""What there is to try in a running stack, and what to add to links.toml where something is missing."""

from __future__ import annotations

import errno
import json
import stat
from pathlib import Path
from typing import IO
from unittest.mock import patch

import pytest
import requests

from handler.commands import keys_edit
from local import command, samples
from local.samples import Sample
from local.stack import Stack
from signer.emulator import EmulatorError, client, variables

ROOT = Path(__file__).parents[2]
PAGE = {"Accept": "text/html,application/xhtml+xml"}
TOP = """
region = "cn-hangzhou"
keys   = "oss://${LINK_BUCKET}/.links/keys.json"
state  = "oss://${LINK_BUCKET}/.links/state/"
"""
OPEN = """
[[mount]]
path   = "/open/"
target = "oss://${LINK_BUCKET}/open/"
access = "anonymous"
"""
SENT = """
[[mount]]
path      = "/sent/"
target    = "oss://${LINK_BUCKET}/sent/"
methods   = ["GET", "PUT"]
max_size  = "1MB"
max_share = "7d"
list      = true
"""


def prepare_all(stack: Stack) -> samples.Samples:
    """The samples, with the file for the shell, as at a start of `python -m local`."""
    made = samples.prepare(stack)
    variables.write_script(stack.root, samples.variables(stack, made.api_key.value))
    return made


def value(sample: Sample) -> str:
    assert sample.value is not None, sample.advice
    return sample.value


def signed(stack: Stack, key: str | None) -> bytes:
    """What a link of the sample in the folder opens, for this key."""
    answer = requests.post(
        f"{stack.http_url}/-/sign",
        json={"links": [{"path": f"/send/{samples.FOLDER}{samples.NAME}"}]},
        headers={"Authorization": f"Bearer {key}"},
        timeout=20,
    )
    return requests.get(answer.json()["links"][0]["url"], timeout=20).content


def test_there_is_everything_with_the_shipped_configuration_and_a_second_start_keeps_it(
    log: IO[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / variables.SCRIPT).write_text("open to all")
    document, mine = keys_edit.add_api_key(
        keys_edit.new(), "mine", ["/send/"], ["POST", "GET"], None
    )
    with Stack.start(ROOT / "s.yaml", log=log, root=tmp_path, warm=False) as stack:
        content = keys_edit.serialize(document)
        assert client.request(stack, "PUT", stack.bucket, ".links/keys.json", content).status == 200
        with monkeypatch.context() as patched:
            patched.setenv("http_proxy", "http://127.0.0.1:1")
            first = prepare_all(stack)
            missing = {name: each.advice for name, each in first._asdict().items() if each.advice}
            assert missing == {
                "lfs_url": "remove the # from each line of the mount /lfs/ in links.toml"
            }
        assert requests.get(value(first.object), timeout=20).content == samples.CONTENT
        listed = requests.get(value(first.folder), timeout=20).json()
        assert [file["name"] for file in listed["files"]] == [*samples.FILES]
        page = requests.get(value(first.sender_page), headers=PAGE, timeout=20)
        assert (page.status_code, 'type="file"' in page.text) == (200, True)
        for address in (first.object, first.folder, first.sender_page):
            assert value(address).startswith(stack.http_url)
        for key in (first.api_key.value, mine):  # other entries of the keys document stay
            assert signed(stack, key) == samples.CONTENT
        lines = (tmp_path / variables.SCRIPT).read_text().splitlines()
        assert {f"export {name}={stack.http_url}" for name in ("SERVICE", "FC_PRESIGN_URL")} <= {
            *lines
        }
        assert f"export LINK_OSS_ENDPOINT={stack.oss_url}" in lines
        assert f"export LINK_STS_ENDPOINT={stack.sts_url}" in lines
        full = OSError(errno.ENOSPC, "No space left on device")
        with (
            patch("signer.common.files.os.fsync", side_effect=full),
            pytest.raises(EmulatorError, match="No space left"),
        ):
            variables.write_script(tmp_path, {"KEY": "fcp_another"})
        assert (tmp_path / variables.SCRIPT).read_text().splitlines() == lines, (
            "the file before stays"
        )
        assert not list(tmp_path.glob("*.incomplete"))
    assert stat.S_IMODE((tmp_path / variables.SCRIPT).stat().st_mode) == 0o600
    with Stack.start(ROOT / "s.yaml", log=log, root=tmp_path, warm=False) as stack:
        assert (
            client.request(
                stack, "PUT", stack.bucket, "exampledir/exampleobject.txt", b"mine"
            ).status
            == 200
        )
        second = samples.prepare(stack)
        assert requests.get(value(second.object), timeout=20).content == b"mine"
        share = stack.http_url + value(first.folder)[len("http://127.0.0.1:00000") :]
        assert requests.get(share, headers=PAGE, timeout=20).status_code == 200
        assert stack.dispatcher.wait(20)
        tick = {"triggerTime": "2026-11-28T00:00:00Z", "triggerName": "minute", "payload": ""}
        assert (
            stack.runtime.invoke("links-events-dev", json.dumps(tick).encode()).error_type is None
        )
    assert second.api_key == first.api_key
    log.seek(0)
    *others, idle = log.readlines()
    assert command.IDLE_TICK(idle)
    for line in (*others, idle.replace(b'"notices":0', b'"notices":1')):
        assert not command.IDLE_TICK(line)


def test_a_lost_key_is_replaced_and_an_invalid_keys_document_is_named_and_left_alone(
    log: IO[bytes], tmp_path: Path
) -> None:
    file = tmp_path / variables.SCRIPT
    with Stack.start(ROOT / "s.yaml", log=log, root=tmp_path, warm=False) as stack:
        keys = [prepare_all(stack).api_key]
        for damage in (None, b"export KEY=fcp_another\n", b"\xff"):
            file.unlink(missing_ok=True)
            if damage is not None:
                file.write_bytes(damage)
            keys.append(Sample(samples.api_key(stack)))
        assert len({*keys}) == 4
        stack.reload()
        assert value(samples.prepare(stack).folder)
        assert (
            client.request(stack, "PUT", stack.bucket, ".links/keys.json", b"not JSON").status
            == 200
        )
        made = samples.prepare(stack)
        assert client.request(stack, "GET", stack.bucket, ".links/keys.json").body == b"not JSON"
    assert made.api_key.value is None
    assert made.api_key.advice
    assert value(made.object)


@pytest.mark.parametrize(
    ("links", "advice"),
    [
        (
            TOP + SENT,
            {
                "object": "set access = ",
                "sender_page": "add the table [sender_page] with enabled = true",
            },
        ),
        (
            TOP + OPEN,
            {
                "folder": 'add list = true and max_share = "30d" to a mount with GET and PUT in links.toml'
            },
        ),
        (
            TOP.replace("keys ", "# ") + SENT,
            {"api_key": "add keys = ", "folder": "an API key is required"},
        ),
        (
            'region = "cn-hangzhou"\nkeys = "file:keys.json"' + OPEN,
            {"api_key": "which is yours to change"},
        ),
    ],
)
def test_what_is_missing_is_named_with_what_to_add(
    links: str, advice: dict[str, str], tmp_path: Path, log: IO[bytes]
) -> None:
    path = tmp_path / "links.toml"
    path.write_text(links)
    with Stack.start(
        ROOT / "s.yaml", environment={"LINK_CONFIG": str(path)}, log=log, warm=False
    ) as stack:
        made = samples.prepare(stack)._asdict()
    for name, sentence in advice.items():
        assert made[name].value is None
        assert sentence in made[name].advice
