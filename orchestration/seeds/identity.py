"""Manual rules on who is who: none may say the opposite of others."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from orchestration.seeds.files import Row

SEED = "identity_rules"
EMAIL_BLANKS = " \t\r\n\u00a0"
"""What the macro normalise_email trims."""

Identifier = tuple[str, str]
Ties = dict[Identifier, dict[Identifier, int]]
"""What always belongs together, by the line that says so."""


def identity_rules(seeds: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, int, str]]:
    """Every rule names two identifiers as the warehouse knows them, and contradicts no other."""
    regions = {row["tenant_id"]: row["phone_region"] for row in seeds["tenants"]}
    ties: dict[str, Ties] = {}
    nevers: list[tuple[Row, Identifier, Identifier]] = []
    said: dict[tuple[str, str, frozenset[Identifier]], int] = {}
    for row in seeds[SEED]:
        pair = []
        for side in ("a", "b"):
            kind, written = row[f"identifier_type_{side}"], row[f"identifier_{side}"]
            known = normalised(kind, written, regions[row["tenant_id"]])
            if known is None:
                yield SEED, row.line, f"identifier_{side}: {written!r} is no {kind} of that tenant"
            elif known != written and kind != "email":
                yield SEED, row.line, f"identifier_{side}: write {written!r} as {known!r}"
            pair.append((kind, known or written))
        one, other = pair
        if one == other:
            yield SEED, row.line, f"both sides are the {one[0]} {one[1]!r}; name two"
            continue
        first = said.setdefault((row["tenant_id"], row["rule"], frozenset(pair)), row.line)
        if first != row.line:
            yield SEED, row.line, f"line {first} says the same; delete one of the two"
        elif row["rule"] == "never":
            nevers.append((row, one, other))
        else:
            of_tenant = ties.setdefault(row["tenant_id"], {})
            of_tenant.setdefault(one, {})[other] = row.line
            of_tenant.setdefault(other, {})[one] = row.line
    for row, one, other in nevers:
        if lines := lines_between(ties.get(row["tenant_id"], {}), one, other):
            told = ", ".join(map(str, sorted(lines)))
            yield (
                SEED,
                row.line,
                f"never ties {one[0]} {one[1]!r} and {other[0]} {other[1]!r}, but line"
                f"{'s' if len(lines) > 1 else ''} {told} always tie"
                f"{'' if len(lines) > 1 else 's'} them; delete one of these lines",
            )


def normalised(kind: str, written: str, region: str) -> str | None:
    """An identifier as customer_identities shows it; None when it is none of its kind."""
    from orchestration.ingest.phones import e164

    if kind == "email":
        email = unicodedata.normalize("NFC", written.strip(EMAIL_BLANKS).lower())
        return email if "@" in email[1:-1] else None
    if kind == "phone":
        return e164(written, region)
    if kind == "shop_phone":
        shop, _, phone = written.partition(":")
        known = e164(phone, region)
        return f"{shop}:{known}" if shop and known else None
    return written


def lines_between(ties: Ties, one: Identifier, other: Identifier) -> list[int]:
    """The lines of the shortest chain that ties the two; none when nothing does."""
    reached: dict[Identifier, tuple[Identifier, int] | None] = {one: None}
    queue = deque([one])
    while queue and other not in reached:
        here = queue.popleft()
        for there, line in ties.get(here, {}).items():
            if there not in reached:
                reached[there] = (here, line)
                queue.append(there)
    lines = []
    step = reached.get(other)
    while step is not None:
        lines.append(step[1])
        step = reached[step[0]]
    return lines
