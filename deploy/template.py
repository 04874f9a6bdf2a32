"""`python -m deploy.template FOLDER`: makes the application template, a package that `s init --uri FOLDER` reads.

`s init` fills in `s.yaml` alone and validates nothing. So each choice is a `{{ name }}` in `s.yaml`, reaches
`links.toml` through an environment variable, and is validated by the build.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .checks.secrets import secret_in
from .errors import DeployError

ROOT = Path(__file__).parent.parent
SHIPPED = (
    *("handler", "signer", "local", "deploy", "docs"),
    *("Makefile", "pyproject.toml", "requirements.txt", "README*.md", "LICENSE", "links.toml", "s.yaml", ".gitignore"),
)
# The example folder in the repository's own files.
EXAMPLE = "exampledir"
PARAMETERS = {"region": "region", "bucket": "bucket", "role": "role", "log_project": "logProject"}


def assemble(target: Path, root: Path = ROOT) -> None:
    """Writes the package into `target`, which must be empty or missing. Raises `DeployError`."""
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
            secret = secret_in(path.read_text(encoding="utf-8", errors="replace"))
            if secret:
                raise DeployError(f"{path.relative_to(source)} contains what looks like {secret}: remove it.")


def s_yaml(content: str) -> str:
    """The project's `s.yaml` with parameters in place of the examples."""
    head, resources, functions = content.partition("\nresources:\n")
    for name, parameter in PARAMETERS.items():
        head, count = re.subn(rf"(?m)^  {name}: .*$", f'  {name}: "{{{{ {parameter} }}}}"', head)
        if count != 1:
            raise DeployError(f"s.yaml: vars.{name} is missing, and the template needs it.")
    head = re.sub(r"(?m)^(#.*\n)?env: .*\n", "", head)
    head = head.replace("access: default", 'access: "{{ access }}"')
    functions = re.sub(r"functionName: links-(\w+)", r'functionName: "{{ functionPrefix }}-\1"', functions)
    functions = re.sub(
        r"(?m)^( +)LINK_BUCKET: .*$", lambda match: f'{match[0]}\n{match[1]}LINK_FOLDER: "{{{{ folder }}}}"', functions
    )
    return head + resources + functions


def links_toml(content: str) -> str:
    """The project's `links.toml` with the chosen folder in place of the example."""
    if f"/{EXAMPLE}/" not in content:
        raise DeployError(f"links.toml: no mount of /{EXAMPLE}/, which the template replaces by the chosen folder.")
    return content.replace(f"/{EXAMPLE}/", "/${LINK_FOLDER}/")


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.template", description="Make the application template.")
    parser.add_argument("target", type=Path, help="a new folder")
    options = parser.parse_args(arguments)
    try:
        assemble(options.target)
    except DeployError as error:
        print(f"make template: {error}", file=sys.stderr)
        return 1
    print(f"{options.target} is ready: use it with s init --uri, or publish it with s registry publish.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
