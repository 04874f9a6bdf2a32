"""The signer in the package for Function Compute, which leaves out the command line and the diagnosis."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import signer

LIBRARY = [
    path.stem
    for path in Path(signer.__file__).parent.glob("*.py")
    if path.stem not in ("__init__", "__main__")
]
WORKS = """
import signer
keys = signer.Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
endpoint = signer.Endpoint.public("cn-hangzhou")
url = signer.presign("GET", "examplebucket", "a.txt", credentials=keys, endpoint=endpoint).url
assert signer.verify("GET", url, credentials=keys).ok
assert url.rpartition("=")[2] not in signer.redact(url)
assert signer.post_form("examplebucket", "a.txt", credentials=keys, endpoint=endpoint, max_size=1).fields["policy"]
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    ignore = shutil.ignore_patterns("cli", "diagnosis", "__pycache__")
    shutil.copytree(Path(signer.__file__).parent, folder / "signer", ignore=ignore)
    return folder


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # -S: only the standard library can be imported.
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_library_works_without_the_command_line_and_the_diagnosis(package: Path) -> None:
    imports = "".join(f"import signer.{module}\n" for module in LIBRARY)

    assert (len(LIBRARY) >= 12, run(imports + WORKS, package).stderr) == (True, "")


def test_explain_says_what_to_install(package: Path) -> None:
    both = "import signer\ntry: signer.explain\nexcept ImportError as error: print(error)\nfrom signer import explain"
    done = run(both, package)
    words = "signer.explain is not part of this package: install fc-presign[cli] to use it."

    assert (done.stdout, done.stderr.splitlines()[-1]) == (f"{words}\n", f"ImportError: {words}")


def test_the_library_imports_neither_where_both_are_installed() -> None:
    code = (
        WORKS
        + "print([name for name in sys.modules if name.startswith(('signer.cli', 'signer.diagnosis'))])"
    )

    assert run(code, Path(signer.__file__).parents[1]).stdout == "[]\n"
