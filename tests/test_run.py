"""The lock and the command line's answers to what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meterlake import cli
from meterlake.errors import HomeBusy
from meterlake.run import holding
from meterlake.settings import Settings

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
