"""What a mount opens to everyone, or to nobody."""

from __future__ import annotations

from pathlib import Path

from deploy.checks import links_toml
from tests.deploy.checks import shipped


def warnings(folder: Path, mount: str) -> list[str]:
    """Of the repository's links.toml with one more mount."""
    table = f"""
[[mount]]
path   = "/more/"
target = "oss://${{LINK_BUCKET}}/more/"
{mount}
"""
    return list(links_toml.warnings(shipped.with_more(shipped.web(), folder, table)))


def test_an_anonymous_mount_that_takes_files_is_a_warning(tmp_path: Path) -> None:
    uploads = 'methods  = ["GET", "PUT"]\nmax_size = "1MB"'
    assert warnings(tmp_path, uploads) == []
    assert warnings(tmp_path, f'{uploads}\naccess = "anonymous"') == [
        "links.toml: GET, PUT on the anonymous mount /more/ lets everyone store files in your bucket at your cost: "
        'remove access = "anonymous", unless you want that.'
    ]


def test_an_endpoint_without_tls_is_a_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, 'endpoint = "https://static.example.com"') == []
    assert warnings(tmp_path, 'endpoint = "http://static.example.com"') == [
        "links.toml: the endpoint of /more/ begins with http, so links and files travel in clear text: write https://…"
    ]


def test_an_anonymous_mount_that_only_its_region_reaches_is_a_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, 'endpoint = "internal"') == []
    assert warnings(tmp_path, 'endpoint = "internal"\naccess = "anonymous"') == [
        'links.toml: the anonymous mount /more/ has endpoint = "internal", whose links nobody outside the region can '
        "open."
    ]
