"""Files, folders, globs and dated names."""

import os
from datetime import date
from pathlib import Path

import pytest

from meterlake.errors import InputError
from meterlake.sources.ami import AMI
from meterlake.sources.delivery import bytes_of, files_of, meter_named_by
from meterlake.sources.inspect import inspect


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.csv", "a 2024-01-01.csv", "sub/c_20240102.csv", ".hidden.csv", "_SUCCESS", "_temporary/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def named(paths: list[str]) -> list[str]:
    return [path.rsplit("/", 1)[-1] for path in paths]


def test_a_folder_gives_its_visible_files_in_order(folder: Path) -> None:
    assert named(files_of(str(folder))) == ["a 2024-01-01.csv", "b.csv", "c_20240102.csv"]


def test_a_glob_and_a_file(folder: Path) -> None:
    assert named(files_of(str(folder / "*.csv"))) == [".hidden.csv", "a 2024-01-01.csv", "b.csv"]
    assert named(files_of(str(folder / "b.csv"))) == ["b.csv"]


def test_a_period_leaves_out_files_dated_otherwise(folder: Path) -> None:
    day = date(2024, 1, 2)
    assert named(files_of(str(folder), day, day)) == ["b.csv", "c_20240102.csv"]


def test_a_delivery_has_a_size(folder: Path) -> None:
    (folder / "b.csv").write_text("twelve bytes")
    paths = files_of(str(folder))
    assert bytes_of(paths) == 14
    (folder / "b.csv").unlink()
    assert bytes_of(paths) == 2


def test_a_name_that_is_no_utf8_is_told_and_stops_no_other(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.csv"))).write_text("x")
    paths = files_of(str(folder))
    assert "b\\udcff.csv" in named(paths)
    assert bytes_of(paths) == 3
    [refused] = [seen for seen in (inspect(path, AMI) for path in paths) if "UTF-8" in str(seen.problem)]
    assert (refused.problem, refused.remedy) == ("has a name that is not UTF-8", "rename it")


def test_a_missing_path_and_an_empty_period_are_told(folder: Path) -> None:
    with pytest.raises(InputError, match="no file is there; check the path"):
        files_of(str(folder / "nowhere"))
    with pytest.raises(InputError, match="none of its 1 files is dated 2025-01-01"):
        files_of(str(folder / "sub"), date(2025, 1, 1))


@pytest.mark.parametrize(("path", "meter"), [("/x/M 1.csv", "M 1"), ("/x/m.2.csv.gz", "m.2"), ("s3a://b/m3", "m3")])
def test_a_file_names_its_meter(path: str, meter: str) -> None:
    assert meter_named_by(path) == meter
