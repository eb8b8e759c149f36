"""The list of business cases in prose (tests/scenarios/CASES.md) is complete, and each case is shown by something."""

import re

from meterlake.settings import PROJECT
from meterlake.vee.estimate import METHODS
from meterlake.vee.rulebook import RULES

TESTS = PROJECT / "tests"
CASE = re.compile(r"^\| (?P<case>.+?\.) \| `(?P<shown_by>[^`]+)` \|$", re.MULTILINE)


def listed() -> list[str]:
    return [found["shown_by"] for found in CASE.finditer((TESTS / "scenarios" / "CASES.md").read_text())]


def cases() -> str:
    return " ".join(found["case"] for found in CASE.finditer((TESTS / "scenarios" / "CASES.md").read_text()))


def scenarios() -> set[str]:
    return {folder.name for folder in (TESTS / "scenarios").iterdir() if folder.is_dir()}


def functions() -> set[str]:
    """`path::name` of every test function."""
    found = set()
    for file in TESTS.rglob("test_*.py"):
        names = re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
        found |= {f"{file.relative_to(PROJECT)}::{name}" for name in names}
    return found


def test_every_scenario_and_every_story_is_a_case() -> None:
    stories = {name for name in functions() if "::test_given_" in name}
    assert sorted((scenarios() | stories) - set(listed())) == []


def test_every_case_is_shown_by_something_that_exists() -> None:
    assert sorted(set(listed()) - scenarios() - functions()) == []
    assert len(listed()) == len(set(listed())) > 10


def test_every_rule_of_validation_and_every_way_to_estimate_has_a_case() -> None:
    named = {*RULES, *METHODS} - {"not_estimated"}
    assert sorted(name for name in named if f"`{name}`" not in cases()) == []
