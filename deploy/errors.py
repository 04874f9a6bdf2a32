"""The error that every command of this package reports."""

from __future__ import annotations


class DeployError(Exception):
    """Its message says what is wrong and what to do next."""
