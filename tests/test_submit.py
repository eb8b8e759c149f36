"""The jobs as spark-submit runs them, from the zip alone: on local threads, on executors, on a standalone cluster."""

import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from meterlake.settings import PROJECT
from tests.commands import running
from tests.lake import VILLAGE_TOML, half_hours, written
from tests.standalone import BIN, QUICK, bare_environment, standalone

READINGS = 60


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make package` makes."""
    file = tmp_path_factory.mktemp("package") / "meterlake.zip"
    with zipfile.ZipFile(file, "w") as out:
        for path in sorted((PROJECT / "lib" / "meterlake").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                out.write(path, path.relative_to(PROJECT / "lib"))
    return file


@pytest.fixture
def village(tmp_path: Path) -> list[str | Path]:
    """Options of a source that is a file, and of its delivery of two meters."""
    source = tmp_path / "village.toml"
    source.write_text(VILLAGE_TOML)
    for meter in ("a", "b"):
        written(tmp_path / "in" / f"{meter}.csv", *half_hours(meter, datetime(2024, 1, 1), READINGS))
    return ["--source", source, "--input", tmp_path / "in"]


@pytest.mark.slow
def test_a_standalone_cluster_does_every_step(package: Path, village: list[str | Path], tmp_path: Path) -> None:
    """Then a job of its own finds nothing new in the same home."""
    with standalone(tmp_path, given=QUICK) as master:
        ran = submit(master, package, tmp_path, "run.py", *village)
        assert f"{2 * READINGS} lines: {2 * READINGS} current" in ran
        assert f"mart_anomaly_scores: {2 * READINGS} rows in ClickHouse" in ran
        assert "nothing new" in submit(master, package, tmp_path, "stage.py", *village[:2])


@pytest.mark.slow
@pytest.mark.parametrize("master", ["local[*]", "local-cluster[2,1,1024]"])
def test_jobs_follow_each_other(master: str, package: Path, village: list[str | Path], tmp_path: Path) -> None:
    submit(master, package, tmp_path, "ingest.py", *village)
    assert f"{2 * READINGS} rows in, {2 * READINGS} out" in submit(master, package, tmp_path, "stage.py", *village[:2])


def submit(master: str, package: Path, folder: Path, job: str, *arguments: str | Path) -> str:
    """`spark-submit --py-files meterlake.zip jobs/JOB`; what it said. meterlake is not installed on the executors."""
    command = [BIN / "spark-submit", "--master", master, "--py-files", package, PROJECT / "jobs" / job, *arguments]
    environment = bare_environment() | QUICK
    environment |= {"METERLAKE_PROJECT": str(PROJECT), "METERLAKE_HOME": str(folder / "home")}
    with running(command, environment, folder) as process:
        said, _ = process.communicate()
    assert process.returncode == 0, said[-4000:]
    return said
