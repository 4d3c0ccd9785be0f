"""Libraries whose package makes the table. Source: each CREATE TABLE, as of November 2026."""

from ragkit.migration.discovery.presets.preset import Preset

_PATH = "options=-csearch_path%3D{schema},public at the end of the connection string"
_PGVECTOR = frozenset({"collection_id", "embedding", "document", "cmetadata"})
_LLAMA = frozenset({"text", "metadata_", "embedding"})
_LLAMA_LINES = ('schema_name="{schema}"', "perform_setup=False", "embed_dim={dimension}")
_HAYSTACK = frozenset({"id", "embedding", "content", "blob_data", "blob_meta", "meta"})
_HAYSTACK_LINES = ("embedding_dimension={dimension}",)
_HAYSTACK_REMARK = (
    "Haystack reads every column: as long as there are two vector columns, each document that it "
    "finds has the other vector in its meta"
)

LIBRARIES = (
    Preset(
        "LangChain PGVector", _PGVECTOR | {"id"}, "view", (_PATH,), content="document",
        collections="collection_id",
    ),
    Preset(
        "LangChain PGVector before langchain-postgres 0.0.9", _PGVECTOR | {"uuid"}, "view",
        (_PATH,), content="document", collections="collection_id",
        remark="keep the package that made the table until the migration is over: "
        "langchain-postgres 0.0.9 and newer look for a key named id, and this one has uuid",
    ),
    Preset(
        "LangChain PGVectorStore",
        frozenset({"langchain_id", "langchain_metadata", "content", "embedding"}), "column",
        ('embedding_column="{column}"',), content="content",
    ),
    Preset(
        "LlamaIndex, hybrid", _LLAMA | {"node_id", "text_search_tsv"}, "view", _LLAMA_LINES,
        content="text", by_schema=True,
    ),
    Preset(
        "LlamaIndex", _LLAMA | {"node_id"}, "view", _LLAMA_LINES, content="text", by_schema=True
    ),
    Preset(
        "LlamaIndex before 0.7", _LLAMA | {"doc_id"}, "view", _LLAMA_LINES, content="text",
        refused="the current package does not read it, because it has doc_id and not node_id: "
        "ALTER TABLE {table} RENAME COLUMN doc_id TO node_id; deploy the current package, then run "
        "init again",
    ),
    Preset(
        "Haystack before pgvector-haystack 3", _HAYSTACK | {"dataframe"}, "swap", _HAYSTACK_LINES,
        content="content", remark=_HAYSTACK_REMARK,
    ),
    Preset(
        "Haystack", _HAYSTACK, "swap", _HAYSTACK_LINES, content="content", remark=_HAYSTACK_REMARK
    ),
    Preset(
        "mem0", frozenset({"id", "vector", "payload"}), "view",
        ("embedding_model_dims={dimension}", _PATH),
        json="payload", keys=("data",), types={"payload": ("jsonb",)},
    ),
    Preset(
        "vecs", frozenset({"id", "vec", "metadata"}), "view",
        ('vx.meta.schema = "{schema}"', "Collection(name, {dimension}, vx)"),
        json="metadata", keys=("text", "content", "document", "body", "chunk"),
        types={"metadata": ("jsonb",)}, by_schema=True,
        remark="vecs keeps no text of its own: it is what the metadata holds. get_collection looks "
        "in the schema vecs only, so that the new revision makes its Collection itself",
    ),
)  # fmt: skip
