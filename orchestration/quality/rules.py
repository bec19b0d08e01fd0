"""The rules that analysts keep in `seeds/quality_rules.csv`, held against the contracts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from orchestration.ingest.contracts import Contract
from orchestration.seeds.files import Row, SeedError, SeedFile

SEED = "quality_rules"
RAW, SYNC = "raw", "sync"
EVERY_TABLE = "*"
NUMBERS = ("numeric", "bigint")
NEEDS: Mapping[str, frozenset[str]] = {
    "filled": frozenset({"column_name", "share"}),
    "between": frozenset({"column_name", "share", "bound"}),
    "one_of": frozenset({"column_name", "share", "value_list"}),
    "refers_to": frozenset({"column_name", "share", "value_list"}),
    "fits_contract": frozenset({"share"}),
    "rows_per_load": frozenset({"bound"}),
    "messages_per_purpose": frozenset({"maximum"}),
}
"""What a line of each rule must fill in; `bound` is a minimum, a maximum or both."""
WITHOUT_ROWS = ("rows_per_load", "messages_per_purpose")
"""Rules that speak about however few rows."""
RULES_OF_SYNC = frozenset({"messages_per_purpose"})

Severity = Literal["error", "warn"]


@dataclass(frozen=True)
class Rule:
    """One line of the seed."""

    table: str
    """With its schema; `raw.*` and `sync.*` stand for every table of the schema."""
    column: str
    rule: str
    severity: Severity
    line: int
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    values: tuple[str, ...] = ()
    share: Decimal = Decimal(1)
    from_rows: int = 1

    @property
    def place(self) -> str:
        """Where its numbers stand."""
        return f"seeds/{SEED}.csv line {self.line}"


def read_rules(
    seeds: Mapping[str, SeedFile], contracts: Mapping[str, Contract], sync_models: Collection[str]
) -> list[Rule]:
    """Read the rules.

    Args:
        seeds: every seed, by name.
        contracts: every source, by name.
        sync_models: the names of the sync models.

    Raises:
        SeedError: a line cannot be used; the message names each.
    """
    file = seeds[SEED]
    rules = []
    if not file.findings:
        for row in file.rows:
            for problem in rule_faults(row, contracts, sync_models):
                file.blame(row.line, problem)
            rules.append(_rule(row))
    if file.findings:
        raise SeedError("\n".join(map(str, sorted(file.findings))))
    return rules


def rules_for(table: str, rules: Sequence[Rule]) -> list[Rule]:
    """The rules that hold for a table; its own replace those for every table of its schema."""
    own = [rule for rule in rules if rule.table == table]
    replaced = {(rule.column, rule.rule, rule.severity) for rule in own}
    default = f"{table.partition('.')[0]}.{EVERY_TABLE}"
    return own + [
        rule
        for rule in rules
        if rule.table == default and (rule.column, rule.rule, rule.severity) not in replaced
    ]


def rule_faults(
    row: Row, contracts: Mapping[str, Contract], sync_models: Collection[str]
) -> Iterator[str]:
    """Why a line of the seed cannot be used: nothing when it can."""
    rule = row["rule"]
    schema, _, table = row["table_name"].partition(".")
    known = {RAW: contracts.keys(), SYNC: sync_models}.get(schema, ())
    if table != EVERY_TABLE and table not in known:
        yield f"table_name: there is no {row['table_name']}; write raw.<source> or sync.<model>"
        return
    if (schema == SYNC) != (rule in RULES_OF_SYNC):
        yield f"rule: {rule} is no rule for the schema {schema}"
        return
    given = {name for name in ("column_name", "share", "value_list") if row[name]}
    bounds = {name for name in ("minimum", "maximum") if row[name]}
    given |= {"bound"} if bounds and "bound" in NEEDS[rule] else bounds
    if row["from_rows"] and rule in WITHOUT_ROWS:
        given.add("from_rows")
    for name in sorted(NEEDS[rule] - given):
        yield f"{'minimum or maximum' if name == 'bound' else name}: {rule} needs a value"
    for name in sorted(given - NEEDS[rule]):
        yield f"{name}: {rule} has no use for it; empty it"
    if given == NEEDS[rule] and row["column_name"]:
        yield from _column_faults(row, contracts.get(table), contracts)


def _column_faults(
    row: Row, contract: Contract | None, contracts: Mapping[str, Contract]
) -> Iterator[str]:
    if contract is None:
        yield "column_name: a rule about a column names its table"
        return
    types = {column.name: column.data_type for column in contract.columns}
    if row["column_name"] not in types:
        yield f"column_name: {contract.source} has no column {row['column_name']}"
    elif row["rule"] == "between" and types[row["column_name"]] not in NUMBERS:
        yield f"column_name: {row['column_name']} holds no numbers"
    if row["rule"] == "refers_to":
        source, _, column = row["value_list"].partition(".")
        others = contracts[source].columns if source in contracts else ()
        if column not in {other.name for other in others}:
            yield f"value_list: there is no {row['value_list']}; write it like contacts.id"


def _rule(row: Row) -> Rule:
    return Rule(
        table=row["table_name"],
        column=row["column_name"],
        rule=row["rule"],
        severity="error" if row["severity"] == "error" else "warn",
        line=row.line,
        minimum=row.number("minimum"),
        maximum=row.number("maximum"),
        values=tuple(filter(None, row["value_list"].split("|"))),
        share=row.number("share") or Decimal(0) if row["share"] else Decimal(1),
        from_rows=int(row["from_rows"] or 1),
    )
