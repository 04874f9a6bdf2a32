"""What the deploy tools refuse: one sentence for the person who deploys."""

from __future__ import annotations


class DeployError(Exception):
    """The base of all refusals of this package; the text says what to do next."""
