"""The rules as data: every one declared once, with what it says, what it costs and where it comes from.

`meterlake vee rules --markdown` prints the list; docs/vee.md holds it between its marks.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meterlake.vee import rules_level, rules_runs, rules_sums, rules_values
from meterlake.vee.findings import Findings
from meterlake.vee.policy import RuleConf, Severity

# How many local days before and after a day its verdicts and estimates can depend on: 60 days of history; like days
# of 35 days beside a gap of a week.
LOOKS_BACK_DAYS, LOOKS_AHEAD_DAYS = 61, 44
VERSION = "1"  # of the rules' meaning; goes into the edit trail beside the code's version


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        function: takes a Series (register_sum and prolonged_estimation one array more) and parameters; its docstring
            begins with the id and says the question.
        formula: in a line.
        severity: where the source says nothing. review: flagged and kept.
        days: whether a finding is a whole day whose readings may all be right: it can be flagged, not edited.
    """

    function: Callable[..., Findings]
    formula: str
    origin: str
    severity: Severity = "review"
    days: bool = False

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def id(self) -> str:
        return (self.function.__doc__ or "").partition(". ")[0]

    @property
    def question(self) -> str:
        """The first sentence after the id."""
        text = (self.function.__doc__ or "").partition("\n\n")[0]
        return " ".join(text.partition(". ")[2].split())

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameter -> default."""
        found = inspect.signature(self.function).parameters.values()
        return {one.name: one.default for one in found if one.kind is inspect.Parameter.KEYWORD_ONLY}


CPUC = "CPUC interval data rules"
ORACLE = "Oracle MDM"
SPREAD = "|median after - median before| > share, and > deviations standard errors"
RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(rules_values.spike, "(p1 - p3) / p3 > ratio, per local day", f"spike check, {CPUC}"),
        Rule(rules_values.high_usage, "day > (1 + share) x mean of same kind", f"high/low check, {ORACLE}", days=True),
        Rule(rules_values.low_usage, "day < (1 - share) x mean of same kind", f"high/low check, {ORACLE}", days=True),
        Rule(rules_runs.frozen, "|x[i] - x[i-1]| <= tolerance, times - 1 in a row", "flatline checker, OpenSTEF"),
        Rule(rules_runs.flatline, "std / |mean| < relative_std over hours", "flatline checker, OpenSTEF"),
        Rule(rules_runs.outage, "x = 0 or unknown, and voltage < dead_v or absent", f"zero check, {ORACLE}"),
        Rule(rules_runs.zero_run, "x = 0 for hours, voltage there or never reported", f"zero check, {ORACLE}"),
        Rule(rules_sums.negative, "x < 0, or register[i+1] < register[i]", f"negative check, {ORACLE}"),
        Rule(rules_sums.register_sum, "|sum of x - (register_to - register_from)| > tolerance", f"sum check, {CPUC}"),
        Rule(rules_sums.sub_meters, "sum of sub-meters > x + max(tolerance x, least)", "energy conservation"),
        Rule(rules_runs.gap, "no reading, or one without energy", f"missing quantity, {ORACLE}"),
        Rule(rules_level.clock_change, "exactly the changed hour is missing", "own"),
        Rule(
            rules_level.clock_shift, "corr(before, after moved by k) - corr(before, after) >= better", "own", days=True
        ),
        Rule(rules_level.step_change, SPREAD, "own, rolling median", days=True),
        Rule(rules_values.outlier, "|x - median| > deviations x 1.4826 x MAD", "Hampel identifier"),
        Rule(rules_runs.prolonged_estimation, "days in a row mostly estimated > days", f"{ORACLE}", days=True),
    )
}


def check_conf(name: str, conf: RuleConf) -> None:
    """Whether a source's section of a rule makes sense.

    Raises:
        ValueError: no rule, or no parameter of it, has the name; a value is no number; or the rule cannot edit.
    """
    if name not in RULES:
        raise ValueError(f"no rule is called {name!r}; `meterlake vee rules` lists them")
    rule = RULES[name]
    for parameter, value in conf.parameters.items():
        if parameter not in rule.parameters:
            has = ", ".join(rule.parameters) or "none"
            raise ValueError(f"rule {name} has no parameter {parameter!r}; it has {has}")
        if not isinstance(value, (int, float)):
            raise ValueError(f"parameter {parameter} of rule {name} is no number (got {value!r})")
    if rule.days and conf.severity in ("edit", "reject"):
        raise ValueError(f"rule {name} judges whole days, whose readings may all be right; it can review, not edit")


def severity_of(rule: Rule, conf: dict[str, RuleConf]) -> Severity:
    """What happens to what the rule finds, for a source with this section."""
    return (conf[rule.name].severity if rule.name in conf else None) or rule.severity


def parameters_of(rule: Rule, conf: dict[str, RuleConf]) -> dict[str, Any]:
    """The parameters that the source changes."""
    return conf[rule.name].parameters if rule.name in conf else {}


def markdown() -> str:
    """The rule list as a table."""
    head = "| id | rule | question | formula | default | severity | origin |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *(_row(rule) for rule in RULES.values())])


def text() -> str:
    """The rule list for a terminal."""
    return "\n".join(f"{rule.id}  {rule.name:<22} {rule.severity:<7} {rule.question}" for rule in RULES.values())


def _row(rule: Rule) -> str:
    defaults = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in rule.parameters.items()
    )
    cells = (rule.id, f"`{rule.name}`", rule.question, rule.formula, defaults, rule.severity, rule.origin, "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
