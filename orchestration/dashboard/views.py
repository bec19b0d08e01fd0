"""From a panel and its rows to what a template shows: texts, links and drawings, no decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from sqlalchemy import Connection

from orchestration.dashboard import charts
from orchestration.dashboard.charts import Drawing, Number, Series
from orchestration.dashboard.formats import Look
from orchestration.dashboard.paging import NO_PLACE, Turned, page_query, read_place, write_place
from orchestration.dashboard.panels import CHARTS, MOST_ROWS, Broken, Column, Panel
from orchestration.dashboard.reading import Row, Unanswered, ask

# The two widths for which charts are drawn; the style sheet shows one of them.
NARROW = 340
WIDE = {"half": 520, "full": 1_060}

BROKEN = "This panel cannot be shown. The log of the dashboard names the cause."


@dataclass(frozen=True)
class Cell:
    """One value of a table."""

    text: str
    kind: str
    href: str | None = None


@dataclass(frozen=True)
class Heading:
    """The head of a column."""

    text: str
    kind: str


@dataclass(frozen=True)
class PanelView:
    """A panel, ready to be shown."""

    key: str
    title: str
    question: str
    kind: str
    width: str
    problem: str | None = None
    cause: str | None = None
    is_empty: bool = False
    empty: str = ""
    headings: Sequence[Heading] = ()
    rows: Sequence[Sequence[Cell]] = ()
    drawings: Sequence[tuple[str, Markup]] = ()
    legend: Sequence[str] = ()
    is_cut: bool = False
    is_paged: bool = False
    following: str | None = None
    """The address of the page with the rows after these."""
    beginning: str | None = None
    """The address of the page with the first rows, unless these are they."""
    is_astray: bool = False
    """Whether the address names no place in this list."""


def answer_panel(
    connection: Connection,
    panel: Panel | Broken,
    parameters: Mapping[str, Any],
    look: Look,
    root: str,
    turned: Turned,
) -> PanelView:
    """Ask a panel's query and show the answer, or say what happened.

    Args:
        parameters: values for whatever names the query wants.
        root: the address of the tenant's pages, below which links lead.
        turned: which of the panel's pages is asked for.
    """
    if isinstance(panel, Broken):
        return PanelView("", panel.title, "", "broken", "half", BROKEN, panel.cause)
    known = {**parameters, "rows": panel.rows + 1}
    wanted = {name: known[name] for name in panel.parameters()}
    query, place = panel.sql, turned.places.get(panel.key) if panel.page_by else None
    if panel.page_by:
        after = read_place(place, len(panel.page_by)) if place else []
        if after is None:
            return _astray(panel, turned)
        query = page_query(panel.sql, panel.page_by, panel.descending, begins=not after)
        wanted |= {"rows": panel.rows + 1}
        wanted |= {f"after_{number}": value for number, value in enumerate(after)}
    answer = ask(connection, query, wanted)
    if isinstance(answer, Unanswered):
        if place and answer.is_bad_value:
            return _astray(panel, turned)
        return _said(panel, answer.words, answer.cause)
    names, rows = answer
    missing = sorted(panel.needed_columns() - set(names))
    if missing:
        return _said(panel, BROKEN, f"the query of {panel.title} has no column {missing[0]}")
    view = show_panel(panel, rows, look, root)
    return _turn(panel, view, rows, turned) if panel.page_by else view


def _turn(panel: Panel, view: PanelView, rows: Sequence[Row], turned: Turned) -> PanelView:
    """The panel with the ways to its other pages."""
    is_further = bool(turned.places.get(panel.key))
    following = None
    if view.is_cut:
        last = rows[panel.rows - 1]
        following = turned.address(panel.key, write_place(last[key] for key in panel.page_by))
    return replace(
        view,
        is_paged=True,
        empty="There is nothing further down." if is_further else view.empty,
        following=following,
        beginning=turned.address(panel.key, "") if is_further else None,
    )


def _astray(panel: Panel, turned: Turned) -> PanelView:
    beginning = turned.address(panel.key, "")
    return replace(_said(panel, NO_PLACE), beginning=beginning, is_astray=True)


def show_panel(panel: Panel, rows: Sequence[Row], look: Look, root: str) -> PanelView:
    """Show rows as the panel declares it."""
    is_limited = panel.page_by or "rows" in panel.parameters()
    most = panel.rows if is_limited else MOST_ROWS - 1
    rows, more = rows[:most], len(rows) > most
    drawings: Sequence[tuple[str, Markup]] = ()
    legend: Sequence[str] = ()
    if rows and panel.kind in CHARTS:
        drawings, legend = _draw(panel, rows, look)
    return PanelView(
        key=panel.key,
        title=panel.title,
        question=panel.question,
        kind=panel.kind,
        width=panel.width,
        is_empty=not rows or (panel.kind == "alert" and not rows[0][panel.roles["value"]]),
        empty=panel.empty,
        headings=[Heading(column.label, column.kind) for column in panel.columns],
        rows=[[show_cell(column, row, look, root) for column in panel.columns] for row in rows],
        drawings=drawings,
        legend=legend,
        is_cut=more,
    )


def show_cell(column: Column, row: Row, look: Look, root: str) -> Cell:
    """One value as text, with its link when every part of the link is there."""
    href = None
    if column.link:
        parts = {name: row[name] for name in column.link_columns()}
        if all(value is not None for value in parts.values()):
            href = f"{root}/" + column.link.format(
                **{name: quote(str(value), safe="") for name, value in parts.items()}
            )
    currency = row[column.currency] if column.currency else None
    shown = look.show(row[column.name], column.format, currency)
    return Cell(shown, column.kind, href)


def _said(panel: Panel, words: str, cause: str | None = None) -> PanelView:
    return PanelView(panel.key, panel.title, panel.question, panel.kind, panel.width, words, cause)


def _draw(
    panel: Panel, rows: Sequence[Row], look: Look
) -> tuple[list[tuple[str, Markup]], Sequence[str]]:
    draw, legend = _PAINTERS[panel.kind](panel, rows, look)
    variants = []
    for variant, width in (("wide", WIDE[panel.width]), ("narrow", NARROW)):
        drawing = Drawing(f"{panel.key}-{variant}", panel.title, panel.question, width)
        variants.append((variant, draw(drawing)))
    return variants, legend


Paint = Callable[[Drawing], Markup]


def _bar(panel: Panel, rows: Sequence[Row], look: Look) -> tuple[Paint, Sequence[str]]:
    labels = _shown(panel.column("label"), rows, look)
    values = [row[panel.roles["value"]] or 0 for row in rows]
    shown = _shower(panel.column("value"), look)
    return lambda drawing: charts.bar(drawing, labels, values, shown), ()


def _funnel(panel: Panel, rows: Sequence[Row], look: Look) -> tuple[Paint, Sequence[str]]:
    labels = _shown(panel.column("label"), rows, look)
    rates = _shown(panel.column("rate"), rows, look)
    values = [row[panel.roles["value"]] or 0 for row in rows]
    return lambda drawing: charts.funnel(drawing, labels, values, rates), ()


def _stacked_bar(panel: Panel, rows: Sequence[Row], look: Look) -> tuple[Paint, Sequence[str]]:
    labels, series = _series(panel, rows, look)
    shown = _shower(panel.column("value"), look)
    names = [one.name for one in series]
    return lambda drawing: charts.stacked_bar(drawing, labels, series, shown), names


def _line(panel: Panel, rows: Sequence[Row], look: Look) -> tuple[Paint, Sequence[str]]:
    labels, series = _series(panel, rows, look)
    shown = _shower(panel.column("value"), look)
    names = [one.name for one in series]
    return lambda drawing: charts.line(drawing, labels, series, shown), names


def _heat_map(panel: Panel, rows: Sequence[Row], look: Look) -> tuple[Paint, Sequence[str]]:
    row_keys = _distinct(row[panel.roles["row"]] for row in rows)
    column_keys = _distinct(row[panel.roles["column"]] for row in rows)
    found = {
        (row[panel.roles["row"]], row[panel.roles["column"]]): row[panel.roles["value"]]
        for row in rows
    }
    values = [
        [
            None if (value := found.get((down, across))) is None else float(value)
            for across in column_keys
        ]
        for down in row_keys
    ]
    down_names = [look.show(key, panel.column("row").format) for key in row_keys]
    across_names = [look.show(key, panel.column("column").format) for key in column_keys]
    shown = _shower(panel.column("value"), look)
    return (
        lambda drawing: charts.heat_map(drawing, down_names, across_names, values, shown),
        (),
    )


_PAINTERS: dict[str, Callable[[Panel, Sequence[Row], Look], tuple[Paint, Sequence[str]]]] = {
    "bar": _bar,
    "funnel": _funnel,
    "stacked_bar": _stacked_bar,
    "line": _line,
    "heat_map": _heat_map,
}


def _series(panel: Panel, rows: Sequence[Row], look: Look) -> tuple[list[str], list[Series]]:
    label, series, value = (panel.roles[role] for role in ("label", "series", "value"))
    labels = _distinct(row[label] for row in rows)
    found = {(row[series], row[label]): row[value] for row in rows}
    return (
        [look.show(key, panel.column("label").format) for key in labels],
        [
            Series(
                look.show(name, panel.column("series").format),
                [found.get((name, key)) for key in labels],
            )
            for name in _distinct(row[series] for row in rows)
        ],
    )


def _shown(column: Column, rows: Sequence[Row], look: Look) -> list[str]:
    return [look.show(row[column.name], column.format) for row in rows]


def _shower(column: Column, look: Look) -> Callable[[Number], str]:
    form = "whole_money" if column.format == "money" else column.format
    return lambda value: look.show(value, form)


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
