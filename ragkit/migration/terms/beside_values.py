"""Configured SQL as a part of a query with bound values, of which pg8000 takes each `%` for one.

Doubled it would be wrong in a query without values, and a part of a query cannot know which one it
is in.
"""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

_TOKEN = re.compile(
    r"E'((?:[^']|'')*)'"
    r"""|('(?:[^']|'')*'|"(?:[^"]|"")*")"""
    r"|[-+*/<>=~!@#%^&|`?]*%[-+*/<>=~!@#%^&|`?]*"  # an operator with it
)


def as_column(sql: str, type_: TypeEngine[Any]) -> sa.ColumnElement[Any]:
    """An expression as PostgreSQL writes it in pg_get_expr: a quote in a literal is doubled.

    pg8000 leaves alone what is between quotes, also where PostgreSQL sees a comment. The last
    backslash of an E'…' it takes for one before the quote.
    """
    return sa.literal_column(_TOKEN.sub(_hide, sql), type_)


def _hide(token: re.Match[str]) -> str:
    escaped, quoted = token.groups()
    if escaped is not None:
        return "'" + escaped.replace("\\\\", "\\") + "'"
    return quoted or f"/*'*/ {token[0]} /*'*/"
