"""`meterlake forecast ACTION`. Each action returns what it has to say."""

import argparse
from pathlib import Path

from meterlake import generated_block
from meterlake.actions import Action
from meterlake.errors import UsageError
from meterlake.settings import Settings

LEVELS = ("source", "region", "feeder", "meter")
DEFAULT_LEVELS = ("source", "region", "feeder")


def add_levels(parser: argparse.ArgumentParser) -> None:
    """The option `--level` of the step."""
    parser.add_argument(
        "--level",
        action="append",
        choices=LEVELS,
        help="what to forecast; may be repeated (default: source, region and feeder)",
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of a source (see `meterlake sources`) or its TOML file")
    parser.add_argument("--input", required=True, nargs="+", help="files, folders or quoted globs; their sum is judged")
    parser.add_argument("--seed", type=int, default=1, help="of the bootstrap (default %(default)s)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="PNG of the last days against their forecast")
    generated_block.add_argument(parser)


def _evaluate(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.forecast import tables
    from meterlake.forecast.backtest import backtest
    from meterlake.forecast.delivered import sum_of
    from meterlake.forecast.model import Element, Policy
    from meterlake.forecast.series import people_live_by
    from meterlake.sources.catalog import source_named
    from meterlake.sources.delivery import files_of
    from meterlake.text_tables import as_markdown, as_text
    from meterlake.vee.delivered import read_series

    if parsed.seed < 0:
        raise UsageError("--seed must be 0 or more.")
    source = source_named(parsed.source, settings)
    meters = read_series([file for given in parsed.input for file in files_of(given)], source)
    element = Element.of(sum_of(meters, source), people_live_by(source), source.country)
    found = backtest(element, Policy())
    what = f"--source {source.name} --seed {parsed.seed}"
    generated_block.write(parsed.page, f"forecast {source.name}", tables.whole(found, what, parsed.seed, as_markdown))
    told = tables.whole(found, what, parsed.seed, as_text)
    if parsed.picture:
        from meterlake.forecast.pictures import draw

        title = f"{source.name}: load of {len(meters)} meter{'s' * (len(meters) > 1)}, forecast day by day"
        told += f"\n\n{draw(found[0], title, parsed.picture)}"
    return told


ACTIONS = {"evaluate": Action("rolling-origin backtest on files, beside baselines", _arguments, _evaluate)}
