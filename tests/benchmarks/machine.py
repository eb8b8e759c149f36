"""On what a benchmark ran: the machine, the versions and the commit."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = ("pyspark", "delta-spark", "duckdb", "polars", "pandas", "pyarrow", "scikit-learn", "numpy")


def machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "ram_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "java": _java()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def commit(project: Path, ref: str = "HEAD") -> str:
    """The short name of a commit; HEAD with changes in lib/ or conf/ is another one and ends in `-dirty`."""
    name = _git(project, "rev-parse", "--short=12", f"{ref}^{{commit}}")
    if not name:
        return "unknown"
    changed = ref == "HEAD" and _git(project, "status", "--porcelain", "--", "lib", "conf")
    return f"{name}-dirty" if changed else name


def _git(project: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return "absent"
    found = re.search(r'version "([^"]+)"', said)
    return found[1] if found else "unknown"
