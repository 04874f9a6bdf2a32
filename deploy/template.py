"""`python -m deploy.template FOLDER`: the application template, a package that `s init --uri FOLDER` reads.

`s init` fills in `s.yaml` alone, and validates nothing. So what a person chooses stands in `s.yaml` as `{{ name }}`,
reaches `links.toml` as a variable of the environment, and is checked by the build.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .checks.secrets import leak_in
from .errors import DeployError

ROOT = Path(__file__).parent.parent
SHIPPED = (
    *("handler", "signer", "local", "deploy", "docs"),
    *("Makefile", "pyproject.toml", "requirements.txt", "README*.md", "LICENSE", "links.toml", "s.yaml", ".gitignore"),
)
# The folder that the repository's own files have as an example.
EXAMPLE = "exampledir"
PARAMETERS = {"region": "region", "bucket": "bucket", "role": "role", "log_project": "logProject"}


def assemble(target: Path, root: Path = ROOT) -> None:
    """Writes the package into `target`, which must not hold anything. Raises `DeployError`."""
    if target.exists() and any(target.iterdir()):
        raise DeployError(f"{target} is not empty: name a new folder.")
    shutil.copytree(root / "deploy/application", target, dirs_exist_ok=True)
    source = target / "src"
    source.mkdir()
    for pattern in SHIPPED:
        for path in sorted(root.glob(pattern)):
            if path.is_dir():
                shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(path, source)
    _rewrite(source / "s.yaml", s_yaml)
    _rewrite(source / "links.toml", links_toml)
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix in (".py", ".toml", ".yaml", ".json", ".md"):
            leak = leak_in(path.read_text(encoding="utf-8", errors="replace"))
            if leak:
                raise DeployError(f"{path.relative_to(source)} holds what looks like {leak}: take it out.")


def s_yaml(text: str) -> str:
    """The project's `s.yaml` with the parameters in the places of its examples."""
    head, resources, functions = text.partition("\nresources:\n")
    for name, parameter in PARAMETERS.items():
        head, found = re.subn(rf"(?m)^  {name}: .*$", f'  {name}: "{{{{ {parameter} }}}}"', head)
        if found != 1:
            raise DeployError(f"s.yaml has no {name} in its vars: the template cannot take it.")
    head = re.sub(r"(?m)^(#.*\n)?env: .*\n", "", head)
    head = head.replace("access: default", 'access: "{{ access }}"')
    functions = re.sub(r"functionName: links-(\w+)", r'functionName: "{{ functionPrefix }}-\1"', functions)
    functions = re.sub(
        r"(?m)^( +)LINK_BUCKET: .*$", lambda found: f'{found[0]}\n{found[1]}LINK_FOLDER: "{{{{ folder }}}}"', functions
    )
    return head + resources + functions


def links_toml(text: str) -> str:
    """The project's `links.toml` with the chosen folder in the place of its example."""
    if f"/{EXAMPLE}/" not in text:
        raise DeployError(f"links.toml mounts no {EXAMPLE}: the template cannot put a chosen folder in its place.")
    return text.replace(f"/{EXAMPLE}/", "/${LINK_FOLDER}/")


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Assembles it; the exit status is 1 with the reason where that fails."""
    parser = argparse.ArgumentParser(prog="python -m deploy.template", description="Makes the application template.")
    parser.add_argument("target", type=Path, help="a new folder")
    options = parser.parse_args(arguments)
    try:
        assemble(options.target)
    except DeployError as error:
        print(f"make template: {error}", file=sys.stderr)
        return 1
    print(f"{options.target} is ready: s init --uri takes a copy of it, s registry publish publishes it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
