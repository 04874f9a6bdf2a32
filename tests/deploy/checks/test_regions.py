"""A function, its bucket and what it calls are in one region."""

from __future__ import annotations

from pathlib import Path

from deploy.checks import functions, regions
from deploy.runtimes import PYTHON_3_12_REGIONS
from tests.deploy.checks import shipped


def test_each_region_that_is_not_the_functions_own_is_a_fault() -> None:
    props = shipped.events()
    props["region"] = "cn-shanghai"
    props["environmentVariables"]["LINK_REGION"] = "cn-beijing"
    after = {"destination": "acs:fc:cn-beijing:${config('AccountID')}:functions/after"}
    props["asyncInvokeConfig"]["destinationConfig"]["onSuccess"] = after
    assert list(regions.faults(shipped.read(props))) == [
        "environmentVariables.LINK_REGION is cn-beijing, but region is cn-shanghai: they must be equal.",
        "trigger outbox: sourceArn is in cn-hangzhou, but the function is in cn-shanghai: they must be in one region.",
        "trigger inbox: sourceArn is in cn-hangzhou, but the function is in cn-shanghai: they must be in one region.",
        "asyncInvokeConfig.destinationConfig.onFailure is in cn-hangzhou, but the function is in cn-shanghai: they "
        "must be in one region.",
        "asyncInvokeConfig.destinationConfig.onSuccess is in cn-beijing, but the function is in cn-shanghai: they "
        "must be in one region.",
    ]
    # Both sentences would have one cause.
    assert list(regions.config_faults(shipped.configured(props))) == []


def test_python_3_12_is_a_warning_where_the_vendors_page_did_not_list_the_region() -> None:
    warned = (
        "runtime python3.12 is not offered in ap-southeast-1, said Function Compute's page of 2026-10-26: see whether "
        "it is by now, or choose python3.10."
    )
    assert len(set(PYTHON_3_12_REGIONS)) == 16
    for region in (PYTHON_3_12_REGIONS[0], "ap-southeast-1"):
        for runtime in ("python3.10", "python3.12"):
            props = {**shipped.web(), "runtime": runtime, "region": region}
            assert list(functions.faults(shipped.read(props))) == []
            is_warned = (runtime, region) == ("python3.12", "ap-southeast-1")
            sentences = [
                each
                for each in regions.warnings(shipped.configured(props))
                if "mainland" not in each
            ]
            assert sentences == ([warned] if is_warned else [])


def test_a_bucket_and_a_log_project_are_in_one_region() -> None:
    here, there = shipped.events(), shipped.events()
    assert list(regions.across([shipped.configured(here), shipped.configured(there)])) == []
    there["region"] = there["environmentVariables"]["LINK_REGION"] = "cn-shanghai"
    assert list(
        regions.across(
            [shipped.configured(here), shipped.configured(there), shipped.configured(here)]
        )
    ) == [
        f"{thing} is used in cn-hangzhou and in cn-shanghai: it is in one region, so name another one."
        for thing in ("bucket examplebucket", "log project example-logs")
    ]
    there["environmentVariables"]["LINK_BUCKET"] = "other"
    there["logConfig"]["project"] = "other-logs"
    there["triggers"], there["logConfig"] = [], "auto"
    assert list(regions.across([shipped.configured(here), shipped.configured(there)])) == []


def test_a_region_that_links_toml_names_itself_is_a_fault(tmp_path: Path) -> None:
    props = shipped.web()
    links = 'region = "cn-shanghai"\n[[mount]]\npath = "/a/"\ntarget = "oss://mine/a/"\n'
    (tmp_path / "links.toml").write_text(links, encoding="utf-8")
    assert list(regions.config_faults(shipped.configured(props, tmp_path))) == [
        "links.toml: region is cn-shanghai, but the function is in cn-hangzhou: write ${LINK_REGION}."
    ]
