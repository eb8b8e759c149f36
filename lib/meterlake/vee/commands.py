"""`meterlake vee ACTION`: what can be done with VEE beside its step (`meterlake vee --source NAME`)."""

import argparse
from collections.abc import Callable
from pathlib import Path

from meterlake.settings import Settings

Action = Callable[[argparse.Namespace, Settings], str]


def add_to(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace, Settings], None]) -> None:
    """Add the actions to the parser of the step; `command` prints what an action says."""
    actions = parser.add_subparsers(metavar="ACTION", help="instead of the step:")

    def action(name: str, does: Action, about: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=about, description=about)
        sub.add_argument("--home", type=Path, help="folder that holds all state")
        sub.add_argument("--conf", type=Path, help="settings file over conf/default.toml")
        sub.add_argument("--debug", action="store_true", help="show stack traces")
        sub.set_defaults(command=command, action=does)
        return sub

    undo = action("undo", _undo, "give back the readings that a run of the step changed")
    undo.add_argument("--run", required=True, metavar="ID", help="the run whose changes are undone")
    undo.add_argument("--source", required=True, help="name of the source, or its TOML file")
    undo.add_argument("--run-id", help="name of this run")
    rules = action("rules", _rules, "the rules with their formulas and defaults")
    rules.add_argument("--markdown", action="store_true", help="as the table of docs/vee.md")
    recall = action("recall", _recall, "recall and precision of the rules on generated readings")
    recall.add_argument("--truth", type=Path, required=True, metavar="FOLDER", help="folder of `meterlake generate`")
    alarms = action("alarms", _alarms, "findings per 1,000 meter-days of real readings")
    alarms.add_argument("--source", required=True, help="name of the source, or its TOML file")
    alarms.add_argument("--input", required=True, help="folder of files")
    for option in parser._actions:
        if option.dest == "source":
            option.required = False  # an action may do without; the step says so itself


def _undo(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.vee.undo import from_arguments

    return from_arguments(parsed, settings)


def _rules(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.vee import rulebook

    return rulebook.markdown() if parsed.markdown else rulebook.text()


def _recall(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.vee import recall

    return recall.recall(parsed.truth)


def _alarms(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.sources.catalog import source_named
    from meterlake.vee import recall

    return recall.alarms(parsed.input, source_named(parsed.source, settings))
