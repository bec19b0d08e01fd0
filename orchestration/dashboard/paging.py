"""Reading a long list page by page: the next page begins behind the last row seen.

A place in a list is the values of the columns that order it, as text, in the address of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

SEPARATOR = "~"
LONGEST_PLACE = 2_000
NO_PLACE = "The address names no place in this list. It may have been cut on its way."


@dataclass(frozen=True)
class Turned:
    """How far the lists of a page are turned: its address, and the place in each, by panel."""

    path: str
    places: Mapping[str, str]

    def address(self, key: str, place: str) -> str:
        """The address of the page with one list turned to a place, or back to its beginning."""
        places = {**self.places, key: place}
        query = urlencode({name: text for name, text in places.items() if text})
        return f"{self.path}?{query}" if query else self.path


def write_place(values: Iterable[Any]) -> str:
    """A place as text. Of several values only the last may hold the separator."""
    return SEPARATOR.join(
        value.isoformat() if isinstance(value, date) else str(value) for value in values
    )


def read_place(text: str, count: int) -> list[str] | None:
    """The values of a place as text, or None when it is not made of so many."""
    values = text.split(SEPARATOR, count - 1)
    # the database takes no text with a null character
    is_place = len(text) <= LONGEST_PLACE and len(values) == count and "\0" not in text
    return values if is_place and all(values) else None


def page_query(query: str, keys: Sequence[str], descending: bool, begins: bool) -> str:
    """One page of a query's rows, and a row more to tell whether there are others.

    The query wants `rows` and, unless it begins at the first row, `after_0` and so on: the values
    of the last row seen, as text. Each is read as the type of the column that it is compared with,
    and one that is no such value fails.

    Args:
        keys: columns of the query that are never null and together tell every row from the others.
    """
    order = ", ".join(f"{key}{' desc' if descending else ''}" for key in keys)
    after = ", ".join(f":after_{number}" for number in range(len(keys)))
    sign = "<" if descending else ">"
    behind = "" if begins else f"where ({', '.join(keys)}) {sign} ({after})\n"
    return f"select *\nfrom (\n{query}\n) as answers\n{behind}order by {order}\nlimit :rows"
