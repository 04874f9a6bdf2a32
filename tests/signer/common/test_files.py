"""A file is replaced entirely or not at all."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from signer.common.files import replace_file


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"]
)
def test_the_previous_file_stays_if_another_cannot_be_written(
    tmp_path: Path, step: str, error: BaseException
) -> None:
    (tmp_path / "page.md").write_text("before")
    with patch(f"signer.common.files.os.{step}", side_effect=error), pytest.raises(type(error)):
        replace_file(str(tmp_path / "page.md"), b"after")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.md", "before")]


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nothing/page.md"
    with pytest.raises(FileNotFoundError) as error:
        replace_file(str(path), b"after")
    assert error.value.filename == str(path)


def test_a_new_file_can_be_read_by_all_and_another_keeps_its_mode_unless_one_is_passed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "page.md"
    replace_file(str(path), b"new")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o664)
    replace_file(str(path), "after é".encode())
    assert (path.read_text("utf-8"), path.stat().st_mode & 0o777) == ("after é", 0o664)
    replace_file(str(path), b"last", mode=0o604)
    assert path.stat().st_mode & 0o777 == 0o604


def test_a_symbolic_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "env.sh").symlink_to("precious")
    replace_file(str(tmp_path / "env.sh"), b"secret", mode=0o600)
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "env.sh").is_symlink()
