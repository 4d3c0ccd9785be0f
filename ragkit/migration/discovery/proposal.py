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
from ragkit.migration.discovery.shape import Shape, TextColumn, read_texts, recognise
from ragkit.migration.discovery.tables import USABLE, VectorTable, find_tables
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

    sections: dict[str, dict[str, str]]
    reasons: dict[str, str]
    notes: list[str]


def propose(engine: sa.Engine, url: str, answers: Answers, ask: Ask = answer_nothing) -> Proposal:
    """Reads the catalogue and up to a thousand rows; calls the models that can be called with a few
    dozen texts. Changes nothing. `url` is the plan's database.url.

    Raises ConfigError (an answer is missing or wrong), SchemaError (no table here can be migrated)
    or DatabaseError.
    """
    database = describe(engine.url)
    table = _choose_table(find_tables(engine), answers, ask, database)
    texts = read_texts(engine, table)
    shape = recognise(table, texts)
    key = _one_of("key", answers.key, table.keys) or table.keys[0]
    found = _identify(engine, table, key, shape, answers)
    content = _choose_content(shape, found, answers)
    old_model = answers.old_model or _choose_old_model(table, found, content, ask)
    new_model = answers.new_model or ask(_new_model(old_model))
    if not is_plugin(new_model) and not find_model(new_model).is_callable:
        raise ConfigError(f"{new_model} is not in the catalogue: it can be the old model only")
    label = _one_of("label", answers.label, table.columns) or shape.label
    category = _one_of("category", answers.category, table.columns) or shape.category
    new_column = answers.new_column or _column_name(new_model, table.columns)
    app_url = answers.app_url or ask(
        Question("app-url", "the address of the app that searches the table; empty: later", [], "")
    )
    sections = {
        "database": {"url": url, "expect": database},
        "table": {
            "schema": table.schema, "name": table.name, "key": key, "content": content,
            "label": "" if label == content else label,
            "category": "" if category in (content, label) else category,
            "distance": answers.distance or table.distance or "cosine",
        },
        "old": {"model": old_model, "column": table.column},
        "new": {"model": new_model, "column": new_column},
        "app": {"url": app_url},
    }  # fmt: skip
    reasons = {
        "database.url": "no password here: set DB_PASS",
        "database.expect": "another database is refused",
        "table.distance": "as the index says" if table.distance else "no index; check your app",
        "old.model": "by its vectors" if old_model == _best_model(found) else "not checked",
        "old.column": "it stays as it is",
        "new.model": "it is to serve",
        "new.column": "the backfill adds it",
    }
    return Proposal(sections, reasons, _notes(table, shape, texts, content, found))


def _choose_table(
    tables: Sequence[VectorTable], answers: Answers, ask: Ask, database: str
) -> VectorTable:
    if not tables:
        raise SchemaError(
            f"{database} has no vector column: is it the right database, and is pgvector there?"
        )
    chosen = [t for t in tables if answers.table in ("", t.name, t.qualified_name)]
    chosen = [t for t in chosen if answers.column in ("", t.column)]
    if not chosen:
        raise ConfigError(f"no such vector column; there are: {', '.join(map(str, tables))}")
    if plain := [t for t in chosen if t.kind in USABLE and not t.grants]:
        if len(plain) == 1:
            return _checked(plain[0])
        named = {f"{t.qualified_name}.{t.column}": t for t in plain}
        text = "which table and vector column is to be migrated? --table and --column name it"
        answer = ask(Question("table", text, list(named)))
        if answer not in named:
            raise ConfigError(f"expected one of {', '.join(named)}, got {answer!r}")
        return _checked(named[answer])
    first = chosen[0]
    if first.grants:
        raise SchemaError(f"this role may not read {first}: {' '.join(first.grants)}", first.grants)
    raise SchemaError(f"{first} is a {first.kind}: ragkit migrates tables; name one")


def _checked(table: VectorTable) -> VectorTable:
    if not table.keys:
        remedy = (
            f"ALTER TABLE {table.regclass} ADD COLUMN id bigint GENERATED ALWAYS AS "
            "IDENTITY PRIMARY KEY; (it rewrites the table)"
        )
        if table.kind != "table":
            remedy = "partition it by a column that is unique and NOT NULL"
        raise SchemaError(
            f"{table.qualified_name} has no column that is unique and NOT NULL, by which a row is "
            f"known: {remedy}"
        )
    if not table.texts:
        raise SchemaError(f"{table.qualified_name} has no text column that could be embedded")
    return table


def _one_of(name: str, answer: str, known: Sequence[str]) -> str:
    if answer and answer not in known:
        raise ConfigError(f"--{name} is {answer!r}; expected one of {', '.join(known)}")
    return answer


def _identify(
    engine: sa.Engine, table: VectorTable, key: str, shape: Shape, answers: Answers
) -> Identification:
    names = [answers.content, *(t.name for t in shape.contents)]
    texts = [n for n in dict.fromkeys(names) if n in table.texts and n != key][:MAX_COLUMNS]
    vector = sa.column(table.column, VECTOR(table.dimension) if table.dimension else VECTOR())
    source = sa.table(table.name, vector, schema=table.schema)
    columns = {name: Expression.column(name, "text") for name in texts}
    sample = read_sample(engine, source, Key((key,), ("",)), table.column, columns)
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


def _notes(
    table: VectorTable,
    shape: Shape,
    texts: Sequence[TextColumn],
    content: str,
    found: Identification,
) -> list[str]:
    notes = [f"{table}", f"the vectors: {found.describe()}"]
    if shape.framework:
        notes.insert(1, f"it looks like a table of {shape.framework}")
    filled = next(text.filled for text in texts if text.name == content)
    if filled < MIN_SHARE:
        notes.append(
            f"only {filled:.0%} of the sampled rows hold a text in {content}: the others get no "
            "vector; is it the right column?"
        )
    return notes
