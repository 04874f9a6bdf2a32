"""`python -m deploy.build [s.yaml]`: builds the package that is deployed, without Docker.

The function's own modules, `links.toml` and the locked requirements for the runtime in `s.yaml` go into the folder of
its `code:` (`build/code`) and into a zip file beside it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.fc import s_yaml
from signer.common.printing import Parser, show

from .checks import sharing
from .command import reason, run
from .errors import DeployError
from .model import Project, is_built
from .package import archive, contents, interpreters, vendor
from .runtimes import RUNTIMES, Runtime


@dataclass(frozen=True)
class Plan:
    """What `s.yaml` asks for: one runtime, one folder, and the link configurations that its functions read."""

    root: Path
    runtime: Runtime
    code: Path
    link_files: tuple[str, ...]


@dataclass(frozen=True)
class Package:
    """`size` is the zip file's, in bytes; `interpreter` compiled the modules, None if there is no bytecode."""

    code: Path
    zip: Path
    size: int
    sha256: str
    parts: Mapping[str, int]
    interpreter: Path | None


def plan(config: Path) -> Plan:
    """Reads and checks what is to be built. Raises `DeployError`."""
    try:
        # The laptop's reader: a machine that only builds has no Serverless Devs.
        project = Project.load(config, lambda path, _: s_yaml.load(path, os.environ), base=True)
    except LocalError as error:
        raise DeployError(str(error)) from None
    functions = []
    files = set()
    for resource in project.environments[0].resources:
        if resource.function is None or resource.configured is None:
            raise DeployError(" ".join(resource.faults) or resource.config_fault)
        functions.append(resource.function)
        files.add(resource.configured.file)
    for sentence in sharing.package(functions):
        raise DeployError(f"{config.name}: {sentence}")
    runtime = functions[0].runtime
    package = functions[0].package
    if not is_built(project.root, config, package):
        raise DeployError(
            f"{config.name}: code must be a folder below build/, such as ./build/code (got {package})."
        )
    if runtime not in RUNTIMES:
        raise DeployError(
            f"runtime {runtime} is not supported: choose one of {', '.join(RUNTIMES)}."
        )
    for name in files:
        if Path(name).name != name or not name.endswith(".toml"):
            raise DeployError(f"LINK_CONFIG must be a .toml file beside links.toml (got {name}).")
    code = (config.resolve().parent / package).resolve()
    return Plan(project.root, RUNTIMES[runtime], code, tuple(sorted(files)))


def build(planned: Plan) -> Package:
    """Builds and checks the package, and only then replaces the one before. Raises `DeployError`."""
    root = planned.root
    runtime = planned.runtime
    vendor.require_lock(root, runtime)
    requirements = vendor.requirements(root, runtime)
    interpreter = interpreters.find(runtime.python)
    planned.code.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=planned.code.parent, prefix=".building-") as temporary:
        folder = Path(temporary, "code")
        vendor.install(root / runtime.lock, runtime, folder)
        vendor.clean(folder)
        contents.copy_ours(root, folder, custom=runtime.custom)
        for name in planned.link_files:
            shutil.copyfile(root / name, folder / name)
        contents.check_package(folder, requirements)
        if interpreter:
            archive.compile_all(folder, interpreter)
        archive.normalize(folder)
        zip_file = Path(temporary, "code.zip")
        size = archive.write_zip(folder, zip_file)
        contents.check_size(size, folder)
        sha256 = hashlib.sha256(zip_file.read_bytes()).hexdigest()
        parts = contents.parts(folder)
        shutil.rmtree(planned.code, ignore_errors=True)
        folder.replace(planned.code)
        zip_file = zip_file.replace(planned.code.with_name(planned.code.name + ".zip"))
        return Package(
            code=planned.code,
            zip=zip_file,
            size=size,
            sha256=sha256,
            parts=parts,
            interpreter=interpreter,
        )


def report(planned: Plan, package: Package) -> str:
    python = planned.runtime.python
    code = (
        package.code.relative_to(Path.cwd())
        if package.code.is_relative_to(Path.cwd())
        else package.code
    )
    lines = [
        f"Built for {planned.runtime.name} (Python {python}): {code}",
        f"  {contents.megabytes(package.size)} zipped, sha256 {package.sha256}",
        *(f"  {size / 1024:8.0f} KB  {name}" for name, size in package.parts.items()),
    ]
    if package.interpreter:
        lines.append(f"Byte-compiled for Python {python}.")
    else:
        lines.append(
            f"No bytecode: Python {python} was not found on this machine. The package works, but "
            f"{archive.NO_BYTECODE}. Install Python {python} and build again."
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Raises `DeployError`."""
    parser = Parser(
        prog="python -m deploy.build", description="Build the package that is deployed."
    )
    parser.add_argument(
        "config", nargs="?", type=Path, default=Path("s.yaml"), help="the s.yaml to build for"
    )
    options = parser.parse_args(arguments)
    try:
        planned = plan(options.config)
        package = build(planned)
    except OSError as error:
        raise DeployError(f"The package cannot be written ({reason(error)}).") from None
    show(*report(planned, package).split("\n"))
    return 0


if __name__ == "__main__":
    sys.exit(run("make build", main))
