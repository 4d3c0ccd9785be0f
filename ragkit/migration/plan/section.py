"""What all sections of a plan share."""

from collections.abc import Iterator
from typing import Annotated, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

MAX_NAME = 63
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
"""A PostgreSQL name; longer ones would be cut."""
OptionalIdentifier = Annotated[str, Field(max_length=MAX_NAME)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A strict, immutable group of fields; each field has a description."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, serialize_by_alias=True)


def fields(plan: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """ "section.field" and its definition, for every field of the sections, in order; those that
    stand by a name of the user's are not among them."""
    for section, info in plan.model_fields.items():
        model = info.annotation
        if get_origin(model) is dict:
            continue
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for name, field in model.model_fields.items():
            yield f"{section}.{field.alias or name}", field


def is_text(field: FieldInfo) -> bool:
    """Whether it holds a str, or one of several."""
    choices = get_args(field.annotation)
    return field.annotation is str or bool(choices and all(isinstance(c, str) for c in choices))
