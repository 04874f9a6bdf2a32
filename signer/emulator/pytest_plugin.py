"""For pytest: an OSS for each session, with a bucket for each test."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import RunningOss

# Keys and settings of whoever runs the tests, as the SDKs of OSS and Alibaba Cloud's tools read them.
_FOREIGN = ("OSS_", "ALIBABA_CLOUD_", "ALICLOUD_", "ALIYUN_")


@pytest.fixture(scope="session")
def aliyun_oss_server() -> Iterator[RunningOss]:
    """An OSS that runs for the session; the workers of pytest-xdist have one each."""
    from . import run

    with _in_one_sentence(), run() as oss:
        yield oss


@pytest.fixture
def aliyun_oss(aliyun_oss_server: RunningOss) -> Iterator[RunningOss]:
    """An OSS with a bucket of the test's own."""
    from .running import own_bucket
    from .variables import no_proxy

    with (
        _in_one_sentence(),
        pytest.MonkeyPatch.context() as patch,
        own_bucket(aliyun_oss_server) as oss,
    ):
        for name, value in no_proxy(os.environ).items():
            patch.setenv(name, value)
        yield oss


@pytest.fixture
def aliyun_oss_environment(aliyun_oss: RunningOss) -> Iterator[RunningOss]:
    """The same, with the variables that the SDKs read, and without those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_FOREIGN):
                patch.delenv(name)
        for name, value in aliyun_oss.environment.items():
            patch.setenv(name, value)
        yield aliyun_oss


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A fault that was not used fails the test itself, unless something else did."""
    oss = getattr(item, "funcargs", {}).get("aliyun_oss")
    if oss is None:
        return (yield)
    from .running import check_unused

    with _in_one_sentence():
        try:
            result = yield
        except BaseException:
            oss.forget_unused()
            raise
        check_unused(oss)
    return result


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    from . import EmulatorError

    try:
        yield
    except EmulatorError as error:
        # As pytest.fail raises it, without the error itself, which pytest would show, too.
        raise pytest.fail.Exception(str(error), pytrace=False) from None
