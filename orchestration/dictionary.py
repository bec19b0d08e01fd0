"""The data dictionary: every mart and sync model, from the declarations beside the models.

`python -m orchestration.dictionary` writes it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.declared import read_yaml
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT
from orchestration.warehouse.errors import JourneyError

DICTIONARY = PROJECT_ROOT / "docs" / "data-dictionary.md"
LAYERS = {"marts": "Marts", "sync": "Sync models"}

_UNIQUE_KEY = re.compile(r"\bunique_key=(\[[^\]]*\]|'[^']*')")
_INTRODUCTION = """\
# Data dictionary

Every table that people and tools read (schema `marts`) and every model of messages (schema
`sync`). Written by `make docs` from the declarations beside the models; change those, not this.

Amounts stand in the currency beside them, timestamps in UTC.
"""


class DictionaryError(JourneyError):
    """A model without a key or a declaration."""


@dataclass(frozen=True)
class Table:
    """A model as its readers see it.

    `columns` holds name, type, whether it is never null, and description.
    """

    layer: str
    folder: str
    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[tuple[str, str, bool, str], ...]


def read_tables(models: Path = DBT_PROJECT_DIR / "models") -> list[Table]:
    """Every mart and sync model, in the order of layers, folders and declarations.

    Raises:
        DictionaryError: a model has no key, or no declaration.
    """
    tables = []
    for layer in LAYERS:
        for file in sorted((models / layer).glob("*/_*__models.yml")):
            declared = read_yaml(file)["models"]
            tables += [_table(layer, file.parent, model) for model in declared]
        written = {file.stem for file in (models / layer).glob("*/*.sql")}
        undeclared = sorted(written - {table.name for table in tables})
        if undeclared:
            raise DictionaryError(
                f"{undeclared[0]} is not declared. Describe it in the YAML of its folder in "
                f"{models / layer}"
            )
    return tables


def write_dictionary(tables: list[Table]) -> str:
    """The tables as Markdown, with a list of links first."""
    return "\n".join([_INTRODUCTION, *_contents(tables), *_sections(tables)])


def main() -> None:
    """Write the file."""
    DICTIONARY.write_text(write_dictionary(read_tables()), encoding="utf-8")


def _table(layer: str, folder: Path, model: Mapping[str, Any]) -> Table:
    file = folder / f"{model['name']}.sql"
    found = _UNIQUE_KEY.search(file.read_text(encoding="utf-8"))
    if not found:
        raise DictionaryError(f"{file} has no unique_key in its config. Add the columns of its key")
    key = ast.literal_eval(found.group(1))
    return Table(
        layer=layer,
        folder=folder.name,
        name=model["name"],
        description=_line(model["description"]),
        key=(key,) if isinstance(key, str) else tuple(key),
        columns=tuple(
            (
                column["name"],
                column["data_type"],
                {"type": "not_null"} in column.get("constraints", []),
                _line(column["description"]),
            )
            for column in model["columns"]
        ),
    )


def _contents(tables: list[Table]) -> Iterator[str]:
    for layer, title in LAYERS.items():
        yield f"**{title}**\n"
        for folder in dict.fromkeys(table.folder for table in tables if table.layer == layer):
            links = (
                f"[`{table.name}`](#{table.name})"
                for table in tables
                if (table.layer, table.folder) == (layer, folder)
            )
            yield f"- {folder}: {', '.join(links)}"
        yield ""


def _sections(tables: list[Table]) -> Iterator[str]:
    for layer, title in LAYERS.items():
        yield f"## {title}\n"
        for table in tables:
            if table.layer == layer:
                yield f"### {table.name}\n"
                yield f"{table.description}\n"
                yield f"Key: {', '.join(f'`{column}`' for column in table.key)}\n"
                yield "| column | type | null | meaning |"
                yield "|---|---|---|---|"
                for name, data_type, is_never_null, meaning in table.columns:
                    null = "never" if is_never_null else ""
                    yield f"| `{name}` | {data_type} | {null} | {meaning} |"
                yield ""


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
