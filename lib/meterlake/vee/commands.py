"""`meterlake vee ACTION`: what can be done with VEE beside its step. Each action returns what it has to say."""

import argparse
from pathlib import Path

from meterlake import generated_block
from meterlake.actions import Action
from meterlake.settings import Settings
from meterlake.text_tables import as_markdown, as_text


def _undo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of the source, or its TOML file")
    parser.add_argument("--run", required=True, metavar="ID", help="the run whose changes are undone")
    parser.add_argument("--run-id", help="name of this run")


def _undo(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.vee.undo import from_arguments

    return from_arguments(parsed, settings)


def _rules_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="as the table of docs/vee.md")
    generated_block.add_argument(parser)


def _rules(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.vee import rulebook

    generated_block.write(parsed.page, "rules", rulebook.markdown())
    return rulebook.markdown() if parsed.markdown else rulebook.text()


def _recall_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--truth", type=Path, required=True, metavar="FOLDER", help="folder of `meterlake generate`")
    parser.add_argument("--seed", type=int, default=1, help="other faults for another seed (default %(default)s)")
    generated_block.add_argument(parser)


def _recall(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.vee.recall import recall

    generated, faults = recall(parsed.truth, parsed.seed)
    generated_block.write(parsed.page, "recall", generated)
    generated_block.write(parsed.page, "recall of faults", faults)
    return f"{generated}\n\n{faults}"


def _alarms_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of the source, or its TOML file")
    parser.add_argument("--input", required=True, help="folder of files, one meter each")
    generated_block.add_argument(parser)


def _alarms(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.sources.catalog import source_named
    from meterlake.vee.recall import alarms

    told = alarms(parsed.input, source_named(parsed.source, settings))
    generated_block.write(parsed.page, "alarms", told)
    return told


def _peers(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.sources.catalog import source_named
    from meterlake.vee.peers import evaluate

    said, table = evaluate(parsed.input, source_named(parsed.source, settings))
    generated_block.write(parsed.page, "peers", f"{said}\n\n{as_markdown(table)}")
    return f"{said}\n\n{as_text(table)}"


ACTIONS = {
    "undo": Action("give back the readings that a run of the step changed", _undo_arguments, _undo),
    "rules": Action("the rules with their formulas and defaults", _rules_arguments, _rules),
    "recall": Action("recall and precision of the rules on generated readings", _recall_arguments, _recall),
    "alarms": Action("findings per 1,000 meter-days of real readings", _alarms_arguments, _alarms),
    "peers": Action("whether a clock that was always wrong shows beside the peers", _alarms_arguments, _peers),
}
