"""`meterlake outages ACTION`. Each action returns what it has to say."""

import argparse
from datetime import date
from typing import TYPE_CHECKING

from meterlake import generated_block
from meterlake.actions import Action
from meterlake.errors import UsageError
from meterlake.settings import Settings
from meterlake.text_tables import Lines, as_markdown, as_text

if TYPE_CHECKING:
    import pandas as pd

START, DAYS = date(2024, 3, 1), 31


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--meters", type=int, default=2000, help="in each world (default %(default)s)")
    parser.add_argument("--worlds", type=int, default=3, help="how many (default %(default)s)")
    parser.add_argument("--outage-rate", type=float, default=0.01, help="as of `generate` (default %(default)s)")
    parser.add_argument("--seed", type=int, default=201, help="of the first world (default %(default)s)")
    generated_block.add_argument(parser)


def _evaluate(parsed: argparse.Namespace, settings: Settings) -> str:
    if parsed.meters < 100 or parsed.worlds < 1 or parsed.seed < 0:
        raise UsageError("meterlake outages evaluate: --meters from 100, --worlds from 1 and --seed from 0.")
    import pandas as pd

    from meterlake.outages.evaluate import LEVELS, NOT, indices, precision, told_as, world
    from meterlake.sources.generate_plan import Plan, Rates

    rates = Rates(outage=parsed.outage_rate)
    worlds = [
        world(Plan("", meters=parsed.meters, start=START, days=DAYS, seed=parsed.seed + number, rates=rates))
        for number in range(parsed.worlds)
    ]
    recalled = _crossed(pd.concat([told_as(one) for one in worlds]), ("put in", "told as"), LEVELS, (*LEVELS, NOT))
    right = _crossed(
        pd.concat([precision(one) for one in worlds]), ("told as", "was out"), LEVELS[:2], (*LEVELS, "nothing")
    )
    index: list[tuple[str, ...]] = [("world", "SAIDI, min", "as told", "SAIFI", "as told ")]
    for number, one in enumerate(worlds):
        true, told = indices(one)
        index.append(
            (str(parsed.seed + number), *(f"{value:.2f}" for value in (true.saidi, told.saidi, true.saifi, told.saifi)))
        )
    said = (
        f"`meterlake outages evaluate --meters {parsed.meters} --worlds {parsed.worlds} "
        f"--outage-rate {parsed.outage_rate} --seed {parsed.seed}`:"
    )
    tables: list[Lines] = [recalled, right, index]
    generated_block.write(parsed.page, "outages evaluate", "\n\n".join([said, *map(as_markdown, tables)]))
    return "\n\n".join([said, *map(as_text, tables)])


def _crossed(pairs: "pd.DataFrame", names: tuple[str, str], rows: tuple[str, ...], columns: tuple[str, ...]) -> Lines:
    counts = pairs.value_counts()
    head = (names[0], *(f"{names[1]} {column}" for column in columns))
    return [head, *((row, *(f"{counts.get((row, column), 0):,}" for column in columns)) for row in rows)]


ACTIONS = {"evaluate": Action("make grids whose every outage is known, and tell outages apart", _arguments, _evaluate)}
