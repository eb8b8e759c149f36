"""The rule list: declared once, named by its own functions, and current in the docs."""

import argparse

import pytest

from meterlake import generated_block as page
from meterlake.errors import UsageError
from meterlake.settings import PROJECT
from meterlake.sources.source import Columns, Source
from meterlake.vee import commands, rulebook
from meterlake.vee.policy import RuleConf, Vee
from meterlake.vee.rulebook import RULES, Rule

PAGE = (PROJECT / "docs" / "vee.md").read_text(encoding="utf-8")
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)


def test_the_rules_in_docs_are_current() -> None:
    assert page.block(PAGE, "rules") == rulebook.markdown(), "run `meterlake vee rules --page docs/vee.md`"


@pytest.mark.parametrize("name", ["recall", "alarms"])
def test_the_measured_tables_name_every_rule(name: str) -> None:
    table = page.block(PAGE, name)
    assert [rule.name for rule in RULES.values() if f"`{rule.name}`" not in table] == []


def test_ids_are_in_one_row() -> None:
    assert sorted(rule.id for rule in RULES.values()) == [f"VEE-{n:02}" for n in range(1, len(RULES) + 1)]


@every_rule
def test_a_rule_says_what_it_asks(rule: Rule) -> None:
    assert "?" in rule.question
    assert rule.severity == "review", "nothing that was measured changes by default"
    doc = rule.function.__doc__ or ""
    assert [name for name in rule.parameters if f"{name}:" not in doc] == [], "every parameter is described"


@pytest.mark.parametrize(
    ("name", "conf", "says"),
    [
        pytest.param("spyke", RuleConf(), "no rule is called", id="no_such_rule"),
        pytest.param("spike", RuleConf(severity="edit", ration=2.0), "no parameter", id="no_such_parameter"),
        pytest.param("spike", RuleConf(ratio="much"), "no number", id="a_word_for_a_number"),
        pytest.param("high_usage", RuleConf(severity="edit"), "whole days", id="a_day_is_not_edited"),
    ],
)
def test_a_mistake_in_a_source_is_told(name: str, conf: RuleConf, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Vee(rules={name: conf})


def test_a_source_may_change_a_rule() -> None:
    told = {"vee": {"estimate": False, "rules": {"spike": {"severity": "edit", "ratio": 3}}}}
    source = Source(name="v", description="d", interval_minutes=30, columns=Columns(timestamp="t", value="k"), **told)
    assert rulebook.severity_of(RULES["spike"], source.vee.rules) == "edit"
    assert rulebook.parameters_of(RULES["spike"], source.vee.rules) == {"ratio": 3}


def test_a_block_is_replaced_and_nothing_else(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "page.md"
    file.write_text(f"a\n{page.begin('x')}\nold\n{page.END}\nb\n{page.begin('y')}\nkept\n{page.END}\n")
    page.write(file, "x", "new")
    assert file.read_text() == f"a\n{page.begin('x')}\nnew\n{page.END}\nb\n{page.begin('y')}\nkept\n{page.END}\n"
    with pytest.raises(UsageError):
        page.write(file, "z", "new")


def test_every_action_has_its_arguments() -> None:
    for name, action in commands.ACTIONS.items():
        action.add_arguments(argparse.ArgumentParser(name))
        assert action.about
