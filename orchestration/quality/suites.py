"""What is expected of a raw source, as one query per source and expectations of its columns.

The query measures, per tenant, what the loads brought since the last build that succeeded: a fault
shows in the new rows and would drown among the old ones, and a build with little to load has little
to measure. What was loaded before was expected of then.
"""

# ruff: noqa: S608
# Queries are put together from contracts, rules and constants: names are quoted, texts are literals

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from orchestration.ingest.contracts import Contract, quote
from orchestration.quality.rules import Rule, Severity

HISTORY_LOADS, FEWEST_LOADS = 10, 3
"""The usual size of a load is the median of so many before it, if there are at least so few."""
SHOWN_ROWS = 20


@dataclass(frozen=True)
class Expectation:
    """Something that must hold for a suite's query, and how to tell who breaks it."""

    words: str
    """What is expected."""
    severity: Severity
    kind: str
    """The name of the class in great_expectations.expectations."""
    arguments: Mapping[str, object]
    failing: str
    """An SQL condition for the rows of the query that break it."""
    found: str
    """An SQL aggregate over those rows: what was found for a tenant."""
    tell: Callable[[float], str]
    """That number in words."""
    rows: str
    """A query for the rows to look at; `{tenant}` stands for the tenant as SQL wants it. The first
    two columns say which row it is."""
    mend: str
    """The way out."""
    look: str = ""
    """The query to show to people instead; `{rows}` stands for the first columns of some rows."""


@dataclass(frozen=True)
class Suite:
    """A query on one table, and what is expected of it."""

    table: str
    """With its schema."""
    query: str
    expectations: tuple[Expectation, ...]


def literal(text: str) -> str:
    """A text as SQL wants it."""
    return "'" + text.replace("'", "''") + "'"


def raw_suite(
    contract: Contract, rules: Sequence[Rule], contracts: Mapping[str, Contract], covered: int
) -> Suite:
    """What is expected of the rows that a source brought.

    Args:
        contract: of the source.
        rules: those that hold for its table.
        contracts: every source, by name.
        covered: the last load that a succeeded build has seen.
    """
    source = _Source(contract, contracts, covered)
    measures: list[str] = []
    expectations: list[Expectation] = []
    for number, rule in enumerate(rules, 1):
        name = f"measure_{number}"
        if rule.rule == "rows_per_load":
            for bound, measure in ((rule.minimum, "fewest"), (rule.maximum, "most")):
                if bound is not None:
                    measures.append(f"{measure}_rows / nullif(usual_rows, 0) as {name}_{measure}")
                    expectations.append(source.size_expectation(rule, f"{name}_{measure}", bound))
        elif rule.rule == "fits_contract":
            share = _share("rows_read - rows_rejected", "rows_read", rule)
            measures.append(f"{share} as {name}")
            expectations.append(source.contract_expectation(rule, name))
        else:
            share = _share(f"{name}_following", f"{name}_rows", rule)
            measures.append(f"{share} as {name}")
            expectations.append(source.column_expectation(rule, name))
    of_columns = [
        (f"measure_{number}", rule) for number, rule in enumerate(rules, 1) if rule.column
    ]
    return Suite(f"raw.{contract.source}", source.query(measures, of_columns), tuple(expectations))


class _Source:
    """The pieces of SQL that all rules of one source share."""

    def __init__(self, contract: Contract, contracts: Mapping[str, Contract], covered: int) -> None:
        self._contract = contract
        self._contracts = contracts
        self._covered = covered

    @property
    def _new_rows(self) -> str:
        return f"checked._load_id > {self._covered} and checked._is_current"

    def query(self, measures: Sequence[str], of_columns: Sequence[tuple[str, Rule]]) -> str:
        """One row per tenant that loaded something, with a column per measure."""
        counts = "".join(
            f",\n        count(*) filter (where {self._asked(rule)}) as {name}_rows,"
            f"\n        count(*) filter (where {self._asked(rule)} and {self._follows(rule)})"
            f" as {name}_following"
            for name, rule in of_columns
        )
        return f"""
with numbered_loads as (
    select
        tenant_id,
        rows_read,
        rows_rejected,
        load_id > {self._covered} as is_new,
        row_number() over (
            partition by tenant_id, load_id > {self._covered} order by load_id desc
        ) as recency
    from ops.loads
    where status = 'loaded' and source = {literal(self._contract.source)}
),

usual_loads as (
    select
        tenant_id,
        percentile_cont(0.5) within group (order by rows_read) as usual_rows
    from numbered_loads
    where not is_new and recency <= {HISTORY_LOADS}
    group by tenant_id
    having count(*) >= {FEWEST_LOADS}
),

new_loads as (
    select
        tenant_id,
        min(rows_read) as fewest_rows,
        max(rows_read) as most_rows,
        sum(rows_read) as rows_read,
        sum(rows_rejected) as rows_rejected
    from numbered_loads
    where is_new
    group by tenant_id
),

new_rows as (
    select
        checked.tenant_id,
        count(*) as row_count{counts}
    from {self._contract.table} as checked
    where {self._new_rows}
    group by checked.tenant_id
)

select
    new_loads.tenant_id,
    {", ".join(measures) or "row_count"}
from new_loads
left join new_rows on new_loads.tenant_id = new_rows.tenant_id
left join usual_loads on new_loads.tenant_id = usual_loads.tenant_id
"""

    def column_expectation(self, rule: Rule, measure: str) -> Expectation:
        """That the rows with something to say about a column follow a rule, for a share."""
        keys = ", ".join(f"checked.{quote(key)}" for key in self._contract.key)
        return self._at_least(
            rule,
            measure,
            f"{_in_words(rule)} in {_percent(rule.share)} of the rows",
            f"""select loads.file, checked._line as line, {keys}, checked.{quote(rule.column)}
from {self._contract.table} as checked
inner join ops.loads as loads on checked._load_id = loads.load_id
where checked.tenant_id = {{tenant}} and {self._new_rows}
    and {self._asked(rule)} and not ({self._follows(rule)})
order by checked._load_id, checked._line limit {SHOWN_ROWS}""",
            "Land the rows again, corrected and with a newer version",
        )

    def contract_expectation(self, rule: Rule, measure: str) -> Expectation:
        """That a share of the rows read fits the contract."""
        return self._at_least(
            rule,
            measure,
            f"{_percent(rule.share)} of the rows fit the contract",
            f"""select file, line, reasons, content from raw.rejected_rows
where tenant_id = {{tenant}} and source = {literal(self._contract.source)}
    and load_id > {self._covered}
order by load_id, line limit {SHOWN_ROWS}""",
            "Land the rows again, corrected",
        )

    def size_expectation(self, rule: Rule, measure: str, bound: Decimal) -> Expectation:
        """That no load is many times smaller or larger than usual."""
        is_least = measure.endswith("fewest")
        return Expectation(
            words=f"a load has at {'least' if is_least else 'most'} {bound} times the usual rows",
            severity=rule.severity,
            kind="ExpectColumnValuesToBeBetween",
            arguments={"column": measure, "min_value" if is_least else "max_value": float(bound)},
            failing=f"{measure} {'<' if is_least else '>'} {bound}",
            found=f"{'min' if is_least else 'max'}({measure})",
            tell=lambda times: f"{times:.2g} times",
            rows=f"""select file, rows_read, finished_at from ops.loads
where tenant_id = {{tenant}} and source = {literal(self._contract.source)}
    and status = 'loaded' and load_id > {self._covered}
order by rows_read{"" if is_least else " desc"}, load_id limit {SHOWN_ROWS}""",
            mend=f"Land what is missing, or change {rule.place}",
        )

    def _at_least(self, rule: Rule, measure: str, words: str, rows: str, way: str) -> Expectation:
        return Expectation(
            words=words,
            severity=rule.severity,
            kind="ExpectColumnValuesToBeBetween",
            arguments={"column": measure, "min_value": float(rule.share)},
            failing=f"{measure} < {rule.share}",
            found=f"min({measure})",
            tell=lambda share: f"{share:.1%}",
            rows=rows,
            mend=f"{way}, or change {rule.place}",
        )

    def _asked(self, rule: Rule) -> str:
        """Which rows a rule is about."""
        return "true" if rule.rule == "filled" else f"checked.{quote(rule.column)} is not null"

    def _follows(self, rule: Rule) -> str:
        """Whether such a row follows it."""
        column = f"checked.{quote(rule.column)}"
        if rule.rule == "filled":
            return f"coalesce(btrim(cast({column} as text)), '') <> ''"
        if rule.rule == "one_of":
            return f"cast({column} as text) in ({', '.join(map(literal, rule.values))})"
        if rule.rule == "refers_to":
            source, _, name = rule.values[0].partition(".")
            return (
                f"exists (select 1 from {self._contracts[source].table} as referred where "
                f"referred.tenant_id = checked.tenant_id and referred.{quote(name)} = {column} "
                "and referred._is_current)"
            )
        bounds = ((">=", rule.minimum), ("<=", rule.maximum))
        return " and ".join(
            f"{column} {sign} {bound}" for sign, bound in bounds if bound is not None
        )


def _share(part: str, whole: str, rule: Rule) -> str:
    """A share from 0 to 1; null, about which nothing is expected, where there are few rows."""
    return (
        f"case when {whole} >= {rule.from_rows} then cast({part} as double precision) / {whole} end"
    )


def _in_words(rule: Rule) -> str:
    if rule.rule == "filled":
        return f"{rule.column} is filled"
    if rule.rule == "one_of":
        return f"{rule.column} is one of {', '.join(rule.values)}"
    if rule.rule == "refers_to":
        return f"{rule.column} stands in {rule.values[0]}"
    if rule.minimum is None:
        return f"{rule.column} is at most {rule.maximum}"
    if rule.maximum is None:
        return f"{rule.column} is at least {rule.minimum}"
    return f"{rule.column} is from {rule.minimum} to {rule.maximum}"


def _percent(share: Decimal) -> str:
    return "all" if share == 1 else f"at least {float(share * 100):g} %"
