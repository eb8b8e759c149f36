"""Great Expectations: a checkpoint on a small table of facts, and the Data Docs that stay after the run.

The context lives in memory (10 ms to make); results and pages are files below <home>/data_docs, so that the index
lists earlier runs, too. Nothing is sent anywhere: usage statistics are off. The pages themselves take their styles from
public CDNs when a browser opens them.

Great Expectations takes seconds to import: import this module only where a gate runs.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context import AbstractDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier

from meterlake.quality.expectations import SUITES
from meterlake.settings import Settings
from meterlake.sources.source import Source

LISTED_RESULTS = 100  # in the index of the Data Docs
NAMED_SUBJECTS = 3  # of a failed expectation


@dataclass(frozen=True)
class Judged:
    """One expectation and what came of it, in words."""

    expectation: str
    severity: str
    success: bool
    observed: str


def judge(
    suite: str, facts: pd.DataFrame, run_id: str, source: Source, settings: Settings
) -> tuple[list[Judged], Path]:
    """Run the suite's checkpoint on the facts and add its page to the Data Docs.

    Expectations about facts that the table does not have are left out.

    Args:
        facts: `kind` and `subject` as text, all else numbers; NaN is not judged.

    Returns:
        The verdicts, and the index page of the Data Docs.
    """
    folder = settings.folder("data_docs")
    context = _context(folder)
    expectations = [one for one in SUITES[suite](source, settings) if one.column in facts]
    asset = context.data_sources.add_pandas(source.name).add_dataframe_asset(suite)
    validation = gx.ValidationDefinition(
        name=suite,
        data=asset.add_batch_definition_whole_dataframe("facts"),
        suite=context.suites.add(gx.ExpectationSuite(name=suite, expectations=expectations)),
    )
    checkpoint = gx.Checkpoint(
        name=suite,
        validation_definitions=[context.validation_definitions.add(validation)],
        result_format={"result_format": "SUMMARY", "unexpected_index_column_names": ["subject"]},
    )
    run = gx.RunIdentifier(run_name=run_id, run_time=datetime.now(UTC))
    done = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": facts}, run_id=run)
    pages: list[Any] = [ExpectationSuiteIdentifier(suite), *done.run_results]
    context.build_data_docs(resource_identifiers=pages)
    results = [result for validated in done.run_results.values() for result in validated.results]
    return [_told(result, facts) for result in results], folder / "index.html"


def _context(folder: Path) -> AbstractDataContext:
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
        data_docs_sites={
            "meterlake": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": _files(folder),
                "site_index_builder": {
                    "class_name": "DefaultSiteIndexBuilder",
                    "validation_results_limit": LISTED_RESULTS,
                },
            }
        },
    )
    config.stores[config.validation_results_store_name] = {
        "class_name": "ValidationResultsStore",
        "store_backend": _files(folder / "results"),
    }
    return gx.get_context(project_config=config, mode="ephemeral")


def _files(folder: Path) -> dict[str, str]:
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}


def _told(result: ExpectationValidationResult, facts: pd.DataFrame) -> Judged:
    config = result.expectation_config
    assert config is not None
    fact = config.kwargs["column"]
    values = facts.loc[facts[fact].notna(), ["kind", fact]]
    subjects = _counted(values["kind"])
    if result.exception_info.get("raised_exception"):
        observed = f"could not be judged: {result.exception_info.get('exception_message')}"
    elif values.empty:
        observed = "nothing to judge"
    elif result.success:
        least, most = values[fact].min(), values[fact].max()
        observed = f"{least:g} on {subjects}" if least == most else f"{least:g} to {most:g} on {subjects}"
    else:
        observed = f"{_failing(result.result, fact)} of {subjects}"
    return Judged(str(config.description), config.severity.value, bool(result.success), observed)


def _failing(result: dict[str, Any], fact: str) -> str:
    """The first failing subjects with their values, and how many fail."""
    first = result["partial_unexpected_index_list"][:NAMED_SUBJECTS]
    named = ", ".join(f"{_short(one['subject'])}: {one[fact]:g}" for one in first)
    more = ", ..." if result["unexpected_count"] > len(first) else ""
    return f"{named}{more}; {result['unexpected_count']:,}"


def _short(subject: str) -> str:
    """A subject as a sentence names it: a file without its folders."""
    kind, _, name = subject.partition(" ")
    return f"{kind} {name.rpartition('/')[2]}" if kind == "file" else subject


def _counted(kinds: pd.Series) -> str:
    """How many subjects, and what they are called: `1 batch`, `3 batches and files`."""
    plurals = {"batch": "batches"}
    names = [kind if len(kinds) == 1 else plurals.get(kind, f"{kind}s") for kind in sorted(set(kinds))]
    return f"{len(kinds):,} {' and '.join(names)}"
