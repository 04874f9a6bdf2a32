"""docs/performance.md starts from the files that are deployed."""

from __future__ import annotations

import pytest
import yaml

from tests.deploy.project_copy import ROOT

PAGE = (ROOT / "docs/performance.md").read_text("utf-8")


@pytest.mark.shipped_files
def test_it_starts_from_the_shipped_files() -> None:
    built_in = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["resources"]["links_http"]["props"]
    custom_file = ROOT / "deploy/custom-runtime/s.yaml"
    custom = yaml.safe_load(custom_file.read_text("utf-8"))["resources"]["links_traffic"]["props"]
    for props, price in ((built_in, "(0.35 + 0.5 * 0.15 + 0.5 * 0.05)"), (custom, "(1 + 1 * 0.15 + 0.5 * 0.05)")):
        sizes = (props["cpu"], props["memorySize"] / 1024, props["diskSize"] / 1024)
        assert price == "({:g} + {:g} * 0.15 + {:g} * 0.05)".format(*sizes)
        assert price in PAGE
    *_, prod = yaml.safe_load((ROOT / "env.yaml").read_text("utf-8"))["environments"]
    reserved = prod["overlays"]["resources"]["links_http"]["concurrencyConfig"]["reservedConcurrency"]
    assert f"as in `env.yaml`: {reserved}, one request at a time | {reserved} / (" in PAGE
    assert f"`instanceConcurrency` of {custom['instanceConcurrency']} |" in PAGE
