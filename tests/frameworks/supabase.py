"""A `documents` table as Supabase's pages have it, with row-level security for its users."""

import sqlalchemy as sa

from ragkit.database.engine import autocommit

USER, OTHERS = "member", 40
OWN = "where metadata->>'tenant' = 'ana'"
TABLE = """
create table documents (
    id bigserial primary key, ref varchar unique, content text, embedding vector(64),
    metadata jsonb not null default jsonb_build_object('tenant', current_setting('app.tenant')));
alter table documents enable row level security;
create policy own_rows on documents for all to member
    using (metadata->>'tenant' = current_setting('app.tenant', true));
grant select, insert, update, delete on documents to member;
grant usage on sequence documents_id_seq to member;
create function match_documents (query_embedding vector(64), match_count int default null,
                                 filter jsonb default '{}')
returns table (id bigint, content text, metadata jsonb, similarity float)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
  select id, content, metadata, 1 - (documents.embedding <=> query_embedding) as similarity
  from documents where metadata @> filter
  order by documents.embedding <=> query_embedding limit match_count;
end $$
"""


def set_up(admin: sa.Engine, owner: sa.Engine) -> str:
    """The table of the owner's, with rows of somebody else. Answers the name of the role that may
    see its own rows only."""
    with autocommit(admin) as connection:
        if not connection.scalar(sa.text(f"select 1 from pg_roles where rolname = '{USER}'")):
            connection.exec_driver_sql(f"create role {USER} login")
    admin.dispose()
    with owner.begin() as connection:
        connection.exec_driver_sql(TABLE)
        connection.exec_driver_sql(
            "insert into documents (ref, content, embedding, metadata) "
            "select 'of ben ' || n, 'a secret of ben ' || n, array_fill(n, array[64])::vector, "
            f'\'{{"tenant": "ben"}}\' from generate_series(1, {OTHERS}) n'
        )
    return USER
