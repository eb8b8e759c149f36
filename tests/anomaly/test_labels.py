"""A file of inspections is read, or refused in one sentence that names the line."""

from pathlib import Path

import pytest

from meterlake.anomaly.labels import TooFewInspections, read, require_enough
from meterlake.cli import main
from meterlake.errors import InputError

HEAD = "meter_id,date,theft\n"


def file_of(folder: Path, text: str) -> Path:
    file = folder / "labels.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_inspections_in_order_and_each_once(tmp_path: Path) -> None:
    lines = "b,2024-03-01,no\na, 2024-02-01 ,YES\na,2024-01-31,0\na,2024-02-01,true\n007,1970-01-02,1\n"
    found = read(file_of(tmp_path, "\ufeff" + HEAD + lines))
    assert found.meter.tolist() == ["007", "a", "a", "b"]
    assert found.day.tolist() == [1, 19753, 19754, 19783]
    assert found.theft.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "cannot be read", id="empty"),
        pytest.param("meter,date,theft\na,2024-01-31,yes\n", "has no column meter_id;", id="another_column"),
        pytest.param("a;b\n1;2\n", "has no column meter_id, date, theft;", id="another_separator"),
        pytest.param(
            HEAD + "a,2024-01-31,yes\nb,31/01/2024,no\n", r"line 3 is no inspection \(b, 31/01/2024, no\)", id="date"
        ),
        pytest.param(HEAD + "a,2024-01-31,maybe\n", r"line 2 is no inspection \(a, 2024-01-31, maybe\)", id="result"),
        pytest.param(HEAD + ",2024-01-31,yes\n", "line 2 is no inspection", id="no_meter"),
        pytest.param(
            HEAD + "a,2024-01-31,yes\na,2024-01-31,no\n", "says yes and no of meter a on 2024-01-31", id="both"
        ),
    ],
)
def test_what_is_no_inspection_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(file_of(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.csv")


def test_too_few_of_one_kind(tmp_path: Path) -> None:
    many = "".join(f"m{number},2024-01-31,{'yes' if number < 19 else 'no'}\n" for number in range(200))
    with pytest.raises(TooFewInspections, match="there are 19 and 181; inspect more meters"):
        require_enough(read(file_of(tmp_path, HEAD + many)))
    one_meter = "".join(f"a,2024-01-{day:02},yes\nb{day},2024-01-31,no\n" for day in range(1, 31))
    with pytest.raises(TooFewInspections, match="there are 1 and 30; inspect more meters"):
        require_enough(read(file_of(tmp_path, HEAD + one_meter)))


def test_the_command_refuses_before_spark_starts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    few = str(file_of(tmp_path, HEAD + "a,2024-01-31,yes\n"))
    assert main(["train", "--source", "london", "--labels", few, "--home", str(tmp_path / "home")]) == 2
    assert "Nothing can be learnt from these labels" in caplog.text
    assert main(["train", "--source", "london", "--labels", few, "--if-none", "--home", str(tmp_path / "home")]) == 2
    assert "--labels and --if-none exclude each other" in caplog.text
