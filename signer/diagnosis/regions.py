"""The regions of OSS, to tell a misspelt one from a new one. Source: the OSS page "Regions and endpoints"."""

from __future__ import annotations

import re
from difflib import get_close_matches

KNOWN_REGIONS = (
    # Chinese mainland and Hong Kong
    "cn-beijing",
    "cn-chengdu",
    "cn-fuzhou",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-heyuan",
    "cn-heyuan-acdr-1",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-nanjing",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shenzhen",
    "cn-wuhan-lr",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "cn-zhongwei",
    "rg-china-mainland",
    # Asia Pacific
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ap-southeast-8",
    # Europe, America and the Middle East
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "me-central-1",
    "me-east-1",
    "na-south-1",
    "sa-east-1",
    "us-east-1",
    "us-west-1",
    # finance and government
    "cn-beijing-finance-1",
    "cn-hangzhou-finance",
    "cn-north-2-gov-1",
    "cn-shanghai-finance-1",
    "cn-shenzhen-finance-1",
)


def closest_region(region: str) -> str | None:
    """The known region that `region` is most probably a misspelling of, None if it is like none of them."""
    # Enough for two wrong letters in the shortest names.
    return next(iter(get_close_matches(region, KNOWN_REGIONS, 1, 0.77)), None)


def is_region(name: str) -> bool:
    """Whether it is spelt as a region; any other may be a piece of a secret."""
    return re.fullmatch(r"(?!.*[0-9a-f]{16})[a-z]{2}-[a-z0-9-]{1,30}", name) is not None
