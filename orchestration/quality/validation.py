"""Great Expectations, kept to what it is for: asking the database whether expectations hold.

Its context lives in memory and its connection cannot write. Every suite is one query that the
database evaluates; of its rows nothing but counts comes here. Importing it takes seconds, so that
this happens only when there is something to ask.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy

from orchestration.quality.suites import Expectation, Suite
from orchestration.warehouse.errors import JourneyError

CONNECTION = {
    "connect_args": {
        "application_name": "journey quality",
        "options": "-c timezone=UTC -c default_transaction_read_only=on",
    }
}


class QualityError(JourneyError):
    """A table cannot be checked."""


def validate(url: sqlalchemy.URL, suites: Sequence[Suite]) -> Iterator[list[Expectation]]:
    """The expectations of each suite that do not hold, suite by suite.

    Args:
        url: the address of the warehouse.
        suites: what to ask; nothing is imported when there are none.

    Raises:
        QualityError: a query does not run; the message names its table.
    """
    if not suites:
        return
    with _datasource(url) as datasource:
        for suite in suites:
            yield [
                expectation
                for expectation, holds in zip(
                    suite.expectations, _outcomes(datasource, suite), strict=True
                )
                if not holds
            ]


@contextmanager
def _datasource(url: sqlalchemy.URL) -> Iterator[Any]:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # without a configuration of our own it makes a folder for its web pages
    configuration = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    context = great_expectations.get_context(mode="ephemeral", project_config=configuration)
    sources: Any = context.data_sources
    datasource = sources.add_postgres(
        "warehouse",
        connection_string=url.render_as_string(hide_password=False),
        create_temp_table=False,
        kwargs=CONNECTION,
    )
    try:
        yield datasource
    finally:
        datasource.get_execution_engine().close()
        datasource.get_engine().dispose()


def _outcomes(datasource: Any, suite: Suite) -> list[bool]:
    """Whether each expectation holds, in their order."""
    import great_expectations
    from great_expectations import expectations as kinds
    from great_expectations.exceptions.exceptions import GreatExpectationsError

    made = [
        getattr(kinds, expectation.kind)(
            **expectation.arguments,
            severity="critical" if expectation.severity == "error" else "warning",
            meta={"place": place},
        )
        for place, expectation in enumerate(suite.expectations)
    ]
    try:
        asset = datasource.add_query_asset(suite.table, query=_as_text(suite.query))
        batch = asset.add_batch_definition_whole_table("whole").get_batch()
        result = batch.validate(
            great_expectations.ExpectationSuite(suite.table, expectations=made),
            result_format="BOOLEAN_ONLY",
        )
    except (
        sqlalchemy.exc.SQLAlchemyError,
        GreatExpectationsError,
    ) as error:
        raise QualityError(f"{suite.table} cannot be checked: {error}") from error
    outcomes: dict[int, bool] = {}
    for one in result.results:
        place = one.expectation_config.meta["place"]
        if problem := _problem(one.exception_info):
            words = suite.expectations[place].words
            raise QualityError(f"{suite.table}: cannot check that {words}: {problem}")
        outcomes[place] = bool(one.success)
    return [outcomes[place] for place in range(len(suite.expectations))]


def _problem(information: Any) -> str | None:
    """What kept an expectation from being evaluated."""
    if not information:
        return None
    several = [information] if "raised_exception" in information else information.values()
    for one in several:
        if one.get("raised_exception"):
            return str(one.get("exception_message"))
    return None


def _as_text(query: str) -> str:
    """The query in the form that the library takes: a select in which no colon is a parameter's."""
    escaped = query.replace(":", r"\:")
    return f"select * from ({escaped}) as checked"  # noqa: S608
