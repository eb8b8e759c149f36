"""The plan from measured rates, by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.benchmarks import corrections
from tests.benchmarks.capacity import Asked, NoResult, Pass, cores_for, newest, of_bench, of_day, plan
from tests.benchmarks.growth import heap

MIB = 2**20
COST = {"step": "stage", "read": 10.0, "written": 20.0, "shuffled": 30.0, "spilled": 5.0}
FACTS = {"text_bytes": 100 * MIB, "costs": [COST, COST | {"step": "all"}], "tables": {"mart_x": {"bytes": 50 * MIB}}}
MEASURED = {"steps": {"start": 10.0, "stage": 50.0}, "facts": FACTS}
BENCH = {
    "commit": "abc",
    "when": "2026-11-24T00:00:00+00:00",
    "threads": 2,
    "workload": {"name": "ami-10x10-seed1", "readings": MIB},
    "rounds": {"meterlake": [MEASURED]},
}


def measured(seconds: float = 50.0) -> Pass:
    return Pass("here", 1000 * seconds, MIB, seconds, 2, FACTS)


@pytest.mark.parametrize(
    ("gain", "cores"),
    [
        pytest.param(1.0, 20, id="perfect: 10,000 readings a second at 500 a core"),
        pytest.param(0.9, 31, id="each doubling yields 1.8"),
    ],
)
def test_cores(gain: float, cores: int) -> None:
    asked = Asked(readings=10_000 * 60 * 10, minutes=10)
    found = cores_for(asked, measured(), gain)
    assert found == cores
    rates = [n * 500 * (n / 2) ** (0 if gain == 1.0 else -0.152) for n in (found - 1, found)]
    assert rates[0] < 10_000 <= rates[1] * 1.001


def test_a_doubling_that_yields_nothing_never_gets_there() -> None:
    with pytest.raises(ValueError, match="never"):
        cores_for(Asked(1e9, 45), measured(), 0.5)


def test_bytes_are_per_reading() -> None:
    """Of 2^20 readings: 30 MiB shuffled are 30 bytes each; the heaviest step needs (30 + 5) x 2."""
    found = of_bench(BENCH)
    assert found.rate == MIB / 50 / 2
    assert found.per_reading("shuffled") == 30
    assert found.per_reading("kept") == 50
    assert found.local_disk() == 70
    told = plan(Asked(1024 * MIB, 45), found, 1.0, 4)
    assert told["shuffled a day"] == "30 GiB (30.0 B/reading)"
    assert told["lake a day"] == "50 GiB (50.0 B/reading)"


def test_one_more_day_counts_its_own_readings() -> None:
    of = BENCH | {"days": 32, "passes": {"day": MEASURED}}
    found = of_day(of)
    assert (found.readings, found.held) == (MIB / 32, MIB)
    assert found.per_reading("kept") == 50


def test_the_newest_result_of_its_kind_counts(tmp_path: Path) -> None:
    def result(name: str, **over: Any) -> None:
        (tmp_path / f"{name}.json").write_text(json.dumps(BENCH | over))

    with pytest.raises(NoResult, match="make bench`"):
        newest(tmp_path)
    result("old", commit="old")
    result("new", commit="new", when="2026-11-25T00:00:00+00:00")
    result("without", when="2026-11-26T00:00:00+00:00", rounds={"meterlake": [{"facts": None}]})
    result("other", when="2026-11-27T00:00:00+00:00", kind="growth")
    assert newest(tmp_path)["commit"] == "new"
    assert newest(tmp_path, "growth")["kind"] == "growth"
    with pytest.raises(NoResult, match="make bench-executors"):
        newest(tmp_path, "executors")


def test_what_is_left_after_a_collection(tmp_path: Path) -> None:
    (tmp_path / "gc-1.log").write_text(
        "[1.2s][info][gc] GC(0) Pause Young (Normal) (G1 Evacuation Pause) 512M->98M(2048M) 12.3ms\n"
        "[1.4s][info][gc] GC(1) Concurrent Mark Cycle\n"
        "[1.9s][info][gc] GC(2) Pause Full (System.gc()) 900M->120M(2048M) 80.0ms\n"
    )
    assert heap(tmp_path) == 120 * MIB
    assert heap(tmp_path / "none") == 0


def test_a_correction_repeats_whole_meter_days(tmp_path: Path) -> None:
    header = "meter_id,timestamp,consumption_kwh,voltage_v,temperature_c,region,feeder,transformer,customer_id"
    rest = "230.0,5.0,north,F0,T0,C0"
    good = [f"M{meter:07d},2024-01-01 {hour:02d}:00:00,1.0000,{rest}" for meter in range(4) for hour in range(3)]
    bad = [f"M0000000,2024-01-01 04:00:00,ERR,{rest}", f",2024-01-01 05:00:00,1.0,{rest}", "M0000000,broken"]
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "ami-2024-01-01-00000.csv").write_text("\n".join([header, *good, *bad, good[0]]) + "\n")
    assert corrections.write(tmp_path / "days", tmp_path / "out", share=1.0) == 4
    told = (tmp_path / "out" / "corrected-ami-2024-01-01-00000.csv").read_text().splitlines()
    assert told[0] == header
    assert told[1:] == [line.replace("1.0000", "0.9002") for line in good]
    assert corrections.write(tmp_path / "days", tmp_path / "none", share=0.0) == 0
