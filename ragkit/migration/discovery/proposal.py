"""A plan for a table that nobody has described: what is found out, and what must be asked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.connecting import describe
from ragkit.database.keys import Key
from ragkit.embedding.catalogue import CATALOGUE, find_model, is_plugin
from ragkit.errors import ConfigError, SchemaError
from ragkit.migration.discovery.answers import Answers, Ask, Question, answer_nothing
from ragkit.migration.discovery.choice import choose_table, require_texts
from ragkit.migration.discovery.collections import as_expression, choose_where
from ragkit.migration.discovery.presets.preset import Preset
from ragkit.migration.discovery.presets.recognition import find_preset, find_signs
from ragkit.migration.discovery.shape import Shape, TextColumn, read_texts, recognise
from ragkit.migration.discovery.tables import VectorTable, find_tables
from ragkit.migration.inspection.whose.identification import Identification, identify
from ragkit.migration.inspection.whose.vector_sample import MAX_COLUMNS, read_sample
from ragkit.migration.terms.expression import Expression

MIN_SHARE = 0.5
"""Of the sampled rows: what a model must explain to be taken for the old one, and how many must
hold a text for a column to be called filled."""
NEXT_MODEL = {"text-embedding-005": "gemini-embedding-001"}
SUGGESTED_MODEL = "text-embedding-005"


@dataclass(frozen=True)
class Proposal:
    """`sections` are those of a params file; `reasons` say by "section.field" where a value comes
    from; `notes` are sentences about what was found."""

    sections: dict[str, dict[str, str | list[str]]]
    reasons: dict[str, str]
    notes: list[str]


def propose(engine: sa.Engine, url: str, answers: Answers, ask: Ask = answer_nothing) -> Proposal:
    """Reads the catalogue and up to a thousand rows; calls the models that can be called with a few
    dozen texts. Changes nothing. `url` is the plan's database.url.

    Raises ConfigError (an answer is missing or wrong), SchemaError (no table here can be migrated)
    or DatabaseError.
    """
    database = describe(engine.url)
    table = choose_table(find_tables(engine), answers, ask, database)
    preset = find_preset(table, find_signs(engine))
    texts = read_texts(engine, table, preset)
    shape = recognise(table, require_texts(table, texts, preset), preset)
    key = _choose_key(table, answers)
    where = choose_where(engine, table, preset, answers, ask)
    found = _identify(engine, table, key, shape, where, answers)
    content = _choose_content(shape, found, answers)
    old_model = answers.old_model or _choose_old_model(table, found, content, ask)
    new_model = answers.new_model or ask(_new_model(old_model))
    if not is_plugin(new_model) and not find_model(new_model).is_callable:
        raise ConfigError(f"{new_model} is not in the catalogue: it can be the old model only")
    label = _one_of("label", answers.label, [*table.columns]) or shape.label
    category = _one_of("category", answers.category, [*table.columns]) or shape.category
    new_column = answers.new_column or _column_name(new_model, [*table.columns])
    app_url = answers.app_url or ask(
        Question("app-url", "the address of the app that searches the table; empty: later", [], "")
    )
    sections: dict[str, dict[str, str | list[str]]] = {
        "database": {"url": url, "expect": database},
        "table": {
            "schema": table.schema, "name": table.name,
            "key": list(key) if len(key) > 1 else key[0], "content": content,
            "where": where,
            "label": "" if label == content else label,
            "category": "" if category in (content, label) else category,
            "distance": answers.distance or table.distance or "cosine",
        },
        "old": {"model": old_model, "column": table.column},
        "new": {"model": new_model, "column": new_column},
        "app": {"url": app_url, **_way(preset)},
    }  # fmt: skip
    reasons = {
        "database.url": "no password here: set DB_PASS",
        "database.expect": "another database is refused",
        "table.distance": "as the index says" if table.distance else "no index; check your app",
        "old.model": "by its vectors" if old_model == _best_model(found) else "not checked",
        "old.column": "it stays as it is",
        "new.model": "it is to serve",
        "new.column": "the backfill adds it",
        "table.where": "other rows stay as they are",
        "app.way": f"as {preset.name} needs it" if preset else "",
        "app.view_by": "it names the view's schema",
    }
    return Proposal(sections, reasons, _notes(table, preset, texts, content, new_column, found))


def _choose_key(table: VectorTable, answers: Answers) -> tuple[str, ...]:
    """Its columns: one, where there is one; several are named with commas."""
    known: dict[str, tuple[str, ...]] = {name: (name,) for name in table.keys}
    known = known or {",".join(table.composite): table.composite}
    return known[_one_of("key", answers.key, list(known)) or next(iter(known))]


def _one_of(name: str, answer: str, known: Sequence[str]) -> str:
    if answer and answer not in known:
        raise ConfigError(f"--{name} is {answer!r}; expected one of {', '.join(known)}")
    return answer


def _expression(table: VectorTable, name: str) -> Expression:
    """A column, or what a preset reads of a JSON column."""
    if name in table.columns:
        return Expression.column(name, "text")
    read = next(column for column in table.columns if name.startswith(f"({column}->>"))
    return Expression(name, (read,), (table.columns[read],))


def _identify(
    engine: sa.Engine,
    table: VectorTable,
    key: tuple[str, ...],
    shape: Shape,
    where: str,
    answers: Answers,
) -> Identification:
    known = [t.name for t in shape.contents]
    names = dict.fromkeys(n for n in (answers.content, *known) if n in known and n not in key)
    texts = [*names][:MAX_COLUMNS]
    vector = sa.column(table.column, VECTOR(table.dimension) if table.dimension else VECTOR())
    source = sa.table(table.name, vector, schema=table.schema)
    columns = {name: _expression(table, name) for name in texts}
    rows, types = as_expression(table, where), ("",) * len(key)
    sample = read_sample(engine, source, Key(key, types), table.column, columns, where=rows)
    return identify(sample, filter(None, (answers.old_model, answers.new_model)))


def _choose_content(shape: Shape, found: Identification, answers: Answers) -> str:
    """What the vectors were made of, where a model tells; else the likeliest column."""
    names = [text.name for text in shape.contents]
    if _one_of("content", answers.content, names):
        return answers.content
    best = found.best
    if best and best.share >= MIN_SHARE and best.template in names:
        return best.template
    return names[0]


def _choose_old_model(table: VectorTable, found: Identification, content: str, ask: Ask) -> str:
    best, plain = found.best, (content, "", "as they are")
    if best and best.share >= MIN_SHARE and (best.template, best.task, best.form) == plain:
        return best.model
    if table.dimension is None and not found.dimension:
        raise SchemaError(f"{table} holds no vector yet: there is nothing to migrate")
    unknown = f"unknown/{table.dimension or found.dimension}"
    text = f"which model made {table.column}? A model that cannot be called: name/dimension"
    return ask(Question("old-model", text, [], unknown))


def _best_model(found: Identification) -> str:
    return found.best.model if found.best else ""


def _new_model(old_model: str) -> Question:
    suggested = NEXT_MODEL.get(old_model, SUGGESTED_MODEL)
    known = ", ".join(CATALOGUE)
    text = (
        f"which model is to serve? Such as {suggested}; known: {known}, PROVIDER:NAME/DIMENSION, "
        "or module:attribute"
    )
    return Question("new-model", text)


def _column_name(model: str, taken: Sequence[str]) -> str:
    """Such as embedding_005 for text-embedding-005."""
    short = model.rpartition(":")[2].lower().removeprefix("text-embedding-")
    base = f"embedding_{re.sub(r'[^a-z0-9]+', '_', short).strip('_')}"[:60]
    names = (base, *(f"{base}_{n}" for n in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _way(preset: Preset | None) -> dict[str, str]:
    if preset is None:
        return {}
    return {"way": preset.way, **({"view_by": "schema"} if preset.by_schema else {})}


def _notes(
    table: VectorTable,
    preset: Preset | None,
    texts: Sequence[TextColumn],
    content: str,
    new_column: str,
    found: Identification,
) -> list[str]:
    notes = [f"{table}", f"the vectors: {found.describe()}"]
    if preset:
        notes.insert(1, f"it looks like a table of {preset.name}")
        named = {"schema": "ragkit_v2", "column": new_column, "dimension": "…"}
        lines = [line.format(**named) for line in preset.lines]
        changed = "; ".join(["the model", *lines])
        notes.append(f"its app is cut over by a {preset.way}; what changes of it: {changed}")
        notes += [preset.remark] if preset.remark else []
    filled = next(text.filled for text in texts if text.name == content)
    if filled < MIN_SHARE:
        notes.append(
            f"only {filled:.0%} of the sampled rows hold a text in {content}: the others get no "
            "vector; is it the right column?"
        )
    return notes
