"""The reference of all parameters, from their descriptions: for `ragkit params` and the docs."""

from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ragkit.errors import ConfigError
from ragkit.migration.plan.plan import Plan

BEGIN, END = "<!-- begin: ragkit params -->\n", "<!-- end: ragkit params -->"
"""The marks of a page between which the reference stands."""


def reference() -> str:
    """Markdown: a heading, a sentence and a table for each section."""
    return "\n".join(_sections()).strip() + "\n"


def insert_reference(page: str) -> str:
    """The page with the current reference between its marks. Raises ConfigError without marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ConfigError(f"the page has no marks {BEGIN.strip()} and {END}")
    return f"{head}{BEGIN}\n{reference()}\n{END}{tail}"


def _sections() -> Iterator[str]:
    for name, info in Plan.model_fields.items():
        section = info.annotation
        if get_origin(section) is dict:
            section = get_args(section)[1]
        assert isinstance(section, type)
        assert issubclass(section, BaseModel)
        yield f"### `{name}`\n\n{section.__doc__}\n"
        yield "| field | default | meaning |\n|---|---|---|"
        for field, details in section.model_fields.items():
            yield f"| `{details.alias or field}` | {_default(details)} | {details.description} |"
        yield ""


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default == "":
        return "empty"
    if field.default is None:
        return "the catalogue's"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default}`"
