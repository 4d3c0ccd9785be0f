"""Platforms and web frameworks. Source: each CREATE TABLE, as of November 2026."""

from ragkit.migration.discovery.presets.preset import Preset

_CHUNK = frozenset({"id", "vector", "collection_name", "text", "vmetadata"})
_DOCUMENT = frozenset({"id", "content", "metadata", "embedding"})
_WEBUI_LINES = ("PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH={dimension}",)

PLATFORMS = (
    Preset(
        "Open WebUI, encrypted", _CHUNK, "swap", _WEBUI_LINES, types={"text": ("bytea",)},
        refused="its texts are encrypted (PGVECTOR_PGCRYPTO), so that nobody but the app can embed "
        "them: let Open WebUI index them again",
    ),
    Preset(
        "Open WebUI", _CHUNK, "swap", _WEBUI_LINES, content="text",
        remark="Open WebUI fills a vector with zeros up to PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH: "
        "the old model must do so too, or be one that is not called",
    ),
    Preset(
        "Dify", frozenset({"id", "text", "meta", "embedding"}), "swap", (), content="text",
        table="embedding_vector_index_",
        remark="changing the model in Dify's pages would embed everything again: UPDATE datasets "
        "SET embedding_model = …, embedding_model_provider = … in Dify's own database instead",
    ),
    Preset(
        "Spring AI", _DOCUMENT, "view",
        ("spring.ai.vectorstore.pgvector.schema-name={schema}",
         "spring.ai.vectorstore.pgvector.dimensions={dimension}"),
        content="content", types={"metadata": ("json",)}, by_schema=True,
        remark="spring.ai.vectorstore.pgvector.initialize-schema must be false, its default",
    ),
    Preset(
        "Supabase", _DOCUMENT, "view", ('db: {{ schema: "{schema}" }}',), content="content",
        sign="match_documents", by_schema=True,
        remark="add the view's schema to the exposed schemas of the API; match_documents is there "
        "too",
    ),
    Preset(
        "the Jump Start Solution",
        frozenset({"description", "location", "terminal", "category", "hour", "content"}),
        "column", (), content="content",
    ),
    Preset(
        "Django", frozenset({"id"}), "column",
        ('VectorField(dimensions={dimension}, db_column="{column}")',), sign="django_migrations",
    ),
)  # fmt: skip
"""The first that fits is taken: an encrypted table has the columns of a plain one."""
