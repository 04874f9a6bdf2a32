"""The page of links that `bulk` writes, and the command that `form` prints, as people use them."""

from __future__ import annotations
