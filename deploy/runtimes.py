"""The runtimes of Function Compute that a package can be built for, and their requirements and locks.

Source: the Function Compute pages on built-in and custom runtimes (Debian release, Python version, path).
"""

from __future__ import annotations

from dataclasses import dataclass

APP = "handler.asgi:app"  # of uvicorn, in a custom runtime
# Wheels that run on Debian 10 (glibc 2.28) and on everything newer. pip matches each tag exactly.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

# Where the page on Python runtimes offers python3.12, in its order, and calls it no preview since that date: 9 regions
# of China, Tokyo, Bangkok, Seoul, Frankfurt, London, Virginia and Silicon Valley.
PAGE_DATE = "2026-10-26"
PYTHON_3_12_REGIONS = (
    "cn-hangzhou",
    "cn-shanghai",
    "cn-qingdao",
    "cn-beijing",
    "cn-zhangjiakou",
    "cn-huhehaote",
    "cn-shenzhen",
    "cn-chengdu",
    "cn-hongkong",
    "ap-northeast-1",
    "ap-southeast-7",
    "ap-northeast-2",
    "eu-central-1",
    "eu-west-1",
    "us-east-1",
    "us-west-1",
)


@dataclass(frozen=True)
class Runtime:
    """`name` is as in `s.yaml`; `python` is its version, such as 3.10. A custom runtime brings its own server."""

    name: str
    python: str
    custom: bool = False

    @property
    def requirements(self) -> tuple[str, ...]:
        return ("requirements.txt", *(["deploy/requirements/custom.txt"] if self.custom else []))

    @property
    def lock(self) -> str:
        return f"deploy/requirements/{'custom-' if self.custom else ''}{self.python}.lock"


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("python3.10", "3.10"),
        Runtime("python3.12", "3.12"),
        Runtime("custom.debian10", "3.10", custom=True),
        Runtime("custom.debian11", "3.12", custom=True),
    )
}
