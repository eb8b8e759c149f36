"""The lock and the command line's answers to what is wrong."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pytest
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from meterlake import cli
from meterlake.errors import HomeBusy
from meterlake.run import Done, Outcome, holding, told
from meterlake.settings import PROJECT, Settings

HOLD = """
import sys, time
from pathlib import Path
from meterlake.run import holding
from meterlake.settings import load
with holding(load(home=Path(sys.argv[1]))):
    print('held', flush=True)
    time.sleep(60)
"""


def test_a_second_run_on_a_home_says_so_and_a_killed_one_frees_it(settings: Settings) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(settings.home)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(HomeBusy, match=f"is in use by process {first.pid} since"), holding(settings):
            pass
    finally:
        first.kill()
        first.wait()
    with holding(settings):
        pass


def said(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, *arguments: str) -> tuple[int, str]:
    code = cli.main(list(arguments))
    return code, caplog.text + capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(["run", "--source", "gas", "--input", "x"], 2, "No source is called 'gas'", id="unknown_source"),
        pytest.param(["run", "--source", "ami", "--input", "/nowhere"], 2, "/nowhere: no file is there", id="no_input"),
        pytest.param(["run", "--source", "/no.toml", "--input", "x"], 2, "/no.toml cannot be read", id="no_toml"),
        pytest.param(["status", "--conf", "/no.toml"], 2, "/no.toml cannot be read", id="no_conf"),
    ],
)
def test_bad_usage_is_one_sentence(
    arguments: list[str],
    code: int,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    found, text = said(capsys, caplog, *arguments, "--home", str(tmp_path))
    assert found == code
    assert sentence in text
    assert "Traceback" not in text


def test_a_home_that_cannot_be_made_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    data = tmp_path / "data.csv"
    data.write_text("meter_id,timestamp,consumption_kwh\n")
    code, text = said(capsys, caplog, "run", "--source", "ami", "--input", str(data), "--home", str(file))
    assert code == 3
    assert f"{file} cannot be made" in text
    assert "--home" in text


def test_a_full_disk_is_told_and_leaves_nothing_half_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Writing to /dev/full fails as writing to a full disk does."""
    (tmp_path / "stores.tmp").symlink_to("/dev/full")
    code, text = said(capsys, caplog, "stores", "start", "--home", str(tmp_path))
    assert code == 3
    assert re.search(rf"The disk is full \([\d,.]+ MB are left for {re.escape(str(tmp_path))}\); free some space", text)
    assert "Traceback" not in text
    assert not (tmp_path / "stores.json").exists()


def test_a_password_is_whole_or_not_there(settings: Settings) -> None:
    scratch = settings.folder("secrets") / f".postgres_etl.{os.getpid()}"
    scratch.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        settings.secret("postgres_etl")
    scratch.unlink()
    password = settings.secret("postgres_etl")
    assert len(password) > 20
    assert settings.secret("postgres_etl") == password
    assert [file.name for file in scratch.parent.iterdir()] == ["postgres_etl"]
    assert (scratch.parent / "postgres_etl").stat().st_mode & 0o777 == 0o600


def test_who_asks_for_a_missing_password_at_once_gets_the_same(settings: Settings) -> None:
    """The first publication asks for the key of pseudonyms from a thread of each store."""

    def asked(name: str, begin: Barrier) -> str:
        begin.wait()
        return settings.secret(name)

    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            assert len(set(pool.map(asked, [f"key_{number}"] * 8, [Barrier(8)] * 8))) == 1


@pytest.mark.parametrize(
    ("reported", "sentence"),
    [
        pytest.param("[Errno 28] No space left on device", "The disk is full", id="python"),
        pytest.param("java.io.IOException: No space left on device\n\tat java.base/...", "The disk is full", id="java"),
        pytest.param("[Errno 122] Disk quota exceeded", "The disk is full", id="quota"),
        pytest.param("[Errno 30] Read-only file system: 'x'", "choose another --home", id="read_only"),
        pytest.param("x (Permission denied)", "choose another --home", id="not_ours"),
    ],
)
def test_what_the_file_system_says_is_one_sentence(reported: str, sentence: str, settings: Settings) -> None:
    known = cli._unexpected(OSError(reported), settings)
    assert known.exit_code == 3
    assert sentence in str(known)
    assert "\n" not in str(known)


def test_an_error_of_a_task_is_told_by_the_end_of_its_trace(spark: SparkSession, settings: Settings) -> None:
    def refuses(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            raise KeyError("x")
        except KeyError as error:
            raise ValueError("no such mart\nin this store") from error
        yield from batches

    with pytest.raises(PythonException) as raised:
        spark.range(1).mapInArrow(refuses, "id long").collect()
    told = str(cli._unexpected(raised.value, settings))
    assert told == "PythonException: ValueError: no such mart (run again with --debug for the whole story)"


def test_a_wrong_value_is_blamed_on_where_it_stands(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conf = tmp_path / "mine.toml"
    conf.write_text("[model]\ntrees = 'many'\n")
    code, text = said(capsys, caplog, "sources", "--conf", str(conf))
    assert (code, f"{conf}: model.trees: " in text) == (2, True)
    monkeypatch.setenv("METERLAKE_MODEL_TREES", "several")
    code, text = said(capsys, caplog, "sources", "--conf", str(conf))
    assert (code, "METERLAKE_MODEL_TREES: model.trees: " in text, "(got 'several')" in text) == (2, True, True)


def test_help_does_without_spark() -> None:
    code = (
        "import sys; from meterlake.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: sys.exit('pyspark' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "lib")}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=environment, capture_output=True)
    assert done.returncode == 0


def test_sources_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sources"]) == 0
    assert "household_power" in capsys.readouterr().out


def test_an_unknown_command_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["fly"])
    assert ended.value.code == 2


def test_status_is_json(spark: object, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--json", "--home", str(settings.home)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"tables", "runs", "ledger", "gates", "stores"}


def test_a_finished_step_is_told_in_a_line() -> None:
    said = [
        told(Done("report", 2.0, outcome))
        for outcome in (Outcome(4, 8), Outcome(marked=False), Outcome(nothing_new=True))
    ]
    assert said == ["4 rows in, 8 out, 2.0 s (4/s)", "made (2.0 s)", "nothing new (2.0 s)"]
