"""`python -m deploy.build [s.yaml]`: the package that is deployed, with no Docker.

The function's own packages, `links.toml` and the locked requirements for the runtime that `s.yaml` names, in the
folder that its `code:` names (`build/code`), and beside that the same as a zip.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.fc import s_yaml

from . import locks
from .checks import links_toml
from .errors import DeployError
from .package import archive, bytecode, contents, interpreters, vendor
from .package.contents import Part
from .runtimes import Runtime, runtime_named


@dataclass(frozen=True)
class Plan:
    """What `s.yaml` asks for: one runtime, one folder, and the policy files that its functions read."""

    root: Path
    runtime: Runtime
    code: Path
    policies: tuple[str, ...]


@dataclass(frozen=True)
class Package:
    """What was built. `size` is the zip's in bytes; `interpreter` compiled it, None where there is no bytecode."""

    code: Path
    zip: Path
    size: int
    sha256: str
    parts: tuple[Part, ...]
    interpreter: Path | None


def plan(config: Path) -> Plan:
    """Reads what is to be built. Raises `DeployError`."""
    try:
        resources = s_yaml.load(config, os.environ)["resources"]
    except LocalError as error:
        raise DeployError(str(error)) from None
    functions = [
        entry["props"]
        for entry in resources.values()
        if isinstance(entry, dict) and str(entry.get("component")).split("@")[0] == "fc3" and entry.get("props")
    ]
    runtimes = sorted({str(props.get("runtime")) for props in functions})
    codes = sorted({str(props.get("code")) for props in functions})
    if len(runtimes) != 1 or len(codes) != 1:
        raise DeployError(
            f"{config.name} names the runtimes {', '.join(runtimes) or 'none'} and the code folders "
            f"{', '.join(codes) or 'none'}: all functions share one package, so name one of each."
        )
    root = s_yaml.project_folder(config)
    code = (config.resolve().parent / codes[0]).resolve()
    if root / "build" not in code.parents:
        raise DeployError(f"{config.name}: code is {codes[0]}: name a folder below build/, such as ./build/code.")
    environments = [props.get("environmentVariables") or {} for props in functions]
    policies = sorted({environment.get("LINK_CONFIG") or "links.toml" for environment in environments})
    for name in policies:
        if Path(name).name != name or not name.endswith(".toml"):
            raise DeployError(f"LINK_CONFIG is {name}: name a .toml file beside links.toml.")
        if not (root / name).is_file():
            raise DeployError(f"There is no {name} beside links.toml: write it, or name another in LINK_CONFIG.")
    for props in functions:
        found = links_toml.read(root, props)
        if found.policy is None:
            raise DeployError(found.sentence)
    return Plan(root, runtime_named(runtimes[0]), code, tuple(policies))


def build(planned: Plan) -> Package:
    """Builds the package, checks it, and only then puts it in its place. Raises `DeployError`."""
    root, runtime = planned.root, planned.runtime
    pins = locks.check(root, runtime)
    interpreter = interpreters.find(runtime.python)
    planned.code.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=planned.code.parent, prefix=".building-") as temporary:
        folder = Path(temporary, "code")
        brought = vendor.install(root / runtime.lock, runtime, folder)
        for name in contents.OURS:
            if (folder / name).exists():
                raise DeployError(f"A locked package brings a folder {name}, which is ours: leave it out.")
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        for name in planned.policies:
            shutil.copyfile(root / name, folder / name)
        contents.check(folder, pins, vendor.wanted(root / runtime.requirements), brought)
        if interpreter:
            bytecode.compile_all(folder, interpreter)
        archive.settle(folder)
        packed = Path(temporary, "code.zip")
        size = archive.write(folder, packed)
        contents.check_size(size, pins)
        digest = hashlib.sha256(packed.read_bytes()).hexdigest()
        parts = contents.parts(folder)
        shutil.rmtree(planned.code, ignore_errors=True)
        folder.replace(planned.code)
        return Package(
            planned.code,
            packed.replace(planned.code.with_name(planned.code.name + ".zip")),
            size,
            digest,
            tuple(parts),
            interpreter,
        )


def report(planned: Plan, package: Package) -> str:
    """What was built, for a person."""
    lines = [
        f"Built for {planned.runtime.name} (Python {planned.runtime.python}): {_shown(package.code)}",
        f"  {contents.megabytes(package.size)} zipped, sha256 {package.sha256}",
    ]
    lines += [f"  {part.size / 1024:8.0f} KB  {part.name}" for part in package.parts]
    if package.interpreter:
        lines.append(f"Byte-compiled for Python {planned.runtime.python}.")
    else:
        lines.append(
            f"Without bytecode: no Python {planned.runtime.python} starts here. It works, but {bytecode.COST}. "
            f"Install Python {planned.runtime.python} and build again."
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds; the exit status is 1 with the reason where that fails."""
    parser = argparse.ArgumentParser(prog="python -m deploy.build", description="Builds the package that is deployed.")
    parser.add_argument("config", nargs="?", type=Path, default=Path("s.yaml"), help="what is deployed")
    options = parser.parse_args(arguments)
    try:
        planned = plan(options.config)
        print(report(planned, build(planned)))
    except DeployError as error:
        print(f"make build: {error}", file=sys.stderr)
        return 1
    return 0


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
