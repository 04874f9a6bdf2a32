"""DVC keeps its files in OSS: dvc-oss, whose aiooss2 0.2 needs aiohttp below 3.10."""

import os
import shutil
import subprocess
import sys


def test_push_and_pull(aliyun_oss, tmp_path):
    # DVC asks the internet for its newest version, and reports its use, unless it must not.
    variables = {**os.environ, "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}

    def dvc(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    files = {f"{number}.txt": f"{number}\n" for number in range(30)}
    data = tmp_path / "data"
    data.mkdir()
    for name, content in files.items():
        (data / name).write_text(content)
    config = tmp_path / ".dvc" / "config"
    config.parent.mkdir()
    config.write_text(f"""\
[core]
    analytics = false
    check_update = false
    no_scm = true
    remote = store
['remote "store"']
    url = oss://{aliyun_oss.bucket}/dvc
    oss_endpoint = {aliyun_oss.url}
    oss_key_id = {aliyun_oss.credentials.access_key_id}
    oss_key_secret = {aliyun_oss.credentials.access_key_secret}
""")
    dvc("add", "--quiet", "data")
    assert "31 files pushed" in dvc("push")
    assert "in sync" in dvc("status", "--cloud")
    shutil.rmtree(data)
    shutil.rmtree(config.with_name("cache"))
    dvc("pull")
    assert {path.name: path.read_text() for path in data.iterdir()} == files
