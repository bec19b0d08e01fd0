"""What of the rows may stand in messages, logs and records: nothing that names a person.

Whoever is forgotten goes from tables. Files beside the database, and Dagster's records, are not
looked through, so nothing of people comes into them.
"""

from __future__ import annotations

import re

HIDDEN = "…"

_TELLING = re.compile(
    r"(^|_)(email|phone|name|identifier|identifier_key|title|metadata|codes?|record|referrers|word|"
    r"payload|content|message)(_[ab])?$"
)
"""Columns that name people or hold what was written about them; see also access.telling_columns."""
_END = r"(?=\s+(?:DETAIL|CONTEXT|HINT|QUERY|LINE \d+):|\s+compiled code at |\Z)"
_SECTION = re.compile(rf"\s*(?P<title>DETAIL|CONTEXT|QUERY):\s+(?P<words>.*?){_END}", re.DOTALL)
_KEY = re.compile(rf"Key \((?P<columns>[^()=]+)\)=(\(.*\)|{HIDDEN}) ", re.DOTALL)
_QUOTED = re.compile(r'(: |\bvalue )".*?"(?=\s|$|[,.:])', re.DOTALL)


def is_telling(column: str) -> bool:
    """Whether values of a column of this name may be a person's."""
    return _TELLING.search(column) is not None


def without_values(message: str) -> str:
    """An error in PostgreSQL's words, without the values of rows that it quotes.

    The key of a row that stands twice remains, unless one of its columns is telling. What this has
    returned may be given to it again.
    """
    return _QUOTED.sub(rf"\1{HIDDEN}", _SECTION.sub(_told, message)).strip()


def _told(section: re.Match[str]) -> str:
    words = section["words"]
    key = _KEY.match(words)
    if section["title"] != "DETAIL" or key is None:
        return ""
    columns = key["columns"].split(", ")
    if any(map(is_telling, columns)):
        words = f"Key ({key['columns']})={HIDDEN} {words[key.end() :]}"
    return f"\nDETAIL:  {words}"
