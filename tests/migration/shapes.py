"""Tables of other shapes: a key of two columns, a text from columns and JSON, several collections
in one table."""

import json

import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.terms.terms import Terms
from tests.conftest import OLD, TEXTS, changed, embedder_of, make_plan

CONTENT = "(title || E'\\n' || (payload ->> 'data'))"
SHAPE = {
    "table.key": ("tenant", "id"),
    "table.content": CONTENT,
    "table.label": "title",
    "table.where": "collection = 'a'",
}
TABLE = """
    create table "Amenities" (
        tenant text not null, id int not null, collection text not null, title text,
        payload jsonb, "100%%" text, embedding vector(256), primary key (tenant, id)){}
"""
INSERT = sa.text("""
    insert into "Amenities" (tenant, id, collection, title, payload, embedding)
    values (:tenant, :id, :collection, :title, cast(:payload as jsonb), cast(:vector as vector))
""")
PARTITIONED = (" partition by list (tenant)", ("t", "u"))


def shaped_plan(**changes: object) -> Plan:
    return changed(make_plan(), {**SHAPE, **changes})


def make_shaped(engine: sa.Engine, partitioned: bool = False) -> None:
    """Six rows in collection a and one in b, of two tenants."""
    with engine.begin() as connection:
        suffix, tenants = PARTITIONED
        connection.exec_driver_sql(TABLE.format(suffix if partitioned else ""))
        for tenant in tenants if partitioned else ():
            connection.exec_driver_sql(
                f"create table part_{tenant} partition of \"Amenities\" for values in ('{tenant}')"
            )
        for number, text in enumerate([*TEXTS, "Another collection. Of its own."], 1):
            collection = "a" if number <= len(TEXTS) else "b"
            insert(connection, "tu"[number % 2], number, collection, text)


def insert(connection: sa.Connection, tenant: str, id: int, collection: str, text: str) -> None:
    """A text of two sentences is a title and a payload."""
    title, _, data = text.partition(". ")
    vector = embedder_of(OLD).embed_query(text)
    row = {
        "tenant": tenant, "id": id, "collection": collection, "title": title,
        "payload": json.dumps({"data": data}), "vector": str(vector.tolist()),
    }  # fmt: skip
    connection.execute(INSERT, row)


def shaped_rows(migration: Migration) -> dict[str, tuple[str, str | None, list[float] | None]]:
    """Of every row of the table, by its key: the collection, the text and the new vector. In other
    words than the library's."""
    query = sa.text("""
        select '{' || tenant || ',' || id || '}', collection,
               title || chr(10) || jsonb_extract_path_text(payload, 'data'), "new vector"::text
        from "Amenities"
    """)
    with migration.engine.connect() as connection:
        return {
            key: (collection, text, vector and json.loads(vector))
            for key, collection, text, vector in connection.execute(query)
        }


def every_row(terms: Terms) -> Terms:
    return Terms(terms.key, terms.content)
