"""All contenders come to the same tables, on a few meters with every kind of defect; and a difference is found."""

import copy
import json
from argparse import Namespace
from pathlib import Path

import pytest
from tests.benchmarks.agreement import TABLES, Digest, Disagreement, compare
from tests.benchmarks.bench import Bench, main
from tests.benchmarks.contender import CONTENDERS
from tests.benchmarks.workload import Workload

# Spark starts three times for meterlake. The textbook pipeline is compared with it by test_guard.py, on more readings.
OTHERS = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "meterlake" else [])
    for name in CONTENDERS
    if name not in ("duckdb", "textbook")
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The tiny workload after a pass of DuckDB, to which all others are compared."""
    home = tmp_path_factory.mktemp("bench")
    bench = Bench(Namespace(size="tiny", contenders=["duckdb"], pairs=1, threads=2, keep=True, home=home))
    bench.run()
    return bench


def _digest(bench: Bench) -> Digest:
    assert bench.reference is not None
    return bench.reference[1][0]


@pytest.mark.parametrize("name", OTHERS)
def test_contender_agrees_with_duckdb(bench: Bench, name: str) -> None:
    bench.names, bench.partial = [name], None
    round_of = bench.run()["rounds"][name]
    assert bench.agreed[name] == sum(len(kept.measures()) for kept in TABLES.values())
    assert round_of[0]["bytes_on_disk"] > 0
    assert round_of[0]["peak_bytes"] > 10_000_000


def test_workload_has_every_reason_for_a_rejection(bench: Bench) -> None:
    rejected = {measure: value for measure, (value, _) in _digest(bench)["rejected"].items()}
    seen = {measure.removeprefix("reasons ") for measure, value in rejected.items() if value and "reasons" in measure}
    assert seen == {
        *("unparsable", "missing_meter", "negative_energy", "energy_out_of_range", "future_timestamp"),
        *("off_cadence_timestamp", "exact_duplicate", "conflicting_duplicate"),
    }


def test_workload_flags_readings_of_every_table(bench: Bench) -> None:
    digest = _digest(bench)
    assert digest["mart_anomaly_scores"]["count is_anomaly"][0] > 100
    assert digest["mart_anomaly_flags"]["rows"][0] > 10
    assert digest["mart_consumption_metrics"]["known previous_kwh"][0] > 100


@pytest.mark.parametrize(
    ("table", "measure", "by"),
    [
        pytest.param("readings", "rows", 1, id="a_reading_more"),
        pytest.param("rejected", "reasons exact_duplicate", -1, id="a_duplicate_less"),
        pytest.param("features", "sum rolling_std_kwh_24h", 1e-3, id="another_deviation"),
        pytest.param("mart_anomaly_scores", "count is_anomaly", 1, id="a_flag_more"),
    ],
)
def test_difference_is_told_with_both_values(bench: Bench, table: str, measure: str, by: float) -> None:
    one = _digest(bench)
    other = copy.deepcopy(one)
    value, scale = other[table][measure]
    other[table][measure] = (value + by, scale)
    with pytest.raises(Disagreement, match=f"{table}: {measure} is .* with one and .* with other"):
        compare("one", one, "other", other)


def test_rounding_noise_is_no_difference(bench: Bench) -> None:
    one = _digest(bench)
    other = copy.deepcopy(one)
    value, scale = other["features"]["sum rolling_mean_kwh_24h"]
    other["features"]["sum rolling_mean_kwh_24h"] = (value * (1 + 1e-12), scale)
    assert compare("one", one, "other", other) > 200


def test_compare_tells_which_result_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "--size", "meters=2,days=2", "--contenders", "duckdb", "--home", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*arguments, "--compare", "HEAD~1"])
    assert main() == 1
    assert "no result of HEAD~1" in capsys.readouterr().err
    (result,) = (tmp_path / "bench" / "results").glob("*.json")
    found = json.loads(result.read_text())
    assert found["workload"]["readings"] == 384
    assert list(found["rounds"]["duckdb"][0]["steps"]) == ["readings", "aggregates", "features", "scores", "marts"]
    assert result.with_suffix(".html").stat().st_size > 10_000


def test_sizes_are_named_or_given() -> None:
    assert Workload.named("full").readings == 11_520_000
    assert 900_000 < Workload.named("quick").readings < 1_100_000
    assert Workload.named("meters=10,days=3").readings == 2880
    with pytest.raises(SystemExit, match="meters=N,days=M"):
        Workload.named("huge")
