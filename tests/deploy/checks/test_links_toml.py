"""links.toml works once deployed."""

from __future__ import annotations

from pathlib import Path

from deploy.checks import links_toml
from tests.deploy.checks import shipped


def test_shares_of_an_anonymous_mount_need_the_keys_document(tmp_path: Path) -> None:
    mount = (
        'region = "${LINK_REGION}"\n[[mount]]\npath = "/a/"\ntarget = "oss://${LINK_BUCKET}/a/"\naccess = "anonymous"\n'
    )
    path = tmp_path / "links.toml"
    path.write_text(mount, encoding="utf-8")
    assert list(links_toml.faults(shipped.configured(shipped.web(), tmp_path))) == []
    path.write_text(f'{mount}max_share = "1d"\n', encoding="utf-8")
    assert list(links_toml.faults(shipped.configured(shipped.web(), tmp_path))) == [
        "links.toml: keys is missing, so nobody can use authenticated mounts or shares (/a/): set it to "
        "oss://bucket/.links/keys.json."
    ]
