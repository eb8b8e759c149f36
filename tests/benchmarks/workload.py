"""The files that all contenders read, made by the product's own generator and kept, and the model they score with."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import given_model

PROJECT = Path(__file__).resolve().parents[2]
SIZES = {"full": (4000, 30), "quick": (360, 30), "tiny": (6, 40)}
# Every kind of defect many times, for a workload of a few thousand readings.
MANY_DEFECTS = (
    *("--exact-duplicate-rate", "0.02", "--conflicting-duplicate-rate", "0.01", "--bad-row-rate", "0.05"),
    *("--gap-rate", "0.05", "--anomaly-rate", "1"),
)
PANDAS_SHARE = 10
MODEL_METERS = 60


@dataclass(frozen=True)
class Workload:
    """Meters at 15 min over some days, with gaps, duplicates and bad rows.

    Attributes:
        rates: the generator's options for shares of defects, empty for its defaults.
    """

    meters: int
    days: int
    seed: int = 1
    rates: tuple[str, ...] = ()

    @classmethod
    def named(cls, size: str) -> "Workload":
        """full, quick, tiny or `meters=N,days=M`."""
        if size in SIZES:
            meters, days = SIZES[size]
            return cls(meters, days, rates=MANY_DEFECTS if size == "tiny" else ())
        try:
            numbers = {name: int(number) for name, number in (part.split("=") for part in size.split(","))}
            return cls(numbers["meters"], numbers["days"])
        except (ValueError, KeyError):
            raise SystemExit(f"--size {size}: give {', '.join(SIZES)} or meters=N,days=M") from None

    @property
    def name(self) -> str:
        return f"ami-{self.meters}x{self.days}-seed{self.seed}" + ("-many-defects" if self.rates else "")

    @property
    def readings(self) -> int:
        """Intervals, of which some are lost: what all rates are counted in."""
        return self.meters * self.days * 96

    def tenth(self) -> "Workload":
        """The first tenth of the same meters: the generator gives them the same readings."""
        return Workload(max(1, self.meters // PANDAS_SHARE), self.days, self.seed, self.rates)

    def files(self, cache: Path) -> Path:
        """The folder of the CSV files, generated when it is not there."""
        folder = cache / self.name
        if not (folder / "truth" / "summary.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            options = f"--meters {self.meters} --days {self.days} --seed {self.seed}".split()
            with tempfile.TemporaryDirectory() as home:
                _run("meterlake.cli", "generate", "--out", str(folder), *options, *self.rates, "--home", home)
        return folder / "readings"

    def lines(self, cache: Path) -> int:
        return int(json.loads((cache / self.name / "truth" / "summary.json").read_text())["lines"])

    def model(self, cache: Path) -> Path:
        """The model of this workload, fitted on its first meters when it is not there."""
        file = cache / self.name / "given_model.joblib"
        if not file.exists():
            self.files(cache)
            given_model.save(given_model.fit(self._features(cache)), file)
        return file

    def _features(self, cache: Path) -> dict[str, given_model.Floats]:
        """The model's inputs for the first meters, by the pandas contender."""
        from tests.benchmarks.contenders import with_pandas

        few = Workload(min(self.meters, MODEL_METERS), self.days, self.seed, self.rates)
        rows = with_pandas.features(with_pandas.split(with_pandas.read(sorted(few.files(cache).glob("*.csv"))))[0])
        return {name: rows[name].to_numpy(dtype="float64") for name in given_model.INPUTS}


def environment(threads: int) -> dict[str, str]:
    """What a contender's process is given: the project to import from, and no more threads than it may have."""
    limits = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    paths = os.pathsep.join([str(PROJECT / "lib"), str(PROJECT)])
    return os.environ | dict.fromkeys(limits, str(threads)) | {"PYTHONPATH": paths}


def _run(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    subprocess.run(command, cwd=PROJECT, env=environment(2), check=True, stdout=subprocess.DEVNULL)
