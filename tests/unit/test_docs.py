"""What the documentation says and can be checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestration.dictionary import (
    DICTIONARY,
    DictionaryError,
    read_tables,
    write_dictionary,
)
from orchestration.settings import PROJECT_ROOT

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted([*PROJECT_ROOT.glob("*.md"), *(PROJECT_ROOT / "docs").rglob("*.md")])


def read(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The names under which the headings of a page can be linked to."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(read(page)))
    return {heading.strip().replace(" ", "-") for heading in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Prevents a reader who follows a link to a file or heading that was renamed."""
    for link in LINK.findall(read(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_readme() -> None:
    """Prevents a page that nobody finds."""
    readme = PROJECT_ROOT / "README.md"
    linked = {
        (PROJECT_ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(read(readme))
    }
    assert {page for page in PAGES if page.parent != PROJECT_ROOT} <= linked


def test_the_data_dictionary_is_that_of_the_models() -> None:
    """Prevents a dictionary of yesterday's columns."""
    written = DICTIONARY.read_text(encoding="utf-8")
    assert written == write_dictionary(read_tables()), "Write it anew with: make docs"


@pytest.mark.parametrize(
    ("sql", "declared", "words"),
    [
        ("{{ config(unique_key=['tenant_id', 'visit_id']) }}", "visits", None),
        ("select 1", "visits", "no unique_key"),
        ("{{ config(unique_key='visit_id') }}", "others", "visits is not declared"),
    ],
)
def test_a_model_without_a_key_or_declaration_is_refused(
    tmp_path: Path, sql: str, declared: str, words: str | None
) -> None:
    """Prevents a table that the dictionary leaves out without a word."""
    folder = tmp_path / "marts" / "web"
    folder.mkdir(parents=True)
    (folder / "visits.sql").write_text(sql)
    (folder / "others.sql").write_text("{{ config(unique_key='other_id') }}")
    (folder / "_web__models.yml").write_text(
        f"models: [{{name: {declared}, description: One row., columns: []}}]"
        if declared == "others"
        else "models:\n"
        "  - {name: visits, description: One row per visit., columns: []}\n"
        "  - {name: others, description: One row per other., columns: []}\n"
    )
    if words is None:
        assert [table.key for table in read_tables(tmp_path)] == [
            ("tenant_id", "visit_id"),
            ("other_id",),
        ]
    else:
        with pytest.raises(DictionaryError, match=words):
            read_tables(tmp_path)
