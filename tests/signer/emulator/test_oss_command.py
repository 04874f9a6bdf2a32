"""`fc-presign oss`: its options, what it writes, and what it answers to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import oss2
import pytest
import yaml

from signer import Credentials, Endpoint, cli, presign
from signer.cli import oss as command
from signer.emulator.variables import no_proxy
from tests.local.programs import ROOT, started

KEY = {
    "OSS_EMULATOR_ACCESS_KEY_ID": "LTAI5tTEST",
    "OSS_EMULATOR_ACCESS_KEY_SECRET": "secretEXAMPLE",
}
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


@contextmanager
def running(*arguments: str) -> Iterator[dict[str, str]]:
    """The variables of one on a free port."""
    options = ("oss", "--port", "0", "--json", *arguments)
    with started(*options, module="signer", ports=False) as program:
        yield json.loads(program.wait_for('{"OSS_ENDPOINT"'))
        program.process.send_signal(signal.SIGINT)
        assert program.end() == 0
        assert "Traceback" not in program.output


def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> str:
    """The sentence of a start that fails with status 2."""
    monkeypatch.setattr(command, "exit_on_signals", lambda status: None)
    assert cli.run(["oss", "--port", "0", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


def bucket_of(variables: Mapping[str, str], address: str, **options: bool) -> oss2.Bucket:
    auth = oss2.AuthV4(variables["OSS_ACCESS_KEY_ID"], variables["OSS_ACCESS_KEY_SECRET"])
    return oss2.Bucket(
        auth, address, variables["OSS_BUCKET"], region=variables["OSS_REGION"], **options
    )


def get(port: str, host: str, headers: Mapping[str, str] = BROWSER) -> tuple[int, str]:
    connection = HTTPConnection(f"127.0.0.1:{port}", timeout=20)
    connection.request("GET", "/", headers={**headers, "Host": host})
    response = connection.getresponse()
    content = response.read().decode()
    connection.close()
    return response.status, content


# --- keys ---------------------------------------------------------------------------------------------------------


def test_its_keys_are_random_and_never_those_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "LTAI5tTESTREAL")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "secretREAL")
    monkeypatch.setenv("OSS_SESSION_TOKEN", "CAISREAL")
    secrets = set()
    for _ in range(2):
        with running() as variables:
            secrets.add(variables["OSS_ACCESS_KEY_SECRET"])
            assert not [value for value in variables.values() if "REAL" in value]
    assert len(secrets) == 2


def test_two_containers_can_know_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    with running() as variables:
        assert variables["OSS_ACCESS_KEY_ID"] == "LTAI5tTEST"
        assert variables["OSS_ACCESS_KEY_SECRET"] == "secretEXAMPLE"
        bucket_of(variables, variables["OSS_ENDPOINT"]).put_object("a.txt", b"figures")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({**KEY, "OSS_EMULATOR_ACCESS_KEY_ID": "LTAI5tREAL"}, "it must contain TEST or LOCAL"),
        ({"OSS_EMULATOR_ACCESS_KEY_ID": "LTAI5tTEST"}, "set both, or neither"),
        ({"OSS_EMULATOR_ACCESS_KEY_SECRET": "secretREAL"}, "set both, or neither"),
    ],
)
def test_a_key_that_may_be_real_is_refused_in_one_sentence(
    variables: Mapping[str, str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    message = refused(capsys, monkeypatch)
    assert sentence in message
    assert "REAL" not in message
    assert message.count("\n") == 1


# --- the file of variables ----------------------------------------------------------------------------------------


def test_a_file_of_variables_is_for_its_owner_and_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "oss.env"
    contents = []
    for _ in range(2):
        with running("--env-file", str(path)) as variables:
            contents.append(path.read_text())
            mark, *lines = contents[-1].splitlines()
            assert mark.startswith("# ")
            written = dict(line.split("=", 1) for line in lines)
            assert {name: written[name] for name in variables if variables[name]} == {
                name: value for name, value in variables.items() if value
            }
            assert written["NO_PROXY"] == written["no_proxy"] == "127.0.0.1,localhost"
            assert "OSS_SESSION_TOKEN" not in written  # that of a permanent key
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert not re.search("[\"']|export", contents[-1])
    assert contents[0] != contents[1]


def test_the_file_of_somebody_else_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    path.write_text("OSS_ENDPOINT=https://oss-cn-hangzhou.aliyuncs.com\n")
    link = tmp_path / "link"
    link.symlink_to(path)
    for each in (path, link):
        message = refused(capsys, monkeypatch, "--env-file", str(each))
        assert "exists, and fc-presign oss did not write it" in message
        assert path.read_text() == "OSS_ENDPOINT=https://oss-cn-hangzhou.aliyuncs.com\n"


def test_the_file_of_github_gets_more_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "github.env"
    path.write_text("BEFORE=1\n")
    monkeypatch.setenv("GITHUB_ENV", str(path))
    with running("--env-file", str(path)) as variables:
        first, *lines = path.read_text().splitlines()
        assert first == "BEFORE=1"
        assert f"OSS_ENDPOINT={variables['OSS_ENDPOINT']}" in lines
        assert all(re.fullmatch(r"[A-Za-z_]+=.+", line) for line in lines)  # GitHub refuses others


def test_a_file_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "missing" / "oss.env"
    assert f"{path} cannot be written (No such file" in refused(
        capsys, monkeypatch, "--env-file", str(path)
    )
    monkeypatch.setenv("GITHUB_ENV", str(tmp_path))
    assert f"{tmp_path} cannot be written (" in refused(
        capsys, monkeypatch, "--env-file", str(tmp_path)
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "a.example.com"}, "127.0.0.1,localhost,a.example.com"),
        ({"no_proxy": "b.example.com", "NO_PROXY": "a"}, "127.0.0.1,localhost,b.example.com"),
        ({"no_proxy": "127.0.0.1,localhost,a"}, "127.0.0.1,localhost,a"),
        ({"no_proxy": "localhost"}, "127.0.0.1,localhost"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_no_proxy_keeps_what_is_there(before: dict[str, str], after: str) -> None:
    assert no_proxy(before) == {"NO_PROXY": after, "no_proxy": after}


def test_the_file_has_the_name_of_its_address_too(tmp_path: Path) -> None:
    with running("--env-file", str(tmp_path / "env"), "--address", "http://oss:9001"):
        lines = (tmp_path / "env").read_text().splitlines()
    assert "OSS_ENDPOINT=http://oss:9001" in lines
    assert "no_proxy=127.0.0.1,localhost,oss,.oss" in lines


# --- addresses ----------------------------------------------------------------------------------------------------


def test_its_page_answers_to_the_loopback_and_its_own_address_alone(tmp_path: Path) -> None:
    options = ("--root", str(tmp_path), "--address", "http://oss:9001")
    with started("oss", "--port", "0", *options, module="signer", ports=False) as program:
        program.wait_for("OSS_STS_SESSION_TOKEN")
        assert "export OSS_ENDPOINT=http://oss:9001\n" in program.output
        port = port_of(program.process.pid)
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", "[::1]:80", "oss:9001"):
            status, page = get(port, host)
            assert (status, "An OSS to test against" in page) == (200, True), host
            assert "http://oss:9001, in cn-hangzhou" in page
        for host in ("evil.example.com", "oss", "localhost.example.com", "127.0.0.1.example.com"):
            status, page = get(port, host)
            assert (status, "An OSS to test against" in page) == (403, False), host


def port_of(pid: int) -> str:
    """The port on which a process listens (proc(5))."""
    inodes = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            return str(int(fields[1].partition(":")[2], 16))
    raise AssertionError("The process does not listen.")


def test_a_page_shows_names_of_folders_as_text(tmp_path: Path) -> None:
    root = tmp_path / "<b>&"
    with running("--root", str(root)) as variables:
        _, page = get(variables["OSS_ENDPOINT"].rpartition(":")[2], "localhost")
    assert f"{tmp_path}/&lt;b&gt;&amp;/examplebucket/" in page
    assert "<b>" not in page


def test_requests_are_answered_under_any_host_and_a_bucket_before_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """oss2 asks for examplebucket.oss:9001, unless it uses the path."""
    resolve = socket.getaddrinfo
    with started(
        "oss", "--port", "0", "--json", "--address", "http://oss:9001", module="signer", ports=False
    ) as program:
        variables = json.loads(program.wait_for('{"OSS_ENDPOINT"'))
        port = port_of(program.process.pid)
        asked = set()

        def to_this_machine(host: str, *rest: object) -> object:
            asked.add(host)
            return resolve("127.0.0.1", port, type=socket.SOCK_STREAM)

        monkeypatch.setattr(socket, "getaddrinfo", to_this_machine)
        assert variables["OSS_ENDPOINT"] == "http://oss:9001"
        bucket_of(variables, "http://oss:9001").put_object("a.txt", b"figures")
        path_style = bucket_of(variables, "http://oss:9001", is_path_style=True)
        assert path_style.get_object("a.txt").read() == b"figures"
        other = bucket_of(variables, "http://other.example.com:9001", is_path_style=True)
        assert other.get_object("a.txt").read() == b"figures"
    assert asked == {"examplebucket.oss", "oss", "other.example.com"}


@pytest.mark.parametrize(
    "address", ["oss:9001", "ftp://oss", "http://", "http://oss/a", "http://oss:x"]
)
def test_an_address_is_a_scheme_and_a_host(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = refused(capsys, monkeypatch, "--address", address)
    assert "expected an address such as http://oss:9001." in message


def test_a_port_in_use_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        message = refused(capsys, monkeypatch, "--port", port)
    assert re.fullmatch(
        rf"Error: Port {port} is not available \(.*\)\. Stop the program that uses it, or choose another port "
        r"with --port, or PORT= of make oss \(0: any free one\)\.\n",
        message,
    )


# --- signatures, loading, containers ------------------------------------------------------------------------------


def test_version_1_is_refused_as_in_new_buckets() -> None:
    with running("--no-v1") as variables:
        key = variables["OSS_ACCESS_KEY_ID"], variables["OSS_ACCESS_KEY_SECRET"]
        url = variables["OSS_ENDPOINT"]
        bucket_of(variables, url).put_object("a.txt", b"figures")
        with pytest.raises(oss2.exceptions.AccessDenied) as error:
            oss2.Bucket(oss2.Auth(*key), url, "examplebucket").get_object("a.txt")
        assert (error.value.status, error.value.details["EC"]) == (403, "0002-00000080")
        signed = oss2.Bucket(oss2.Auth(*key), url, "examplebucket").sign_url("GET", "a.txt", 60)
        with pytest.raises(oss2.exceptions.AccessDenied) as error:
            bucket_of(variables, url).get_object_with_url(signed)
        assert error.value.details["EC"] == "0002-00000080"
        link = presign(
            "GET",
            "examplebucket",
            "a.txt",
            credentials=Credentials(*key),
            endpoint=Endpoint.path_style(url, "cn-hangzhou"),
        )
        assert bucket_of(variables, url).get_object_with_url(link.url).read() == b"figures"


def test_it_loads_no_module_of_handler_or_local_nor_what_the_extra_does_not_have(
    tmp_path: Path,
) -> None:
    code = """
import sys, time
def end(seconds):
    print(sorted(name.partition(".")[0] for name in sys.modules))
    raise SystemExit(0)
time.sleep = end
from signer.cli import run
sys.exit(run(["oss", "--port", "0"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    loaded = set(re.findall(r"'(\w+)'", done.stdout.splitlines()[-1]))
    assert loaded >= {"signer", "werkzeug", "fastcrc", "click"}
    assert not loaded & {"handler", "local", "flask", "jinja2", "requests", "yaml", "urllib3"}


@pytest.mark.parametrize("missing", ["werkzeug", "fastcrc"])
def test_without_the_extra_it_says_so(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from signer.cli import run; sys.exit(run(['oss', '--port', '0']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert re.fullmatch(
        rf"Error: The OSS for tests requires {missing}: install fc-presign\[oss\]\.\n", done.stderr
    )


def test_without_click_it_names_its_own_extra() -> None:
    for name in ("oss", "sign"):
        done = subprocess.run(
            [sys.executable, "-S", "-m", "signer", name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        extra = {"oss": "oss", "sign": "cli"}[name]
        assert f"requires click: install fc-presign[{extra}]. In a clone: " in done.stderr
        assert f"make {name}" in done.stderr
        assert done.returncode == 2


def test_the_compose_file_starts_it_with_options_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = yaml.safe_load((ROOT / "local/compose.yaml").read_text("utf-8"))["services"]
    service = services["oss"]
    assert (ROOT / "local" / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    for name, value in service["environment"].items():
        monkeypatch.setenv(name, value)
    with running(*service["command"]) as variables:
        program = services["program"]["environment"]
        assert {name: variables[name] for name in program} == program
    host = variables["OSS_ENDPOINT"].removeprefix("http://").partition(":")[0]
    assert host == "oss"
    assert service["networks"]["default"]["aliases"] == [f"{variables['OSS_BUCKET']}.{host}"]
    assert services["program"]["depends_on"]["oss"]["condition"] == "service_healthy"
