"""`python -m tools.template FOLDER [--home-page URL]`: makes the application template for `s init --uri FOLDER`.

`s init` fills in `s.yaml` alone and validates nothing. So each choice is a `{{ name }}` in `s.yaml`, reaches
`links.toml` through an environment variable, and is validated by `make check` and by the build.

The made project has one environment and built-in runtimes. Its Makefile and the pages in docs are the repository's own,
and also name what only the repository has. Publishers name their own page with `--home-page`, an https address; without
it, the registry shows the site of Serverless Devs.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from deploy.checks.secrets import secret_in
from deploy.command import reason, run
from deploy.errors import DeployError
from signer.common.printing import Parser, show

ROOT = Path(__file__).parent.parent
SHIPPED = (
    "handler",
    "signer",
    "local",
    "deploy",
    "docs",
    "Makefile",
    "pyproject.toml",
    "requirements.txt",
    "LICENSE",
    "links.toml",
    "s.yaml",
    ".gitignore",
)
# What is about the repository, or needs its environments, its custom runtime or its example folder.
LEFT_OUT = (
    "deploy/application",
    "deploy/custom-runtime",
    "local/demo",
    "docs/decisions.md",
    "docs/compare.md",
    "docs/releases.md",
    "docs/security.md",
    "docs/live.md",
    "docs/custom-runtime.md",
)
SUFFIXES = (
    ".html",
    ".js",
    ".json",
    ".lock",
    ".md",
    ".png",
    ".py",
    ".svg",
    ".toml",
    ".txt",
    ".typed",
    ".yaml",
    ".yml",
    ".ini",
    ".sh",
    "Dockerfile",
)
# The example folder in the repository's own files.
EXAMPLE = "exampledir"
PARAMETERS = {"region": "region", "bucket": "bucket", "log_project": "logProject"}
VARIABLES = {"LINK_FOLDER": "folder", "LINK_ENDPOINT": "endpoint"}


def assemble(target: Path, root: Path = ROOT, home_page: str | None = None) -> None:
    """Writes the package into `target`, which must be empty or missing, or removes it again. Raises `DeployError`."""
    if target.exists() and any(target.iterdir()):
        raise DeployError(f"{target} is not empty: name a new folder.")
    try:
        _assemble(target, root, home_page)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)  # half a template looks like one
        if isinstance(error, OSError):
            raise DeployError(f"{target} cannot be written ({reason(error)}).") from None
        raise


def _assemble(target: Path, root: Path, home_page: str | None) -> None:
    shutil.copytree(root / "deploy/application", target, dirs_exist_ok=True)
    if home_page is not None:
        publish = target / "publish.yaml"
        publish.write_text(
            publish_yaml(publish.read_text(encoding="utf-8"), home_page), encoding="utf-8"
        )
    source = (target / "project").rename(target / "src")
    for name in SHIPPED:
        if (root / name).is_dir():
            shutil.copytree(
                root / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
            )
        else:
            shutil.copy(root / name, source)
    for name in LEFT_OUT:
        path = source / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name, change in (("s.yaml", s_yaml), ("links.toml", links_toml), ("Makefile", makefile)):
        content = (source / name).read_text(encoding="utf-8")
        (source / name).write_text(change(content), encoding="utf-8")
    check_files(target, source)


def check_files(target: Path, source: Path) -> None:
    """Raises `DeployError` for a file of another kind than a template has, and for one that has a secret."""
    for path in filter(Path.is_file, sorted(target.rglob("*"))):
        shown = path.relative_to(source if source in path.parents else target)
        if (path.suffix or path.name) not in (*SUFFIXES, *SHIPPED):
            raise DeployError(
                f"{shown} is not one of the files that a template has, {', '.join(SUFFIXES)}: remove it."
            )
        if secret := secret_in(path.read_text(encoding="utf-8", errors="replace")):
            raise DeployError(f"{shown} contains what looks like {secret}: remove it.")


def publish_yaml(content: str, home_page: str) -> str:
    """Raises `DeployError` if the address is invalid."""
    address = urlsplit(home_page)
    if address.scheme != "https" or not address.hostname or re.search(r"\s", home_page):
        raise DeployError(
            f"Invalid --home-page {home_page!r}: expected an address such as https://example.com/links."
        )
    return re.sub(r"(?m)^HomePage: .*$", lambda _: f"HomePage: {json.dumps(home_page)}", content)


def s_yaml(content: str) -> str:
    """The project's `s.yaml` with parameters in place of the examples."""
    head, resources, functions = content.partition("\nresources:\n")
    for name, parameter in PARAMETERS.items():
        head, count = re.subn(rf"(?m)^  {name}: .*$", f'  {name}: "{{{{ {parameter} }}}}"', head)
        if count != 1:
            raise DeployError(f"s.yaml: vars.{name} is missing, and the template needs it.")
    head = re.sub(r"(?m)^(#.*\n)*env: .*\n", "", head)
    head = head.replace("access: default", 'access: "{{ access }}"')
    functions = re.sub(
        r"functionName: links-(\w+)-dev", r'functionName: "{{ functionPrefix }}-\1"', functions
    )
    for name, parameter in VARIABLES.items():
        functions = re.sub(
            r"(?m)^( +)LINK_BUCKET: .*$", rf'\g<0>\n\1{name}: "{{{{ {parameter} }}}}"', functions
        )
    return head + resources + functions


def links_toml(content: str) -> str:
    """The project's `links.toml` with the chosen folder in place of the example, and the chosen endpoint."""
    if f"/{EXAMPLE}/" not in content:
        raise DeployError(
            f"links.toml: no mount of /{EXAMPLE}/, which the template replaces by the chosen folder."
        )
    content = re.sub(r"(?m)^endpoint +=.*\n", "", content).replace(
        f"/{EXAMPLE}/", "/${LINK_FOLDER}/"
    )
    # Not in comments.
    return re.sub(r"(?m)^\[\[mount\]\]\n", r'\g<0>endpoint = "${LINK_ENDPOINT}"\n', content)


def makefile(content: str) -> str:
    """The project's `Makefile` without the targets for what only the repository has."""
    targets = "demo|test|test-long|lint|bench|lock|audit|docs|reference|template|live|live-sweep"
    return re.sub(rf"(?m)^##   make (?:{targets}) .*\n|^(?:{targets}):.*\n(?:\t.*\n)*", "", content)


def main(arguments: Sequence[str] | None = None) -> int:
    """Raises `DeployError`."""
    parser = Parser(prog="python -m tools.template", description="Make the application template.")
    parser.add_argument("target", type=Path, help="a new folder")
    parser.add_argument(
        "--home-page", metavar="URL", help="the publisher's own page, an https address"
    )
    options = parser.parse_args(arguments)
    assemble(options.target, home_page=options.home_page)
    show(
        f"{options.target} is ready: use it with s init --uri, or publish it with s registry publish."
    )
    return 0


if __name__ == "__main__":
    sys.exit(run("make template", main))
