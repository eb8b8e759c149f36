"""`meterlake losses ACTION`. Each action returns what it has to say."""

import argparse

from meterlake import generated_block
from meterlake.actions import Action
from meterlake.errors import UsageError
from meterlake.resampled import Figure
from meterlake.settings import Settings
from meterlake.text_tables import Lines, as_markdown, as_text


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--meters", type=int, default=2000, help="in each world (default %(default)s)")
    parser.add_argument("--worlds", type=int, default=10, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=101, help="of the first world (default %(default)s)")
    generated_block.add_argument(parser)


def _evaluate(parsed: argparse.Namespace, settings: Settings) -> str:
    if parsed.meters < 100 or parsed.worlds < 2 or parsed.seed < 0:
        raise UsageError("meterlake losses evaluate: --meters from 100, --worlds from 2 and --seed from 0.")
    from meterlake.losses.evaluate import FIRST, RANKINGS, calibration, precision, recovered, world

    worlds = [world(parsed.seed + number, parsed.meters) for number in range(parsed.worlds)]
    head = ("list", *(f"of the first {first}" for first in FIRST), f"hidden kWh behind the first {FIRST[2]}")
    lists = [
        (
            name,
            *(_range(precision(worlds, of, first)) for first in FIRST),
            f"{recovered(worlds, of, FIRST[2]):.0%}",
        )
        for name, of in RANKINGS.items()
    ]
    trust = [
        (bin_, f"{count:,}", f"{expected:,.0f}", f"{hidden:,.0f}")
        for bin_, count, expected, hidden in calibration(worlds)
    ]
    hiding = [int(one.hides.sum()) for one in worlds]
    said = (
        f"`meterlake losses evaluate --meters {parsed.meters} --worlds {parsed.worlds} --seed {parsed.seed}`: "
        f"{min(hiding)} to {max(hiding)} of {parsed.meters:,} meters of a world hide energy "
        f"({sum(hiding) / parsed.meters / parsed.worlds:.1%})."
    )
    tables: list[Lines] = [[head, *lists], [("probability", "suspects", "kWh expected", "kWh hidden"), *trust]]
    generated_block.write(parsed.page, "losses evaluate", "\n\n".join([said, *map(as_markdown, tables)]))
    return "\n\n".join([said, *map(as_text, tables)])


def _range(figure: Figure) -> str:
    return f"{figure.value:.0%} ({figure.low:.0%}-{figure.high:.0%})"


ACTIONS = {
    "evaluate": Action(
        "make grids where every stolen kWh is known, and judge the list of suspects", _arguments, _evaluate
    )
}
