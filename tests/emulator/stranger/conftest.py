import alibabacloud_oss_v2 as oss
import oss2
import pytest


@pytest.fixture
def bucket(aliyun_oss):
    key = aliyun_oss.credentials
    auth = oss2.AuthV4(key.access_key_id, key.access_key_secret)
    return oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket, region=aliyun_oss.region)


@pytest.fixture
def config(aliyun_oss_environment):
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.EnvironmentVariableCredentialsProvider()
    config.region = aliyun_oss_environment.region
    config.endpoint = aliyun_oss_environment.url
    return config


@pytest.fixture
def client(config):
    return oss.Client(config)
