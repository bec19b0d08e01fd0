"""The declared pages: one YAML file per page, one SQL file per panel that it names.

A page or a panel that cannot be used is kept with its cause, so that the others are served.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from orchestration.dashboard.formats import FORMATS, is_number, is_short
from orchestration.declared import read_yaml

PAGES_DIR = Path(__file__).parent / "pages"

# What a chart is drawn from: the part that a column plays, by kind of panel.
ROLES: dict[str, tuple[str, ...]] = {
    "cards": (),
    "alert": ("value",),
    "facts": (),
    "table": (),
    "bar": ("label", "value"),
    "stacked_bar": ("label", "series", "value"),
    "line": ("label", "series", "value"),
    "heat_map": ("row", "column", "value"),
    "funnel": ("label", "value", "rate"),
}
CHARTS = ("bar", "stacked_bar", "line", "heat_map", "funnel")
WIDTHS = ("half", "full")
PARAMETERS = ("customer_id", "as_of", "time_zone", "rows")
ROWS, MOST_ROWS = 100, 2_000

KNOWN = {
    *("title", "question", "kind", "sql", "columns", "chart", "width", "empty"),
    *("rows", "page_by", "descending"),
}

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")


class PanelError(Exception):
    """A declaration that cannot be used; the message names file, panel and fault."""


@dataclass(frozen=True)
class Column:
    """A column that readers see.

    `link` is an address below the tenant's own, such as `customers/{customer_id}`, with names of
    the query's columns in braces; a row where one of them is null has no link. `currency` names
    the column with the currency of an amount.
    """

    name: str
    label: str
    format: str
    link: str | None = None
    currency: str | None = None

    @property
    def kind(self) -> str:
        """The class of its cells."""
        if is_number(self.format):
            return "number"
        if self.format == "code":
            return "code"
        return "short" if is_short(self.format) else "words"

    def link_columns(self) -> set[str]:
        """The columns of the query that its link is made of."""
        return {field for _, field, _, _ in Formatter().parse(self.link or "") if field}


@dataclass(frozen=True)
class Panel:
    """A question, the query that answers it, and how the answer is shown.

    `rows` is how many are shown of a query that asks for `:rows`, which is one more, to tell
    whether there are others. With `page_by` the query has neither order nor limit: these columns,
    which are never null and together tell every row from the others, order it, `rows` to a page.
    """

    key: str
    title: str
    question: str
    kind: str
    sql: str
    columns: tuple[Column, ...]
    roles: Mapping[str, str]
    width: str
    empty: str
    rows: int = ROWS
    page_by: tuple[str, ...] = ()
    descending: bool = False

    def column(self, role: str) -> Column:
        """The column that plays this part in the chart."""
        return next(column for column in self.columns if column.name == self.roles[role])

    def needed_columns(self) -> set[str]:
        """What the query must return."""
        needed = {column.name for column in self.columns} | set(self.page_by)
        for column in self.columns:
            needed |= column.link_columns() | ({column.currency} if column.currency else set())
        return needed

    def parameters(self) -> set[str]:
        """The names that the query wants values for."""
        return set(_PARAMETER.findall(_without_comments(self.sql)))


@dataclass(frozen=True)
class Broken:
    """A page or panel that cannot be used, and why, for the log."""

    title: str
    cause: str


@dataclass(frozen=True)
class Page:
    """A page of panels; `order` is its place in the navigation, None keeps it out of there."""

    name: str
    title: str
    question: str
    order: int | None
    panels: tuple[Panel | Broken, ...]
    fault: str | None = None


def load_pages(folder: Path = PAGES_DIR) -> dict[str, Page]:
    """Every page of the folder by name, in the order of the navigation."""
    pages = [load_page(file) for file in sorted(folder.glob("*.yml"))]
    pages.sort(key=lambda page: (page.order is None, page.order, page.name))
    return {page.name: page for page in pages}


def load_page(file: Path) -> Page:
    """Read a page; one that cannot be read has a fault and no panels."""
    title = file.stem.replace("_", " ").capitalize()
    try:
        declared = _mapping(read_yaml(file), file.name)
        panels = _list(declared, "panels", file.name)
        _refuse_unknown(declared, {"title", "question", "order", "panels"}, file.name)
        order = declared.get("order")
        if order is not None and not isinstance(order, int):
            raise PanelError(f"{file.name}: order must be a whole number")
        return Page(
            name=file.stem,
            title=_text(declared, "title", file.name),
            question=_text(declared, "question", file.name),
            order=order,
            panels=tuple(
                load_panel(one, number, file) for number, one in enumerate(panels, start=1)
            ),
        )
    except (PanelError, yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        cause = f"{file.name}: {error}" if isinstance(error, yaml.YAMLError) else str(error)
        return Page(file.stem, title, "", 99, (), " ".join(cause.split()))


def load_panel(declared: Any, number: int, file: Path) -> Panel | Broken:
    """Read one panel of a page; one that cannot be used is Broken."""
    title = f"Panel {number}"
    try:
        place = f"{file.name} panel {number}"
        declared = _mapping(declared, place)
        title = _text(declared, "title", place)
        return _panel(declared, f"{file.stem}-{number}", f"{place} ({title})", file.parent)
    except (PanelError, OSError, UnicodeDecodeError) as error:
        return Broken(title, str(error))


def _panel(declared: Mapping[str, Any], key: str, place: str, folder: Path) -> Panel:
    _refuse_unknown(declared, KNOWN, place)
    kind = _one_of(declared, "kind", tuple(ROLES), place)
    columns = tuple(
        _column(one, f"{place} column {number}")
        for number, one in enumerate(_list(declared, "columns", place), start=1)
    )
    panel = Panel(
        key=key,
        title=_text(declared, "title", place),
        question=_text(declared, "question", place),
        kind=kind,
        sql=_query(_text(declared, "sql", place), folder, place),
        columns=columns,
        roles=_roles(declared.get("chart") or {}, kind, columns, place),
        width=_one_of({"width": "half"} | dict(declared), "width", WIDTHS, place),
        empty=str(declared.get("empty", "Nothing to show yet.")),
        rows=_whole(declared, "rows", place),
        page_by=_page_by(declared, kind, place),
        descending=_flag(declared, "descending", place),
    )
    if panel.page_by and "rows" in panel.parameters():
        raise PanelError(f"{place}: with page_by the query has neither order by nor limit")
    unknown = panel.parameters() - set(PARAMETERS)
    if unknown:
        raise PanelError(
            f"{place}: the query wants :{sorted(unknown)[0]}, but there are only "
            + ", ".join(f":{name}" for name in PARAMETERS)
        )
    return panel


def _column(declared: Any, place: str) -> Column:
    declared = _mapping(declared, place)
    _refuse_unknown(declared, {"name", "label", "format", "link", "currency"}, place)
    name = _text(declared, "name", place)
    return Column(
        name=name,
        label=str(declared.get("label") or name.replace("_", " ").capitalize()),
        format=_one_of({"format": "text"} | dict(declared), "format", tuple(FORMATS), place),
        link=declared.get("link"),
        currency=declared.get("currency"),
    )


def _roles(declared: Any, kind: str, columns: Sequence[Column], place: str) -> Mapping[str, str]:
    declared = _mapping(declared, f"{place} chart")
    wanted = set(ROLES[kind])
    if set(declared) != wanted:
        names = ", ".join(ROLES[kind]) or "nothing"
        raise PanelError(f"{place}: chart must name {names} for the kind {kind}")
    shown = {column.name for column in columns}
    for role, name in declared.items():
        if name not in shown:
            raise PanelError(f"{place}: chart.{role} is {name}, which is not among its columns")
    return {role: str(name) for role, name in declared.items()}


def _query(name: str, folder: Path, place: str) -> str:
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()) or file.suffix != ".sql":
        raise PanelError(f"{place}: sql must name a .sql file below {folder.name}/, not {name}")
    if not file.is_file():
        raise PanelError(f"{place}: there is no file {folder.name}/{name}")
    return file.read_text(encoding="utf-8").rstrip().rstrip(";")


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PanelError(f"{place}: must be a mapping of names to values")
    return value


def _list(declared: Mapping[str, Any], name: str, place: str) -> list[Any]:
    value = declared.get(name)
    if not isinstance(value, list) or not value:
        raise PanelError(f"{place}: {name} must be a list that is not empty")
    return value


def _text(declared: Mapping[str, Any], name: str, place: str) -> str:
    value = declared.get(name)
    if not isinstance(value, str) or not value.strip():
        raise PanelError(f"{place}: {name} is missing, or is no text")
    return value.strip()


def _whole(declared: Mapping[str, Any], name: str, place: str) -> int:
    value = declared.get(name, ROWS)
    if not isinstance(value, int) or not 0 < value < MOST_ROWS:
        raise PanelError(f"{place}: {name} must be a whole number below {MOST_ROWS}")
    return value


def _page_by(declared: Mapping[str, Any], kind: str, place: str) -> tuple[str, ...]:
    if "page_by" not in declared:
        return ()
    names = _list(declared, "page_by", place)
    if kind != "table":
        raise PanelError(f"{place}: page_by is for tables, not for the kind {kind}")
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise PanelError(f"{place}: page_by must list names of columns of the query")
    return tuple(names)


def _flag(declared: Mapping[str, Any], name: str, place: str) -> bool:
    value = declared.get(name, False)
    if not isinstance(value, bool):
        raise PanelError(f"{place}: {name} must be true or false")
    return value


def _one_of(declared: Mapping[str, Any], name: str, allowed: Sequence[str], place: str) -> str:
    value = declared.get(name)
    if value not in allowed:
        raise PanelError(f"{place}: {name} is {value}; it must be one of {', '.join(allowed)}")
    return str(value)


def _refuse_unknown(declared: Mapping[str, Any], known: set[str], place: str) -> None:
    unknown = sorted(str(name) for name in declared if name not in known)
    if unknown:
        raise PanelError(f"{place}: {unknown[0]} is unknown; known are {', '.join(sorted(known))}")
