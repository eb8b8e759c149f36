"""`meterlake anomaly ACTION`. Each action returns what it has to say."""

import argparse
import csv
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from meterlake import generated_block
from meterlake.actions import Action
from meterlake.errors import UsageError
from meterlake.settings import Settings
from meterlake.text_tables import as_markdown, as_text

if TYPE_CHECKING:
    from meterlake.anomaly.evaluation.evaluate import Fault
    from meterlake.anomaly.evaluation.population import Households


def _arguments(parser: argparse.ArgumentParser) -> None:
    _arguments_of_both(parser)
    parser.add_argument(
        "--alarm-share",
        type=_share,
        default=0.001,
        help="share of ordinary meter-days that a detector may flag (default %(default)s)",
    )
    parser.add_argument("--theft", type=Path, metavar="FILE", help="CSV of daily use with theft flags, too")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="CSV to write the truth table to")
    generated_block.add_argument(parser)


def _arguments_of_both(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", help="name of a source (see `meterlake sources`) or its TOML file")
    parser.add_argument("--input", nargs="+", help="files, folders or quoted globs; half a year of readings or more")
    parser.add_argument("--seed", type=int, default=1, help="other faults for another seed (default %(default)s)")
    parser.add_argument(
        "--base-rate", type=_share, default=0.01, help="share of anomalous meter-days (default %(default)s)"
    )
    parser.add_argument("--faults-per-meter", type=int, default=2, help="of each kind (default %(default)s)")


def _arguments_of_confidence(parser: argparse.ArgumentParser) -> None:
    _arguments_of_both(parser)
    parser.add_argument("--shares", type=Path, metavar="FILE", help="file to write the measured shares to")
    generated_block.add_argument(parser)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 0.5:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 0.5")
    return share


def _evaluate(parsed: argparse.Namespace, settings: Settings) -> str:
    if not parsed.theft and not (parsed.source and parsed.input):
        raise UsageError("meterlake anomaly evaluate: name readings by --source and --input, or flags by --theft.")
    _check(parsed)
    told = [_faults(parsed, settings)] if parsed.input else []
    return "\n\n".join([*told, *([_theft(parsed)] if parsed.theft else [])])


def _check(parsed: argparse.Namespace) -> None:
    if parsed.seed < 0 or parsed.faults_per_meter < 1:
        raise UsageError("--seed must be 0 or more and --faults-per-meter 1 or more.")


def _confidence(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.anomaly.evaluation import tables
    from meterlake.anomaly.evaluation.confidence import measure
    from meterlake.anomaly.evaluation.evaluate import Setup
    from meterlake.sources.catalog import source_named

    if not (parsed.source and parsed.input):
        raise UsageError("meterlake anomaly confidence: name readings by --source and --input.")
    _check(parsed)
    setup = Setup(base_rate=parsed.base_rate, faults_per_meter=parsed.faults_per_meter, seed=parsed.seed)
    source = source_named(parsed.source, settings)
    shares, held = measure(delivered(parsed, settings), source, settings.model, setup)
    told = (
        f"meterlake anomaly confidence --source {source.name} --seed {parsed.seed} --base-rate {parsed.base_rate:g} "
        f"--faults-per-meter {parsed.faults_per_meter}"
    )
    if parsed.shares:
        parsed.shares.write_text(shares.as_toml(f"Written by: {told}"), encoding="utf-8")
    found = tables.confidence(held)
    generated_block.write(parsed.page, "anomaly confidence", f"`{told}`:\n\n{as_markdown(found)}")
    return as_text(found)


def _faults(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.anomaly.evaluation import tables
    from meterlake.anomaly.evaluation.evaluate import Setup, evaluate
    from meterlake.sources.catalog import source_named

    setup = Setup(parsed.base_rate, parsed.alarm_share, parsed.faults_per_meter, parsed.seed)
    found = evaluate(delivered(parsed, settings), settings.model, setup)
    name = source_named(parsed.source, settings).name
    if parsed.truth:
        _write_truth(parsed.truth, found.truth)
    generated_block.write(parsed.page, "anomaly kinds", as_markdown(tables.kinds()))
    generated_block.write(parsed.page, "anomaly evaluate", tables.whole(found, name, as_markdown))
    return tables.whole(found, name, as_text)


def delivered(parsed: argparse.Namespace, settings: Settings) -> "Households":
    """The readings that --source and --input name."""
    from meterlake.anomaly.evaluation.population import households
    from meterlake.sources.catalog import source_named
    from meterlake.sources.delivery import files_of
    from meterlake.vee.delivered import read_series

    source = source_named(parsed.source, settings)
    series = read_series([file for given in parsed.input for file in files_of(given)], source)
    return households(series, source.interval_minutes)


def _theft(parsed: argparse.Namespace) -> str:
    from meterlake.anomaly.evaluation import tables, theft

    kwh, flagged = theft.read(parsed.theft)
    base_rate = float(flagged.mean())
    found = theft.evaluate(kwh, flagged, parsed.seed)
    lines = tables.rankings(found, len(flagged), base_rate, "customers are flagged")
    asked = tables.checks(theft.checks(kwh, flagged, parsed.seed))
    generated_block.write(parsed.page, "anomaly theft", as_markdown(lines))
    generated_block.write(parsed.page, "anomaly theft checks", as_markdown(asked))
    return "\n\n".join(map(as_text, (lines, asked)))


def _write_truth(file: Path, truth: list["Fault"]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(("meter", "type", "first", "last", "missing_kwh"))
        for fault in truth:
            first, last = (date(1970, 1, 1) + timedelta(days=day) for day in (fault.first_day, fault.last_day))
            table.writerow((fault.meter, fault.kind, first, last, f"{fault.missing_kwh:.4f}"))


ACTIONS = {
    "confidence": Action(
        "measure how sure each set of evidence makes, and how that holds on other meters",
        _arguments_of_confidence,
        _confidence,
    ),
    "evaluate": Action("put typed faults into real readings, find them, compare detectors", _arguments, _evaluate),
}
