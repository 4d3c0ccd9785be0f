"""Tables of other people, as their frameworks make them."""

import pytest
import sqlalchemy as sa

from ragkit.embedding.load import load_embedder
from tests.conftest import TEXTS

MODEL = "wordllama-64"
TABLES = {
    "LangChain PGVector": (
        "create table langchain_pg_embedding (id varchar primary key, collection_id uuid, "
        "embedding vector, document varchar, cmetadata jsonb)",
        "insert into langchain_pg_embedding values ('k' || :n, gen_random_uuid(), "
        "cast(:vector as vector), :text, '{}')",
    ),
    "LangChain PGVectorStore": (
        "create table my_docs (langchain_id uuid primary key default gen_random_uuid(), "
        "content text not null, embedding vector(64) not null, langchain_metadata json)",
        "insert into my_docs (content, embedding) values (:text, cast(:vector as vector))",
    ),
    "LlamaIndex": (
        "create table data_llamaindex (id bigserial primary key, text varchar not null, "
        "metadata_ json, node_id varchar, embedding vector(64))",
        "insert into data_llamaindex (text, node_id, embedding) "
        "values (:text, 'node ' || :n, cast(:vector as vector))",
    ),
    "Haystack": (
        "create table haystack_documents (id varchar(128) primary key, embedding vector(64), "
        "content text, blob_data bytea, blob_meta jsonb, blob_mime_type varchar(255), meta jsonb)",
        "insert into haystack_documents (id, embedding, content) "
        "values (md5(:text), cast(:vector as vector), :text)",
    ),
    "Spring AI or Supabase": (
        "create table vector_store (id uuid default gen_random_uuid() primary key, content text, "
        "metadata json, embedding vector(64)); "
        "create index on vector_store using hnsw (embedding vector_l2_ops)",
        "insert into vector_store (content, embedding) values (:text, cast(:vector as vector))",
    ),
    "": (
        'create table "Shop Items" (sku text primary key, "title" text, department text, '
        '"long text" text, vec vector(64)); '
        'create index on "Shop Items" using hnsw (vec vector_ip_ops)',
        "insert into \"Shop Items\" values ('s' || :n, 'Item ' || :n, "
        "'part ' || mod(cast(:n as int), 3), :text, cast(:vector as vector))",
    ),
}


@pytest.fixture(autouse=True)
def no_google(monkeypatch):
    for name in ("GCP_PROJECT_ID", "INSTANCE_CONNECTION_NAME", "VERTEX_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(engine):
    """Runs statements."""

    def execute(*statements, **values):
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values)

    return execute


@pytest.fixture
def make(run):
    """A framework's table with the sample texts, and vectors that the model makes of them."""

    def build(framework, texts=TEXTS):
        create, insert = TABLES[framework]
        run(*create.split("; "))
        vectors = load_embedder(MODEL).embed_documents([text or "nothing" for text in texts])
        for n, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
            run(insert, n=str(n), text=text, vector=str(vector.tolist()))

    return build
