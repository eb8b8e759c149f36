"""What `meterlake anomaly evaluate` found, as tables for people: on the screen and in docs/anomalies.md."""

import math
from collections.abc import Callable

from meterlake.anomaly.evaluation.confidence import Held
from meterlake.anomaly.evaluation.detectors import DAY_OR_BALANCE, METER_DAY, PRODUCT, PRODUCT_BY_DAY
from meterlake.anomaly.evaluation.evaluate import OVERALL, Evaluation, Row
from meterlake.anomaly.evaluation.injections import INJECTIONS
from meterlake.anomaly.evaluation.measure import LISTS, OF
from meterlake.anomaly.evaluation.ranking import BEST, Found
from meterlake.anomaly.evaluation.theft import Check
from meterlake.resampled import Figure
from meterlake.text_tables import Lines

# What the owner asks for: precision at a detector's own threshold, at the base rate, overall and for so many kinds.
ASKED, ASKED_KINDS = 0.8, 7
HEADER = (
    "precision (95 %)",
    "recall of days (95 %)",
    *(f"precision of the first {size} of {OF:,}" for size in LISTS),
    "PR-AUC (95 %)",
    "faults found (by chance)",
    "days to find, median",
)


def overall(of: Evaluation) -> Lines:
    """A line for each detector, at all kinds of fault together."""
    head = ("detector", *HEADER, "untouched days flagged")
    rows = [row for row in of.rows if row.kind == OVERALL]
    return [head, *((row.detector, *_cells(row), _percent(row.merit.false_alarms, 2)) for row in rows)]


def by_kind(of: Evaluation, detector: str) -> Lines:
    """A line for each kind of fault, for one detector."""
    rows = [row for row in of.rows if row.detector == detector]
    return [("kind", "faults", *HEADER), *((row.kind, f"{row.merit.events:,}", *_cells(row)) for row in rows)]


def confidence(held: list[Held]) -> Lines:
    """A line for each set of evidence: what mart_anomaly_flags states, and what was found on other meters."""
    return [
        ("evidence", "stated", "found on the test meters (95 %)", "of the anomalous", "of all meter-days"),
        *(
            (
                one.evidence,
                _percent(one.stated, 1),
                "never seen" if math.isnan(one.found.value) else as_range(one.found),
                _percent(one.of_anomalous, 1),
                _percent(one.of_all, 2),
            )
            for one in held
        ),
    ]


def pr_auc(of: Evaluation) -> Lines:
    """PR-AUC of every detector by kind of fault. The product's score is one, whatever its threshold."""
    names = [name for name in dict.fromkeys(row.detector for row in of.rows) if name != PRODUCT_BY_DAY]
    found = {(row.detector, row.kind): row.merit.pr_auc.value for row in of.rows}
    kinds = dict.fromkeys(row.kind for row in of.rows)
    return [("kind", *names), *((kind, *(_percent(found[name, kind], 1) for name in names)) for kind in kinds)]


def _cells(row: Row) -> tuple[str, ...]:
    merit = row.merit
    found = f"{_percent(merit.found)} ({_percent(merit.by_chance)})"
    delay = "-" if math.isnan(merit.days_to_detect) else f"{merit.days_to_detect:g}"
    lists = (_percent(figure.value) for figure in merit.at)
    return as_range(merit.precision), as_range(merit.recall), *lists, as_range(merit.pr_auc), found, delay


def _percent(share: float, digits: int = 0) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def as_range(figure: Figure) -> str:
    """A share with the range of its bootstrap, in per cent."""
    if math.isnan(figure.value):
        return "nothing flagged"
    return f"{100 * figure.value:.1f} % ({100 * figure.low:.0f} to {100 * figure.high:.0f})"


def verdict(of: Evaluation, detector: str) -> str:
    """Whether the precision that is asked for is met, and at which kinds it is not."""
    precision = {row.kind: row.merit.precision.value for row in of.rows if row.detector == detector}
    total = precision.pop(OVERALL)
    met = [kind for kind, value in precision.items() if value > ASKED]
    missed = [f"{kind} {_percent(value)}" for kind, value in precision.items() if not value > ASKED]
    asked = f"{_percent(ASKED)} overall and for {ASKED_KINDS} kinds"
    good = total > ASKED and len(met) >= ASKED_KINDS
    return (
        f"Asked for: precision above {asked} at a base rate of {_percent(of.setup.base_rate, 1)}. {detector}: "
        f"{'met' if good else 'missed'}, {_percent(total)} overall; above it for {len(met)} of {len(precision)} kinds"
        f"{' (' + ', '.join(met) + ')' if met else ''}; below: {', '.join(missed) or 'none'}."
    )


def made_by(of: Evaluation, source: str) -> str:
    """The command and what it judged, in a sentence."""
    setup, (train, test), (train_days, test_days) = of.setup, of.meters, of.days
    return (
        f"`meterlake anomaly evaluate --source {source} --seed {setup.seed} --base-rate {setup.base_rate:g} "
        f"--alarm-share {setup.alarm_share:g} --faults-per-meter {setup.faults_per_meter}`: fitted to {train_days:,} "
        f"meter-days of {train} meters, judged on {test_days:,} untouched meter-days of {test} others in later months "
        f"and {len(of.truth):,} faults."
    )


def kinds() -> Lines:
    """The kinds of fault, with their sizes and sources."""
    return [
        ("kind", "what the meter does", "lasts", "form from"),
        *((one.kind.name, one.what, _lasts(*one.kind.lasts_minutes), one.source) for one in INJECTIONS),
    ]


def _lasts(shortest: int, longest: int) -> str:
    unit, name = (1440, "days") if longest % 1440 == 0 else (60, "h") if longest % 60 == 0 else (1, "min")
    bounds = dict.fromkeys((shortest // unit, longest // unit))
    return f"{' to '.join(map(str, bounds))} {name}"


def rankings(found: list[Found], count: int, base_rate: float, flagged: str) -> Lines:
    """A line for each score of `count` flagged and other ones, and one for chance.

    Args:
        flagged: what is true of a share `base_rate` of them, in words.
    """
    head = (
        "score",
        "ROC-AUC (95 %)",
        "PR-AUC (95 %)",
        f"precision of the first {BEST}",
        f"of the first 1 % ({max(1, count // 100):,})",
    )
    by_chance = f"by chance: {_percent(base_rate, 1)} of {count:,} {flagged}"
    chance = (by_chance, "0.500", f"{base_rate:.3f}", *[_percent(base_rate, 1)] * 2)
    return [head, *((one.score, *_ranking(one)) for one in found), chance]


def checks(of: list[Check]) -> Lines:
    """A line for each question that is put to the theft file."""
    head = ("gradient boosting, cross-validated", "customers", "flagged", "ROC-AUC (95 %)", "PR-AUC (95 %)")
    cells = ((one.found.score, f"{one.customers:,}", _percent(one.base_rate, 1), *_ranking(one.found)) for one in of)
    return [(*head, f"precision of the first {BEST}", "of the first 1 %"), *cells]


def _ranking(found: Found) -> tuple[str, ...]:
    areas = (f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in (found.roc_auc, found.pr_auc))
    return *areas, _percent(found.at_best), _percent(found.at_percent)


def whole(of: Evaluation, source: str, written: Callable[[Lines], str]) -> str:
    """All tables, with what they are."""
    parts = [
        made_by(of, source),
        verdict(of, DAY_OR_BALANCE),
        verdict(of, METER_DAY),
        written(overall(of)),
        f"By kind of fault, {DAY_OR_BALANCE}:",
        written(by_kind(of, DAY_OR_BALANCE)),
        f"By kind of fault, {METER_DAY}:",
        written(by_kind(of, METER_DAY)),
        f"By kind of fault, {PRODUCT} (any reading above the threshold):",
        written(by_kind(of, PRODUCT)),
        f"PR-AUC by kind of fault; by chance {_percent(of.setup.base_rate, 1)}:",
        written(pr_auc(of)),
    ]
    return "\n\n".join(parts)
