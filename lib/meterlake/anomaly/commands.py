"""`meterlake model ACTION`: which versions of a source's model there are, and which one scores."""

import argparse
from typing import TYPE_CHECKING

from meterlake.actions import Action
from meterlake.errors import UsageError
from meterlake.settings import Settings
from meterlake.text_tables import as_text

if TYPE_CHECKING:
    from meterlake.anomaly.registry import ModelVersion


def _of_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of a source (see `meterlake sources`) or its TOML file")


def _promote_arguments(parser: argparse.ArgumentParser) -> None:
    _of_source(parser)
    parser.add_argument("--version", type=int, help="number of the version (default: the challenger)")
    parser.add_argument("--input", nargs="+", help="half a year of readings or more, on which both are judged")
    parser.add_argument("--force", action="store_true", help="promote without an evaluation, or against it")


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
    """A version that cannot be loaded is never promoted; one that is judged worse only by force."""
    from meterlake.anomaly import registry

    source = _source(parsed, settings)
    names = registry.aliases(source, settings)
    number = parsed.version or names.get(registry.CHALLENGER)
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

    source = _source(parsed, settings)
    champion = registry.champion(source, settings)
    if champion is None:
        return None
    if not parsed.input:
        raise UsageError(
            f"{challenger.label} was not promoted: name readings by --input, on which it is judged beside "
            f"{champion.label}, or promote it unjudged with --force."
        )
    from meterlake.anomaly.evaluation.commands import delivered
    from meterlake.anomaly.evaluation.contest import contest

    result = contest(champion, challenger, delivered(parsed, settings), settings.model)
    if result.lost and not parsed.force:
        raise UsageError(f"{challenger.label} was not promoted: {result.told}; promote it all the same with --force.")
    return f"{result.told}."


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
