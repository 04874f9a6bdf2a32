"""The QR code of a page's address, which the page loads when a reader opens it: few do."""

from __future__ import annotations

from io import BytesIO

import segno


def qr_code(address: str) -> str:
    """An SVG document, dark on white."""
    document = BytesIO()
    segno.make(address, error="l", micro=False).save(
        document, kind="svg", border=4, dark="#000000", light="#ffffff", omitsize=True, xmldecl=False, nl=False
    )
    return document.getvalue().decode()
