"""The regions of OSS, to tell a misspelt one from a new one. Source: the OSS page "Regions and endpoints"."""

from __future__ import annotations

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
_MAX_EDITS = 2


def closest_region(region: str) -> str | None:
    """The known region that differs from `region` in at most two letters (added, removed or replaced), None if none."""
    distance, closest = min((_edits(region, known), known) for known in KNOWN_REGIONS)
    return closest if distance <= _MAX_EDITS else None


def _edits(left: str, right: str) -> int:
    """The Levenshtein distance of two strings."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
