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
from local import client, command, samples
from local.errors import LocalError
from local.samples import Sample
from local.stack import Stack

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


def prepared(links: str, folder: Path, log: IO[bytes]) -> samples.Samples:
    path = folder / "links.toml"
    path.write_text(links)
    with Stack.start(ROOT / "s.yaml", environment={"LINK_CONFIG": str(path)}, log=log, warm=False) as stack:
        return samples.prepare(stack)


def prepare_all(stack: Stack) -> samples.Samples:
    """The samples, with the file for the shell, as at a start of `python -m local`."""
    made = samples.prepare(stack)
    samples.write_script(stack.root, samples.variables(stack, made.api_key.value))
    return made


def value(sample: Sample) -> str:
    assert sample.value is not None, sample.advice
    return sample.value


def test_with_the_shipped_configuration_there_is_everything_and_it_works(log: IO[bytes]) -> None:
    with Stack.start(ROOT / "s.yaml", log=log, warm=False) as stack:
        made = samples.prepare(stack)
        assert requests.get(value(made.object), timeout=20).content == samples.CONTENT
        listed = requests.get(value(made.folder), timeout=20).json()
        assert [file["name"] for file in listed["files"]] == [*samples.FILES]
        page = requests.get(value(made.sender_page), headers=PAGE, timeout=20)
        assert (page.status_code, 'type="file"' in page.text) == (200, True)
        for address in made[:3]:
            assert value(address).startswith(stack.http_url)
        answer = requests.post(
            f"{stack.http_url}/-/sign",
            json={"links": [{"path": f"/send/{samples.FOLDER}{samples.NAME}"}]},
            headers={"Authorization": f"Bearer {made.api_key.value}"},
            timeout=20,
        )
        assert requests.get(answer.json()["links"][0]["url"], timeout=20).content == samples.CONTENT


def test_a_second_start_keeps_the_key_and_with_it_the_shares(log: IO[bytes], tmp_path: Path) -> None:
    with Stack.start(ROOT / "s.yaml", log=log, root=tmp_path, warm=False) as stack:
        first = prepare_all(stack)
    with Stack.start(ROOT / "s.yaml", log=log, root=tmp_path, warm=False) as stack:
        second = samples.prepare(stack)
        share = stack.http_url + value(first.folder)[len("http://127.0.0.1:00000") :]
        assert requests.get(share, headers=PAGE, timeout=20).status_code == 200
    assert second.api_key == first.api_key


def test_a_lost_key_is_replaced(log: IO[bytes], tmp_path: Path) -> None:
    file = tmp_path / samples.ENVIRONMENT
    with Stack.start(ROOT / "s.yaml", log=log, root=tmp_path, warm=False) as stack:
        for damage in (None, b"export KEY=fcp_another\n", b"\xff"):
            first = prepare_all(stack)
            file.unlink()
            if damage is not None:
                file.write_bytes(damage)
            stack.reload()
            second = samples.prepare(stack)
            assert value(second.folder)
            assert second.api_key != first.api_key


def test_the_file_for_the_shell_can_be_read_by_its_owner_only(log: IO[bytes], tmp_path: Path) -> None:
    (tmp_path / samples.ENVIRONMENT).write_text("open to all")
    with Stack.start(ROOT / "s.yaml", log=log, root=tmp_path, warm=False) as stack:
        prepare_all(stack)
        lines = (tmp_path / samples.ENVIRONMENT).read_text().splitlines()
        assert {f"export {name}={stack.http_url}" for name in ("SERVICE", "FC_PRESIGN_URL")} <= {*lines}
        assert f"export LINK_OSS_ENDPOINT={stack.oss_url}" in lines
        assert f"export LINK_STS_ENDPOINT={stack.sts_url}" in lines
        full = OSError(errno.ENOSPC, "No space left on device")
        with patch("signer.files.os.fsync", side_effect=full), pytest.raises(LocalError, match="No space left"):
            samples.write_script(tmp_path, {"KEY": "fcp_another"})
        assert (tmp_path / samples.ENVIRONMENT).read_text().splitlines() == lines, "the file before stays"
        assert not list(tmp_path.glob("*.incomplete"))
    assert stat.S_IMODE((tmp_path / samples.ENVIRONMENT).stat().st_mode) == 0o600


def test_other_entries_of_the_keys_document_stay(log: IO[bytes]) -> None:
    with Stack.start(ROOT / "s.yaml", log=log, warm=False) as stack:
        document, key = keys_edit.add_api_key(keys_edit.new(), "mine", ["/send/"], ["GET"], None)
        assert (
            client.request(stack, "PUT", stack.bucket, ".links/keys.json", keys_edit.serialize(document)).status == 200
        )
        assert value(samples.prepare(stack).folder)
        headers = {"Authorization": f"Bearer {key}"}
        answer = requests.get(f"{stack.http_url}/send/{samples.FOLDER}{samples.NAME}", headers=headers, timeout=20)
        assert requests.get(answer.json()["url"], timeout=20).content == samples.CONTENT


@pytest.mark.parametrize(
    ("links", "advice"),
    [
        (TOP + SENT, {"object": 'set access = "anonymous" on a mount with GET in links.toml'}),
        (TOP + SENT, {"sender_page": "add the table [sender_page] with enabled = true"}),
        (TOP + OPEN, {"folder": 'add list = true and max_share = "30d" to a mount with GET and PUT in links.toml'}),
        (TOP.replace("keys ", "# ") + SENT, {"api_key": "add keys = ", "folder": "an API key is required"}),
        ('region = "cn-hangzhou"\nkeys = "file:keys.json"' + OPEN, {"api_key": "which is yours to change"}),
    ],
)
def test_what_is_missing_is_named_with_what_to_add(
    links: str, advice: dict[str, str], tmp_path: Path, log: IO[bytes]
) -> None:
    made = prepared(links, tmp_path, log)._asdict()
    for name, sentence in advice.items():
        assert made[name].value is None
        assert sentence in made[name].advice


def test_an_invalid_keys_document_is_named_and_left_alone(log: IO[bytes]) -> None:
    with Stack.start(ROOT / "s.yaml", log=log, warm=False) as stack:
        assert client.request(stack, "PUT", stack.bucket, ".links/keys.json", b"not JSON").status == 200
        made = samples.prepare(stack)
        assert client.request(stack, "GET", stack.bucket, ".links/keys.json").body == b"not JSON"
    assert made.api_key.value is None
    assert made.api_key.advice
    assert value(made.object)


def test_the_preparation_ignores_proxies_and_its_tick_is_idle(log: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Stack.start(ROOT / "s.yaml", log=log, warm=False) as stack:
        assert [sample.advice for sample in samples.prepare(stack)] == [""] * 4
        stack.dispatcher.wait(20)
        tick = {"triggerTime": "2026-11-28T00:00:00Z", "triggerName": "minute", "payload": ""}
        assert stack.runtime.invoke("links-events-dev", json.dumps(tick).encode()).error_type is None
    log.seek(0)
    lines = log.readlines()
    assert [bool(command.IDLE_TICK(line)) for line in lines] == [False, True]
    idle = lines[-1]
    assert not command.IDLE_TICK(idle.replace(b'"notices":0', b'"notices":1'))
