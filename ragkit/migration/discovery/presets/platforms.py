"""Platforms and web frameworks. Source: each CREATE TABLE, as of November 2026."""

from ragkit.migration.discovery.presets.preset import Preset

_CHUNK = frozenset({"id", "vector", "collection_name", "text", "vmetadata"})
_DOCUMENT = frozenset({"id", "content", "metadata", "embedding"})
_OPEN_WEBUI = "RAG_EMBEDDING_MODEL and PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH={dimension}"

PLATFORMS = (
    Preset(
        "Open WebUI, encrypted", _CHUNK, "swap", _OPEN_WEBUI, types={"text": ("bytea",)},
        refused="its texts are encrypted (PGVECTOR_PGCRYPTO), so that nobody but the app can embed "
        "them: let Open WebUI index them again",
    ),
    Preset(
        "Open WebUI", _CHUNK, "swap", _OPEN_WEBUI, content="text",
        remark="Open WebUI fills a vector with zeros up to PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH: "
        "the old model must do so too, or be one that is not called",
    ),
    Preset(
        "Dify", frozenset({"id", "text", "meta", "embedding"}), "swap",
        "UPDATE datasets SET embedding_model = …, embedding_model_provider = … in its own database",
        content="text", table="embedding_vector_index_",
        remark="changing the model in Dify's pages would embed everything again: change its row",
    ),
    Preset(
        "Spring AI", _DOCUMENT, "view",
        "spring.ai.vectorstore.pgvector.schema-name={schema} and initialize-schema=false",
        content="content", types={"metadata": ("json",)},
    ),
    Preset(
        "Supabase", _DOCUMENT, "view", 'the client\'s option schema: "{schema}"',
        content="content", sign="match_documents",
    ),
    Preset(
        "the Jump Start Solution",
        frozenset({"description", "location", "terminal", "category", "hour", "content"}),
        "column", "RAGKIT_COLUMN", content="content",
    ),
    Preset(
        "Django", frozenset({"id"}), "column",
        'VectorField(dimensions={dimension}, db_column="{column}")', sign="django_migrations",
    ),
)  # fmt: skip
"""The first that fits is taken: an encrypted table has the columns of a plain one."""
