"""`meterlake model ACTION`: which versions of a source's model there are, and which one scores."""

import argparse
from typing import TYPE_CHECKING

from meterlake.actions import Action
from meterlake.errors import UsageError
from meterlake.settings import Settings
from meterlake.text_tables import as_text

if TYPE_CHECKING:
    from meterlake.anomaly.evaluation.contest import Contest
    from meterlake.anomaly.registry import ModelVersion


def _of_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of a source (see `meterlake sources`) or its TOML file")


def _promote_arguments(parser: argparse.ArgumentParser) -> None:
    _of_source(parser)
    parser.add_argument("--version", type=int, help="number of the version (default: the challenger)")
    parser.add_argument(
        "--input",
        nargs="+",
        help="half a year of readings or more, on which both are judged (default: those in the lake)",
    )
    unless = parser.add_mutually_exclusive_group()
    unless.add_argument("--force", action="store_true", help="promote without an evaluation, or against it")
    unless.add_argument(
        "--if-no-worse", action="store_true", help="exit code 0 also where the champion stays, for a schedule"
    )


class NotPromoted(UsageError):
    """The champion stays: the challenger was judged worse, or cannot be judged."""

    def __init__(self, challenger: str, why: str, remedy: str) -> None:
        self.challenger, self.why = challenger, why
        super().__init__(f"{challenger} was not promoted: {why}; {remedy}.")


def _list(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.anomaly import registry

    source = _source(parsed, settings)
    found = registry.versions(source, settings)
    if not found:
        raise registry.NoSuchModel(source, "model yet")
    head = ("version", "is", "registered (UTC)", "trained on", "rows", "flags of them", "inspections")
    lines = [
        (
            str(one.number),
            ", ".join(sorted(one.aliases)) or "-",
            f"{one.registered_at:%Y-%m-%d %H:%M}",
            f"{one.parameters['training_first'][:10]} to {one.parameters['training_last'][:10]}",
            f"{int(one.parameters['training_rows']):,}",
            f"{float(one.parameters['flagged_share']):.2%}",
            f"{int(one.parameters.get('inspections', 0)):,}",  # models of earlier versions have none
        )
        for one in found
    ]
    return as_text([head, *lines])


def _promote(parsed: argparse.Namespace, settings: Settings) -> str:
    try:
        return _promoted(parsed, settings)
    except NotPromoted as stays:
        if parsed.if_no_worse:
            return str(stays)
        raise


def _promoted(parsed: argparse.Namespace, settings: Settings) -> str:
    """A version that cannot be loaded is never promoted; one that is judged worse only by force."""
    from meterlake.anomaly import registry

    source = _source(parsed, settings)
    names = registry.aliases(source, settings)
    number = parsed.version or names.get(registry.CHALLENGER)
    if number is None and parsed.if_no_worse:
        return f"Source {source} has no challenger; nothing is promoted."
    if number is None:
        raise registry.NoSuchModel(source, "challenger; train one with --challenger or name one by --version")
    if number not in {one.number for one in registry.versions(source, settings)}:
        raise registry.NoSuchModel(source, f"model {number}")
    if number == names.get(registry.CHAMPION):
        return f"{registry.model_name(source)}/{number} is champion already."
    challenger = registry.loaded(source, number, settings)
    judged = None if parsed.force and not parsed.input else _judged(parsed, challenger, settings)
    registry.crown(source, number, settings)
    return " ".join([*([judged] if judged else []), _crowned(source, challenger)])


def _judged(parsed: argparse.Namespace, challenger: "ModelVersion", settings: Settings) -> str | None:
    """What the evaluation says of champion and challenger; None where there is no champion to compare with."""
    from meterlake.anomaly import registry
    from meterlake.anomaly.model_file import ModelMismatch

    try:
        champion = registry.champion(_source(parsed, settings), settings)
    except ModelMismatch as mismatch:  # it scores nothing, so whatever can be loaded is better
        return f"{mismatch.label} cannot be loaded ({mismatch.problem}), so {challenger.label} has nobody to beat."
    if champion is None:
        return None
    result = _contest(champion, challenger, parsed, settings)
    if result.lost and not parsed.force:
        raise NotPromoted(challenger.label, result.told, "promote it all the same with --force")
    return f"{result.told}."


def _contest(
    champion: "ModelVersion", challenger: "ModelVersion", parsed: argparse.Namespace, settings: Settings
) -> "Contest":
    """Both judged on the files that --input names, else on what stands in the lake."""
    from meterlake.anomaly.evaluation.commands import delivered
    from meterlake.anomaly.evaluation.contest import contest
    from meterlake.anomaly.evaluation.evaluate import TooShort
    from meterlake.anomaly.evaluation.in_lake import in_lake
    from meterlake.sources.catalog import source_named
    from meterlake.tables.reader import Lake

    if parsed.input:
        return contest(champion, challenger, delivered(parsed, settings), settings.model)
    source = source_named(parsed.source, settings)
    if not Lake.of(settings).within_reach:
        why = f"the lake in {settings.lake_root} is read by Spark alone"
        raise NotPromoted(challenger.label, why, "name readings by --input, or promote it unjudged with --force")
    try:
        return contest(champion, challenger, in_lake(source, settings), settings.model)
    except TooShort:
        why = f"the lake holds too few measured readings of source {source.name} to judge it beside {champion.label}"
        remedy = "load half a year or more, name other readings by --input, or promote it unjudged with --force"
        raise NotPromoted(challenger.label, why, remedy) from None


def _rollback(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.anomaly import registry

    source = _source(parsed, settings)
    former = registry.aliases(source, settings).get(registry.FORMER)
    if former is None:
        raise registry.NoSuchModel(source, "former champion to go back to; `meterlake model promote` takes a --version")
    model = registry.loaded(source, former, settings)
    registry.crown(source, former, settings)
    return _crowned(source, model)


def _crowned(source: str, model: "ModelVersion") -> str:
    return f"{model.label} is champion; the next `meterlake score --source {source}` judges all readings by it."


def _source(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.sources.catalog import source_named

    return source_named(parsed.source, settings).name


ACTIONS = {
    "list": Action("every version: when it was made, of what, and which one scores", _of_source, _list),
    "promote": Action("make a challenger champion, if the evaluation finds it no worse", _promote_arguments, _promote),
    "rollback": Action("make the champion before this one champion again", _of_source, _rollback),
}
