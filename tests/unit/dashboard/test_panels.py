"""The declarations of the pages."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestration.dashboard.formats import Look
from orchestration.dashboard.panels import (
    PAGES_DIR,
    Broken,
    Panel,
    load_page,
    load_pages,
)
from orchestration.dashboard.views import show_panel

LOOK = Look("EUR", "Europe/Berlin")
GOOD = {
    "title": "Good",
    "question": "Does it work?",
    "kind": "bar",
    "sql": "good.sql",
    "columns": [
        {"name": "stage", "format": "label", "link": "customers?stage={stage}"},
        {"name": "people", "format": "integer"},
    ],
    "chart": {"label": "stage", "value": "people"},
}
TABLE: dict[str, object] = {"kind": "table", "chart": {}}


def page_with(folder: Path, *panels: object, **more: object) -> Path:
    """A page of these panels, with a query beside it."""
    (folder / "good.sql").write_text("select stage, people from marts.somewhere")
    (folder / "cut.sql").write_text("select stage, people from marts.somewhere limit :rows")
    file = folder / "some_page.yml"
    declared = {"title": "Some page", "question": "What?", "order": 1, "panels": list(panels)}
    file.write_text(yaml.safe_dump(declared | more))
    return file


def first_panel(file: Path) -> Panel:
    panel = load_page(file).panels[0]
    assert isinstance(panel, Panel), panel.cause
    return panel


def test_the_pages_that_we_ship_are_whole() -> None:
    """Prevents: a release whose page has a panel that cannot be used."""
    pages = load_pages()
    assert next(iter(pages)) == "overview"
    for page in pages.values():
        assert page.fault is None
        assert not [panel for panel in page.panels if isinstance(panel, Broken)]
        assert all(panel.question.endswith("?") for panel in page.panels)  # type: ignore[union-attr]
    named = {panel.sql for page in pages.values() for panel in page.panels}  # type: ignore[union-attr]
    written = {file.read_text().rstrip() for file in PAGES_DIR.glob("*/*.sql")}
    assert written == named


def test_no_query_names_a_tenant() -> None:
    """Prevents: a page that relies on a condition that somebody forgets in the next query."""
    for file in PAGES_DIR.glob("*/*.sql"):
        query = file.read_text()
        assert "tenant_id =" not in query.replace(".tenant_id = ", ""), file
        assert ":tenant" not in query, file
        assert "journey.tenant" not in query, file


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "pie"}, "kind is pie; it must be one of"),
        ({"sql": "missing.sql"}, "there is no file"),
        ({"sql": "../../secrets.sql"}, "must name a .sql file below"),
        ({"chart": {"label": "stage"}}, "chart must name label, value"),
        ({"chart": {"label": "stage", "value": "nobody"}}, "which is not among its columns"),
        ({"columns": []}, "columns must be a list"),
        ({"columns": [{"name": "stage", "format": "roman"}]}, "format is roman"),
        ({"columns": [{"label": "Stage"}]}, "name is missing"),
        ({"colour": "red"}, "colour is unknown"),
        ({"title": ""}, "title is missing"),
        ({"width": "third"}, "width is third"),
        ({"rows": "many"}, "rows must be a whole number"),
        ({"page_by": ["stage"]}, "page_by is for tables, not for the kind bar"),
        ({"page_by": "stage"}, "page_by must be a list"),
        (TABLE | {"page_by": ["stage desc"]}, "page_by must list names of columns"),
        (TABLE | {"page_by": ["stage"], "descending": "yes"}, "descending must be true or false"),
        (TABLE | {"page_by": ["stage"], "sql": "cut.sql"}, "neither order by nor limit"),
    ],
)
def test_a_broken_panel_says_why_and_leaves_the_others(
    tmp_path: Path, change: dict[str, object], told: str
) -> None:
    """Prevents: one wrong word in a declaration that takes the whole page down."""
    page = load_page(page_with(tmp_path, GOOD | change, GOOD))
    broken, good = page.panels
    assert isinstance(broken, Broken)
    assert told in broken.cause
    assert "some_page.yml panel 1" in broken.cause
    assert isinstance(good, Panel)


@pytest.mark.parametrize("text", ["panels: [", "just words", "title: x\npanels: 3", "\x00"])
def test_a_page_that_cannot_be_read_has_a_fault(tmp_path: Path, text: str) -> None:
    """Prevents: a dashboard that does not start because of a bracket."""
    (tmp_path / "some_page.yml").write_text(text)
    page = load_pages(tmp_path)["some_page"]
    assert "some_page.yml" in str(page.fault)
    assert (page.title, page.panels) == ("Some page", ())


def test_a_query_may_only_ask_for_what_there_is(tmp_path: Path) -> None:
    """Prevents: a panel that fails at every visit, because nobody gives it a value."""
    file = page_with(tmp_path, GOOD)
    (tmp_path / "good.sql").write_text("select 1 where x = :weather")
    panel = load_page(file).panels[0]
    assert isinstance(panel, Broken)
    assert ":weather" in panel.cause
    (tmp_path / "good.sql").write_text("select a::text -- :weather\nwhere b = :customer_id;")
    assert first_panel(file).parameters() == {"customer_id"}


def test_links_carry_values_as_values(tmp_path: Path) -> None:
    """Prevents: a value that leads elsewhere than to the page that the link means."""
    panel = first_panel(page_with(tmp_path, GOOD))
    rows = [
        {"stage": "a&b=c/../x", "people": 1},
        {"stage": None, "people": 2},
    ]
    view = show_panel(panel, rows, LOOK, "/t/aurora")
    assert view.rows[0][0].href == "/t/aurora/customers?stage=a%26b%3Dc%2F..%2Fx"
    assert view.rows[1][0].href is None
    assert [row[1].text for row in view.rows] == ["1", "2"]
    assert [name for name, _ in view.drawings] == ["wide", "narrow"]


def test_a_table_that_is_cut_says_so(tmp_path: Path) -> None:
    """Prevents: a list that ends after some rows, and readers who take it for everything."""
    file = page_with(tmp_path, GOOD | {"rows": 2})
    (tmp_path / "good.sql").write_text("select stage, people from marts.somewhere limit :rows")
    panel = first_panel(file)
    people = [{"stage": "vip", "people": number} for number in range(3)]
    cut = show_panel(panel, people, LOOK, "/t/aurora")
    whole = show_panel(panel, people[:2], LOOK, "/t/aurora")
    assert (len(cut.rows), cut.is_cut) == (2, True)
    assert (len(whole.rows), whole.is_cut) == (2, False)


def test_no_rows_are_said_in_words(tmp_path: Path) -> None:
    """Prevents: an empty chart that looks like a fault."""
    panel = first_panel(page_with(tmp_path, GOOD | {"empty": "Nobody yet."}))
    view = show_panel(panel, [], LOOK, "/t/aurora")
    assert (view.is_empty, view.empty, view.drawings) == (True, "Nobody yet.", ())
