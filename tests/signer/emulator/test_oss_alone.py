"""`fc-presign oss`: the OSS without the rest of the stack."""

from __future__ import annotations

import re
import signal
import socket
from html import unescape
from pathlib import Path
from shlex import quote
from unittest.mock import patch

import oss2
import pytest
import requests

from signer import cli
from signer.cli import oss as command
from signer.emulator import client
from signer.emulator.alone import oss_alone
from signer.emulator.plain_files import PlainFiles
from tests.local.programs import started


def test_it_prints_what_a_shell_needs_and_takes_files_in_until_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / "a-bucket"
    for path in (folder, tmp_path / "other"):
        path.mkdir()
    (folder / "before.txt").write_text("before")
    options = [
        "--oss-port",
        "0",
        "--root",
        str(tmp_path),
        "--bucket",
        "a-bucket",
        "--bucket",
        "b-bucket",
    ]
    html = {"Accept": "text/html,*/*;q=0.8"}
    with started("oss", *options, module="signer", ports=False, quick=True) as program:
        program.wait_for("OSS_STS_SESSION_TOKEN")
        script = (tmp_path / "env.sh").read_text()
        assert program.output.endswith(script)
        assert "\nunset OSS_SESSION_TOKEN\n" in script  # it may be of another stack
        assert "# A test tool: an OSS that only this machine reaches (127.0.0.1)." in program.output
        for sentence in (
            "other is not a bucket: its files are not uploaded.",
            "before.txt was uploaded",
        ):
            assert sentence in program.output
        (folder / "while.txt").write_text("while it runs")
        program.wait_for("while.txt was uploaded")
        (folder / "before.txt").unlink()
        program.wait_for("before.txt was removed, and oss://a-bucket/before.txt with it.")
        variables = dict(re.findall(r"^export (OSS_\w+)='?([^'\n]*)'?$", script, re.MULTILINE))
        url = variables["OSS_ENDPOINT"]
        with pytest.raises(ConnectionRefusedError), socket.socket() as other:
            other.connect(("127.0.0.2", int(url.rpartition(":")[2])))
        # A browser without a key gets a page of the buckets.
        auth = oss2.AuthV4(variables["OSS_ACCESS_KEY_ID"], variables["OSS_ACCESS_KEY_SECRET"])
        oss2.Bucket(auth, url, "later-bucket", region="cn-hangzhou").create_bucket()
        page = unescape(requests.get(url, headers=html, timeout=20).text)
        script = quote(f"{tmp_path}/env.sh")
        for shown in (f". {script}", f"{tmp_path}/a-bucket/", f"{tmp_path}/later-bucket/"):
            assert shown in page
        assert not [
            name
            for name, value in variables.items()
            if re.search("KEY|TOKEN", name) and value in page
        ]
        for headers in ({}, {**html, "Authorization": "OSS a:b"}):
            assert requests.get(url, headers=headers, timeout=20).status_code == 403
        assert requests.get(f"{url}/later-bucket/", headers=html, timeout=20).status_code == 403
        program.process.send_signal(signal.SIGINT)
        assert program.end() == 0
    assert "Traceback" not in program.output
    assert (tmp_path / "b-bucket/.oss/bucket.json").is_file()


def test_an_unknown_region_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for region, warning in (
        ("cn-hangzou", ["unknown region 'cn-hangzou' (did you mean cn-hangzhou?)"]),
        ("cn-beijing", []),
    ):
        stopped = patch("time.sleep", side_effect=SystemExit(0))
        with stopped, patch.object(command, "exit_on_signals"), pytest.raises(SystemExit):
            cli.run(["oss", "--oss-port", "0", "--root", str(tmp_path), "--region", region])
        assert re.findall(r"Warning: (.*?)\. ", capsys.readouterr().err) == warning


def test_a_signal_that_was_ignored_at_the_start_stays_ignored(tmp_path: Path) -> None:
    # As a script starts a job in the background.
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with started(
            "oss",
            "--oss-port",
            "0",
            "--root",
            str(tmp_path),
            "--bucket",
            "a-bucket",
            module="signer",
            ports=False,
        ) as program:
            program.wait_for("OSS_STS_SESSION_TOKEN")
            program.process.send_signal(signal.SIGINT)
            (tmp_path / "a-bucket/while.txt").write_text("while it runs")
            program.wait_for("while.txt was uploaded")
            program.process.send_signal(signal.SIGTERM)
            assert program.end() == 0
    finally:
        signal.signal(signal.SIGINT, usual)


def test_objects_outlive_it_and_go_with_their_file_unless_they_were_written_since(
    tmp_path: Path,
) -> None:
    names = ["kept", "written", "removed"]
    with oss_alone(["examplebucket"], "cn-hangzhou", tmp_path, 0) as alone:
        for name in names[1:]:
            (tmp_path / "examplebucket" / name).write_text("by hand")
        assert len(list(PlainFiles(alone).upload_changes())) == 2
        assert client.request(alone, "PUT", "examplebucket", "kept", b"x").status == 200
    with oss_alone(["examplebucket"], "cn-hangzhou", tmp_path, 0) as alone:
        files = PlainFiles(alone)
        assert list(files.upload_changes()) == []
        assert (
            client.request(alone, "PUT", "examplebucket", "written", b"by a program").status == 200
        )
        for name in names[1:]:
            (tmp_path / "examplebucket" / name).unlink()
        assert len(list(files.upload_changes())) == 1
        statuses = [client.request(alone, "GET", "examplebucket", name).status for name in names]
        assert statuses == [200, 200, 404]
        (tmp_path / "examplebucket/removed").write_text("by hand")
        assert len(list(files.upload_changes())) == 1


@pytest.mark.parametrize("root", [__file__, "/sys/oss"])
def test_a_root_that_cannot_be_used_is_one_sentence(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with patch.object(command, "exit_on_signals"):
        assert cli.run(["oss", "--oss-port", "0", "--root", root]) == 2
    said = "".join(capsys.readouterr())
    assert re.fullmatch(
        rf"Error: Objects cannot be stored in {root} \(.*\)\. Name another .*\n", said
    )
