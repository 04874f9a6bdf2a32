"""`python -m tools.sbom`: every package that a lock pins, as CycloneDX JSON on standard output.

Source: the CycloneDX 1.6 JSON schema, and the package URL type pypi.
"""

import json
import re
import sys
from pathlib import Path

from signer import __version__
from signer.common.printing import Parser

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "deploy/requirements"
_PIN = re.compile(r"(?m)^([\w.-]+)==([\w.!+]+)")


def document(locks: Path = LOCKS) -> dict[str, object]:
    """The same for the same locks: it has no time and no number of its own.

    The property `lock` of a component names each file that pins it.
    """
    pinned: dict[tuple[str, str], list[str]] = {}
    for lock in sorted(locks.glob("*.lock")):
        for name, version in _PIN.findall(lock.read_text(encoding="utf-8")):
            pinned.setdefault((name, version), []).append(lock.name)
    components = []
    for (name, version), files in sorted(pinned.items()):
        address = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
        components.append(
            {
                "type": "library",
                "bom-ref": address,
                "name": name,
                "version": version,
                "purl": address,
                "properties": [{"name": "fc-presign:lock", "value": file} for file in files],
            }
        )
    ours = {
        "type": "application",
        "bom-ref": "fc-presign",
        "name": "fc-presign",
        "version": __version__,
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": ours},
        "components": components,
    }


def main(arguments: list[str] | None = None) -> int:
    Parser(prog="python -m tools.sbom", description=__doc__).parse_args(arguments)
    print(json.dumps(document(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
