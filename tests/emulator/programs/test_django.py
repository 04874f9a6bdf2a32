"""The files of a Django project, with django-oss-storage-v2."""

import django
import pytest
import requests
from django.conf import settings
from django.core.files.base import ContentFile


@pytest.fixture
def storage(aliyun_oss_environment, monkeypatch):
    monkeypatch.setenv("OSS_BUCKET_NAME", aliyun_oss_environment.bucket)
    if not settings.configured:
        settings.configure(MEDIA_ROOT="/media/", USE_TZ=True)
        django.setup()
    from django_oss_storage.backends import OssMediaStorage

    return OssMediaStorage()


def test_a_file(storage):
    assert storage.save("reports/q3.txt", ContentFile(b"figures")) == "reports/q3.txt"
    assert storage.exists("reports/q3.txt")
    assert not storage.exists("missing")
    assert storage.size("reports/q3.txt") == 7
    assert storage.open("reports/q3.txt").read() == b"figures"
    assert storage.content_type("reports/q3.txt") == "text/plain"
    storage.delete("reports/q3.txt")
    assert not storage.exists("reports/q3.txt")


def test_folders(storage):
    for name in ("a.txt", "reports/b.txt"):
        storage.save(name, ContentFile(b"figures"))
    assert storage.listdir(".") == (["media/reports/"], ["media/a.txt"])


def test_a_link(storage):
    storage.save("a.txt", ContentFile(b"figures"))
    assert requests.get(storage.url("a.txt"), timeout=10).content == b"figures"
