"""SQL types that SQLAlchemy has no class for."""

from sqlalchemy.types import UserDefinedType


class Verbatim(UserDefinedType):
    """A type by its name in PostgreSQL's catalogue."""

    cache_ok = True

    def __init__(self, name: str):
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name
