"""Fixtures of the local CDN."""

from __future__ import annotations

from tests.signer.emulator.oss.conftest import live_cloud as live_cloud
