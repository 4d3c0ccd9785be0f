"""Vectors that are too wide for an index: refused before anything is paid, with what is left."""

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import MAX_HALFVEC_DIMENSION
from ragkit.embedding.catalogue import Model
from ragkit.embedding.catalogue.names import split_dimension
from ragkit.embedding.load import resolve_model
from ragkit.errors import ConfigError, ModelError
from ragkit.migration.migration import Migration

HALVES = 3
"""Each is measured on a sample."""
_HAS_BITS = sa.text("select exists (select from pg_proc where proname = 'binary_quantize')")


def is_too_wide(migration: Migration) -> bool:
    """Whether pgvector builds no index of the plan's type on the new vectors."""
    is_of_vectors = migration.plan.index.type in ("hnsw", "ivfflat")
    return is_of_vectors and migration.new.space.dimension > MAX_HALFVEC_DIMENSION


def shorter_names(model: Model) -> list[str]:
    """The model's shorter outputs that such an index takes, as a plan names them, longest first; of
    a model that makes every dimension, HALVES of them."""
    fitting = [d for d in model.shorter if d <= MAX_HALFVEC_DIMENSION]
    if isinstance(model.shorter, range):
        whole = model.whole or model.dimension
        halves = (whole >> n for n in range(1, whole.bit_length()))
        fitting = [half for half in halves if half in fitting][:HALVES]
    name, _ = split_dimension(model.name)
    return [f"{name}/{dimension}" for dimension in sorted(fitting, reverse=True)]


def require_index(migration: Migration) -> None:
    """Raises ConfigError, with what can be chosen instead, where the index cannot be built, or
    DatabaseError."""
    if migration.plan.index.type == "binary":
        _require_bits(migration)
    if not is_too_wide(migration):
        return
    dimension, name = migration.new.space.dimension, migration.plan.new.model
    try:
        names = shorter_names(resolve_model(name))
    except (ConfigError, ModelError):
        names = []
    shorter = f", new.model: {' or '.join(names)}" if names else ""
    raise ConfigError(
        f"{name} makes {dimension:,} dimensions, and an index of type "
        f"{migration.plan.index.type} takes {MAX_HALFVEC_DIMENSION:,}: set index.type: binary (an "
        "index of one bit a dimension, whose candidates are ranked by their vectors)"
        f"{shorter}, or index.type: none (exact search); ragkit plan says what each finds and "
        "takes; nothing was changed"
    )


def _require_bits(migration: Migration) -> None:
    with translate_errors("checking pgvector"), migration.engine.connect() as connection:
        has_bits = connection.scalar(_HAS_BITS)
    if not has_bits:
        raise ConfigError(
            "index.type is binary, and this pgvector has no binary_quantize, which came with 0.7: "
            "ALTER EXTENSION vector UPDATE; or set another index.type; nothing was changed"
        )
