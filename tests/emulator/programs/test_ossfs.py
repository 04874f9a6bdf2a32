"""pandas, pyarrow and fsspec, which reach OSS through ossfs."""

import gzip

import ossfs
import pandas
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest


@pytest.fixture
def options(aliyun_oss):
    key = aliyun_oss.credentials
    return {
        "endpoint": aliyun_oss.url,
        "key": key.access_key_id,
        "secret": key.access_key_secret,
    }


@pytest.fixture
def files(options):
    return ossfs.OSSFileSystem(**options, skip_instance_cache=True)


@pytest.fixture
def folder(aliyun_oss):
    return f"{aliyun_oss.bucket}/data"


@pytest.fixture
def frame():
    return pandas.DataFrame({"year": [2025, 2026], "amount": [1.5, 2.5]})


def test_parquet(frame, folder, options):
    frame.to_parquet(f"oss://{folder}/a.parquet", storage_options=options)
    assert pandas.read_parquet(f"oss://{folder}/a.parquet", storage_options=options).equals(frame)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv(name, frame, folder, options):
    frame.to_csv(f"oss://{folder}/{name}", index=False, storage_options=options)
    assert pandas.read_csv(f"oss://{folder}/{name}", storage_options=options).equals(frame)


def test_json_lines(frame, folder, options):
    path = f"oss://{folder}/a.jsonl"
    frame.to_json(path, orient="records", lines=True, storage_options=options)
    assert pandas.read_json(path, lines=True, storage_options=options).equals(frame)


def test_a_dataset_of_pyarrow(frame, files, folder):
    table = pyarrow.Table.from_pandas(frame)
    pyarrow.parquet.write_to_dataset(table, folder, partition_cols=["year"], filesystem=files)
    dataset = pyarrow.dataset.dataset(folder, filesystem=files, partitioning="hive")
    assert dataset.to_table(filter=pyarrow.dataset.field("year") == 2026).num_rows == 1


def test_open_to_write_and_read(files, folder):
    with files.open(f"{folder}/a.bin", "wb") as file:
        file.write(b"figures")
    with files.open(f"{folder}/a.bin", "rb") as file:
        file.seek(3)
        assert file.read() == b"ures"


def test_open_to_append(files, folder):
    for line in (b"one\n", b"two\n"):
        with files.open(f"{folder}/log", "ab") as file:
            file.write(line)
    assert files.cat(f"{folder}/log") == b"one\ntwo\n"


def test_gzip(files, folder):
    with files.open(f"{folder}/a.gz", "wb", compression="gzip") as file:
        file.write(b"figures")
    assert gzip.decompress(files.cat(f"{folder}/a.gz")) == b"figures"


def test_names(files, folder):
    files.pipe(f"{folder}/a", b"figures")
    files.touch(f"{folder}/b")
    assert files.exists(f"{folder}/a")
    assert not files.exists(f"{folder}/c")
    assert files.info(f"{folder}/a")["size"] == 7
    assert [path.rpartition("/")[2] for path in files.ls(folder, detail=False)] == ["a", "b"]
    assert len(files.glob(f"{folder}/*")) == 2


def test_copies(files, folder):
    files.pipe(f"{folder}/a", b"figures")
    files.cp(f"{folder}/a", f"{folder}/b")
    files.mv(f"{folder}/b", f"{folder}/c")
    files.rm(f"{folder}/a")
    assert [path.rpartition("/")[2] for path in files.find(folder)] == ["c"]


def test_transfers(files, folder, tmp_path):
    (tmp_path / "a").write_bytes(b"figures")
    files.put(str(tmp_path / "a"), f"{folder}/a")
    files.get(f"{folder}/a", str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"figures"


def test_above_5_mb_several_writes_fail_by_a_fault_of_ossfs(files, folder):
    """It counts its position twice (fsspec/ossfs#60 and #127). OSS refuses that, too."""

    def write():
        with files.open(f"{folder}/large", "wb") as file:
            for _ in range(3):
                file.write(b"0" * 6_000_000)

    with pytest.raises(Exception, match="PositionNotEqualToLength"):
        write()
