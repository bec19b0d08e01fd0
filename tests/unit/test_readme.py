"""What the README says and can be checked."""

from __future__ import annotations

import re

import pytest
import yaml
from typer.main import get_command

from orchestration.cli import app
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")


def marts() -> dict[str, tuple[str, str]]:
    """Folder and question (the description's second sentence) of each mart, by name."""
    found = {}
    for path in (DBT_PROJECT_DIR / "models" / "marts").glob("*/_*__models.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            sentences = re.split(r"(?<=[.?])\s+", " ".join(model["description"].split()))
            assert sentences[0].startswith("One row per "), model["name"]
            assert sentences[1].endswith("?"), model["name"]
            found[model["name"]] = (path.parent.name, sentences[1])
    return found


def test_the_table_of_marts_is_that_of_the_models() -> None:
    """Prevents a mart that nobody finds, and a question that its mart no longer answers."""
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| (.+) \|$", README, re.MULTILINE)
    assert {name: (folder, question) for folder, name, question in rows} == marts()
    files = (DBT_PROJECT_DIR / "models" / "marts").glob("*/*.sql")
    assert {path.stem for path in files} == set(marts())


def test_every_command_named_exists() -> None:
    """Prevents a newcomer's first error: a command or option that was renamed."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    named = re.findall(r"journey ([a-z][a-z-]*)((?: \[--[a-z-]+[^\]]*\])*)", README)
    assert len({name for name, _ in named}) > 8
    for name, options in named:
        assert name in commands, name
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", options)) <= known, name


@pytest.mark.parametrize("folder", ["seeds", "dbt_project", "macros", "tests", "bench"])
def test_every_folder_of_the_map_exists(folder: str) -> None:
    """Prevents a map of a place that has moved."""
    assert f"`{folder}/`" in README
    assert (PROJECT_ROOT / folder).is_dir()


def test_every_test_that_security_names_exists() -> None:
    """Prevents a claim about who sees what that nothing holds any more."""
    text = (PROJECT_ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    written = {
        name
        for file in (PROJECT_ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 10
    assert named <= written
