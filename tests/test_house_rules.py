"""House rules that no tool knows: what may not stand in a committed file, and which names must agree."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from meterlake import steps
from meterlake.cli import STEPS
from meterlake.settings import PROJECT

REGISTRY_HOST = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|repo1?\.maven|maven\.org|packages\.confluent|crates\.io"
    r"|--(?:extra-|default-)?index(?:-url)?[ =]"
)
MACHINE_PATH = re.compile(r"(?<![\w.}\])])/(?:root|work|home/\w+|tmp/\w+|Users/\w+)/")


def tracked(pattern: str = "*") -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", pattern],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(PROJECT / name for name in listed.split("\0") if name and (PROJECT / name).is_file())


def places(rule: re.Pattern[str], files: list[Path]) -> list[str]:
    """`file:line: text` of every match in the files that are text."""
    found = []
    for file in files:
        for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
            if rule.search(text := line.decode(errors="replace")):
                found.append(f"{file.relative_to(PROJECT)}:{number}: {text.strip()[:120]}")
    return found


@pytest.mark.parametrize(
    "rule", [pytest.param(REGISTRY_HOST, id="registry_host"), pytest.param(MACHINE_PATH, id="path_of_one_machine")]
)
def test_no_committed_file_names(rule: re.Pattern[str]) -> None:
    assert places(rule, tracked()) == []


@pytest.mark.parametrize(
    ("rule", "text", "matches"),
    [
        pytest.param(REGISTRY_HOST, "--index" + "-url somewhere", True, id="index_option"),
        pytest.param(REGISTRY_HOST, "https://" + "pypi" + ".org/simple", True, id="python_index"),
        pytest.param(REGISTRY_HOST, "pyspark==4.2.0", False, id="plain_pin"),
        pytest.param(MACHINE_PATH, "open('/" + "root/data.csv')", True, id="home_of_root"),
        pytest.param(MACHINE_PATH, "cd /" + "home/ann/meterlake", True, id="home_of_a_user"),
        pytest.param(MACHINE_PATH, "writes into SPARK_HOME/work/", False, id="below_a_variable"),
        pytest.param(MACHINE_PATH, "tests/work/x", False, id="relative"),
    ],
)
def test_the_patterns_find_what_they_are_for(rule: re.Pattern[str], text: str, matches: bool) -> None:
    assert bool(rule.search(text)) is matches


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-superset.lock"])
def test_a_lock_is_names_and_versions_only(name: str) -> None:
    lines = (PROJECT / name).read_text().splitlines()
    pin = re.compile(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==[\w.!+]+( ; [\w\s.'=<>!()*]+)?")
    assert [line for line in lines if not pin.fullmatch(line)] == []


def test_both_locks_agree() -> None:
    runtime, everything = (
        (PROJECT / name).read_text().splitlines() for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert {line.partition(" ;")[0] for line in runtime} <= {line.partition(" ;")[0] for line in everything}


def test_airflow_folder_is_no_package() -> None:
    """With an __init__.py, `import airflow` would find our folder instead of Airflow."""
    assert list((PROJECT / "airflow").rglob("__init__.py")) == []


def test_library_does_not_print() -> None:
    library = PROJECT / "lib" / "meterlake"
    prints = [
        f"{file.relative_to(PROJECT)}:{node.lineno}"
        for file in library.rglob("*.py")
        if file != library / "cli.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


def test_library_raises_no_bare_exception() -> None:
    raised = re.compile(r"raise (?:Exception|RuntimeError|BaseException)\(")
    assert places(raised, tracked("lib/*.py")) == []


def test_every_step_is_a_function_a_command_and_a_job() -> None:
    """File name = command = task id = function in steps.py; `run` is all of them, `maintain` is of no source."""
    jobs = {file.stem: file.read_text() for file in tracked("jobs/*.py")}
    assert set(jobs) == {"run", "maintain", "backfill", "model", *STEPS}
    assert [name for name in STEPS if not callable(getattr(steps, name, None))] == []
    assert [name for name, text in jobs.items() if f'main(["{name}"' not in text] == []


def test_every_dag_task_has_its_job() -> None:
    """The DAG files name jobs as job("NAME" and job_for_each("NAME"."""
    named = {found for file in tracked("airflow/*.py") for found in re.findall(r'\bjob\w*\("(\w+)"', file.read_text())}
    assert named >= {"ingest", "backfill", "maintain"}
    assert {name for name in named if not (PROJECT / "jobs" / f"{name}.py").is_file()} == set()


def test_every_test_folder_mirrors_the_library() -> None:
    own = {"airflow", "dashboards", "scenarios", "benchmarks", "s3", "__pycache__"}
    folders = {folder.name for folder in (PROJECT / "tests").iterdir() if folder.is_dir()} - own
    assert {name for name in folders if not (PROJECT / "lib" / "meterlake" / name).is_dir()} == set()
