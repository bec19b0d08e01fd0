"""The parts of dbt that sqlfluff needs to render a model: it lints without dbt and a database."""

import datetime
import re
from types import SimpleNamespace
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from jinja2.utils import missing


@pass_context
def _dispatch(context: Context, macro_name: str, macro_namespace: str | None = None) -> Any:
    found = context.resolve_or_missing(f"postgres__{macro_name}")
    return context.resolve(f"default__{macro_name}") if found is missing else found


def _raise_compiler_error(message: str) -> None:
    raise ValueError(message)


def var(name: str, default: Any = None) -> Any:
    """Return the default: every var has one that its macros accept."""
    return default


class _AnyName(str):
    """Equals every name, so that the graph below knows every model."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    __hash__ = str.__hash__


_node = SimpleNamespace(
    resource_type="model",
    name=_AnyName(),
    database="journey",
    schema="intermediate",
    alias="before",
)
execute = True
graph = SimpleNamespace(nodes={"model": _node})
adapter = SimpleNamespace(
    dispatch=_dispatch, get_relation=lambda database, schema, name: f"{schema}.{name}"
)
exceptions = SimpleNamespace(raise_compiler_error=_raise_compiler_error)
run_started_at = datetime.datetime(2026, 7, 1, tzinfo=datetime.UTC)
modules = SimpleNamespace(
    datetime=datetime,
    re=re,
    pytz=SimpleNamespace(utc=datetime.UTC),
)
dbt = SimpleNamespace(
    array_append=lambda array, item: f"array_append({array}, {item})",
    array_construct=lambda items, data_type: f"array[{', '.join(items)}]::{data_type}[]",
    dateadd=lambda part, count, start: f"{start} + interval '1 {part}' * {count}",
    type_bigint=lambda: "bigint",
    type_boolean=lambda: "boolean",
    type_int=lambda: "integer",
    type_numeric=lambda: "numeric",
    type_string=lambda: "text",
)
