"""`make keys` and `make notices` change the documents of the environment that ENV and CONFIG name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import operate
from deploy.errors import DeployError
from tests.deploy.project_copy import ProjectCopy

ADD = ("add-api-key", "ci", "--path", "/a/", "--method", "GET")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectCopy:
    """With a keys document in a file for each environment, and the variables of dev in the shell."""
    copy = ProjectCopy.of(tmp_path, ("s.yaml", "env.yaml", "links.toml"))
    links = '[[mount]]\npath = "/a/"\ntarget = "oss://${LINK_BUCKET}/a/"\n'
    head = 'region = "${LINK_REGION}"\nkeys = "file:%s-${LINK_BUCKET}.json"\n'
    (tmp_path / "links.toml").write_text(head % "keys" + links)
    (tmp_path / "mine.toml").write_text(head % "mine" + links)
    mine = copy.config.read_text().replace(
        "LINK_BUCKET:", "LINK_CONFIG: mine.toml\n        LINK_BUCKET:"
    )
    (tmp_path / "mine.s.yaml").write_text(mine)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINK_REGION", "cn-hangzhou")
    monkeypatch.setenv("LINK_BUCKET", "examplebucket")
    monkeypatch.delenv("LINK_CONFIG", raising=False)
    return copy


@pytest.mark.parametrize(
    ("options", "document"),
    [
        ((), "keys-examplebucket.json"),
        (("--env", "prod"), "keys-examplebucket-prod.json"),
        (("--config", "mine.s.yaml"), "mine-examplebucket.json"),
        (("--config", "mine.s.yaml", "--env", "dev"), "mine-examplebucket.json"),
    ],
)
def test_a_command_changes_the_document_of_the_environment_and_names_it(
    options: tuple[str, ...],
    document: str,
    project: ProjectCopy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LINK_CONFIG", "")  # so that what is set here ends with the test
    for command in (("init",), ADD, ("revoke-api-key", "ci")):
        assert operate.main([*options, "keys", *command]) == 0, capsys.readouterr().err
    printed = capsys.readouterr()
    assert json.loads((project.folder / document).read_text())["api"] == []
    assert f"Revoked the API key ci in file:{project.folder / document}." in printed.out
    assert [path.name for path in project.folder.glob("*.json")] == [document]


def test_a_change_of_nobody_knows_which_environment_is_refused(
    project: ProjectCopy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LINK_REGION")
    monkeypatch.delenv("LINK_BUCKET")
    for command in (("keys", "revoke-api-key", "ci"), ("notices", "drop", "--yes")):
        assert operate.main(command) == 2
        err = capsys.readouterr().err
        assert f"make {command[0]}: env.yaml has the environments dev and prod." in err
        assert "ENV=dev" in err
    assert operate.main(["keys", "--keys", "file:own.json", "init"]) == 0
    with pytest.raises(SystemExit):
        operate.main(["keys", "--help"])
    project.edit(
        "  - name: dev\n    description: For testing changes\n    type: testing\n", "", "env.yaml"
    )
    assert operate.main(["keys", "init"]) == 2
    assert "the variable LINK_REGION is not set" in capsys.readouterr().err


def test_an_environment_that_does_not_exist_changes_nothing(project: ProjectCopy) -> None:
    with pytest.raises(DeployError, match="choose one of dev, prod"):
        operate.main(["--env", "production", "keys", "init"])
    assert not list(project.folder.glob("*.json"))
