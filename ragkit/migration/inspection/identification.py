"""Whose vectors are these? A sample is embedded again in every way that can be tried here."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.embedding.embedder import Embedder
from ragkit.errors import ModelError
from ragkit.migration.inspection.candidates import (
    Way,
    joined_columns,
    load_callable,
    other_ways,
    own_way,
    plausible_models,
)
from ragkit.migration.inspection.fidelity import MIN_FIDELITY_COSINE
from ragkit.migration.migration import Migration

SAMPLE_ROWS = 32
TRIAL_ROWS = 3
"""On which the rarer ways are tried first."""
ENOUGH, EXACT = 0.9, 0.995
"""The share of rows, and the median cosine, from which no rarer way is looked for: a text that
repeats another one has nearly the same vector."""
SHORT_CHARACTERS = 2000
"""Of all texts of a row. Rarer ways are tried with such rows only."""
MAX_COLUMNS = 6
"""Columns whose texts are tried."""
SECONDS = 20.0
"""After which no further rare way is begun."""
UNIT_TOLERANCE = 0.01
MAX_FOREIGN = 5
"""Rows that a description names."""

_TEXT_COLUMNS = sa.text("""
    select a.attname from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
      and t.typname in ('text', 'varchar', 'bpchar')
    order by a.attnum
""")


@dataclass(frozen=True)
class VectorSample:
    """`texts`: by column, the texts of the rows; `vectors`: float32 of shape (rows, dimension)."""

    keys: list[str]
    texts: dict[str, list[str]]
    vectors: np.ndarray


@dataclass(frozen=True)
class Explanation:
    """`share` of the sampled rows whose vector `model` makes of `template`, a column or two joined;
    `form` says what was done to the vectors afterwards; `cosine` is the median over all rows."""

    model: str
    template: str
    task: str
    form: str
    share: float
    cosine: float

    def __str__(self) -> str:
        task = f", {self.task}" if self.task else ""
        form = "" if self.form == "as they are" else f", {self.form}"
        return f"{self.model} of {self.template}{task}{form}: {self.share:.0%} of the rows"


@dataclass(frozen=True)
class Identification:
    """The ways that explain rows, the best first. `dimension` is that of the stored vectors, 0
    without any. `columns`: whose texts were tried. `foreign`:
    keys of the sampled rows that the best one does not explain. `skipped`: models that cannot be
    called here, and why."""

    rows: int
    dimension: int
    columns: list[str]
    explanations: list[Explanation]
    foreign: list[str]
    skipped: list[str]

    @property
    def best(self) -> Explanation | None:
        return self.explanations[0] if self.explanations else None

    def describe(self) -> str:
        """One line."""
        if not self.rows:
            return "no row holds both a text and a vector"
        if self.best is None:
            return f"no model that can be called here made one of {self.rows} sampled vectors"
        foreign = ""
        if self.foreign:
            more = "" if len(self.foreign) <= MAX_FOREIGN else ", …"
            foreign = f"; foreign: {', '.join(self.foreign[:MAX_FOREIGN])}{more}"
        return f"{self.best}{foreign}"


def read_sample(
    engine: sa.Engine, table: sa.TableClause, key: str, column: str, texts: Sequence[str]
) -> VectorSample:
    """Of rows that hold a vector in `column`, the same ones each time, rows with short texts first:
    every text is sent to every model. NULL texts are read as "".
    Raises DatabaseError.
    """
    key_text, vector = sa.cast(table.c[key], sa.Text), table.c[column]
    # by number: a column of the table may have any name
    columns = [key_text, vector, *(sa.cast(table.c[name], sa.Text) for name in texts)]
    query = sa.select(*(c.label(f"c{n}") for n, c in enumerate(columns)))
    lengths = (sa.func.coalesce(sa.func.length(c), 0) for c in columns[2:])
    is_long = sum(lengths, start=sa.literal(0)) > SHORT_CHARACTERS
    query = query.where(vector.is_not(None)).order_by(is_long, sa.func.md5(key_text))
    query = query.limit(SAMPLE_ROWS)
    with translate_errors("sampling vectors"), engine.connect() as connection:
        found: list[Sequence[Any]] = [tuple(row) for row in connection.execute(query)]
    rows = [row for row in found if any((text or "").strip() for text in row[2:])]
    by_column = {name: [row[2 + n] or "" for row in rows] for n, name in enumerate(texts)}
    return VectorSample([row[0] for row in rows], by_column, as_array([row[1] for row in rows]))


def sample_old(migration: Migration) -> VectorSample:
    """Of the old column, with the texts of the plan's columns and of the table's others. Raises
    DatabaseError."""
    plan = migration.plan
    with translate_errors("sampling vectors"), migration.engine.connect() as connection:
        names = connection.scalars(_TEXT_COLUMNS, {"table": migration.quoted_table}).all()
    wanted = [plan.table.content, plan.table.label, *names]
    texts = [n for n in dict.fromkeys(wanted) if n in names and n != plan.table.key][:MAX_COLUMNS]
    vector = sa.column(plan.old.column, migration.old_vector.type)
    columns = (sa.column(name, sa.Text) for name in {plan.table.key, *texts})
    table = sa.table(plan.table.name, *columns, vector, schema=plan.table.schema_name)
    return read_sample(migration.engine, table, plan.table.key, plan.old.column, texts)


def identify(sample: VectorSample, names: Iterable[str] = ()) -> Identification:
    """Tries the models of `names` and of the catalogue; calls each with a few dozen short texts.

    First models of the stored dimension, as documents of one column. Only if they explain too
    little: models of other dimensions; then as questions, with other tasks, of two columns joined.
    """
    if not len(sample.keys):
        return Identification(0, 0, [], [], [], [])
    dimension, tail = sample.vectors.shape[1], _zero_tail(sample.vectors)
    embedders: list[Embedder] = []
    skipped: list[str] = []
    tried: list[_Trial] = []
    for group in plausible_models(names, dimension, dimension - tail):
        if not any(_is_enough(t.explanation) for t in tried):
            found = load_callable(group)
            embedders, skipped = embedders + found.embedders, skipped + found.skipped
            for embedder in found.embedders:
                tried += _try(own_way(embedder), sample, sample.texts)
    if not any(_is_enough(t.explanation) for t in tried) and _is_short(sample):
        joined, start = joined_columns(sample.texts), time.monotonic()
        for way in (way for e in embedders for way in (own_way(e), *other_ways(e))):
            if time.monotonic() - start > SECONDS:
                skipped.append(f"{way.model} {way.task}: not tried after {SECONDS:g} s of others")
                continue
            templates = joined if not way.task else {**sample.texts, **joined}
            tried += _try_first(way, sample, templates)
    tried = [t for t in tried if t.explanation.share]
    tried.sort(key=lambda t: (-t.explanation.share, -t.explanation.cosine))
    explained = tried[0].is_explained if tried else np.ones(len(sample.keys), bool)
    foreign = [key for key, known in zip(sample.keys, explained, strict=True) if not known]
    return Identification(
        len(sample.keys),
        dimension,
        list(sample.texts),
        [t.explanation for t in tried],
        foreign,
        skipped,
    )


@dataclass(frozen=True)
class _Trial:
    explanation: Explanation
    is_explained: np.ndarray


def _is_short(sample: VectorSample) -> bool:
    return sum(map(len, chain(*sample.texts.values()))) <= SHORT_CHARACTERS * len(sample.keys)


def _is_enough(explanation: Explanation) -> bool:
    return explanation.share >= ENOUGH and explanation.cosine >= EXACT


def _zero_tail(vectors: np.ndarray) -> int:
    """How many dimensions at the end are 0 in every vector."""
    last_used = int(np.flatnonzero(vectors.any(axis=0)).max(initial=-1))
    return int(vectors.shape[1]) - 1 - last_used


def _try_first(
    way: Way, sample: VectorSample, templates: Mapping[str, list[str]]
) -> Iterator[_Trial]:
    """In full only what explains one of the first rows."""
    first = VectorSample(sample.keys[:TRIAL_ROWS], {}, sample.vectors[:TRIAL_ROWS])
    starts = {name: texts[:TRIAL_ROWS] for name, texts in templates.items()}
    likely = {t.explanation.template for t in _try(way, first, starts) if t.explanation.share}
    if likely:
        yield from _try(way, sample, {name: templates[name] for name in likely})


def _try(way: Way, sample: VectorSample, templates: Mapping[str, list[str]]) -> Iterator[_Trial]:
    """All templates in one call."""
    places = [(name, n) for name in templates for n, t in enumerate(templates[name]) if t.strip()]
    try:
        made = way.embed([templates[name][n] for name, n in places])
    except ModelError:
        return
    for name in templates:
        vectors = {n: made[i] for i, (of, n) in enumerate(places) if of == name and i in made}
        if vectors:
            yield _compare(way, name, sample.vectors, vectors)


def _compare(way: Way, template: str, stored: np.ndarray, made: dict[int, np.ndarray]) -> _Trial:
    dimension, cosines = stored.shape[1], np.zeros(len(stored))
    norms = [float(np.linalg.norm(vector)) for vector in made.values()]
    for position, vector in made.items():
        fitted = np.zeros(dimension, np.float32)
        fitted[: len(vector)] = vector[:dimension]
        lengths = np.linalg.norm(fitted) * np.linalg.norm(stored[position])
        cosines[position] = float(fitted @ stored[position]) / max(float(lengths), 1e-12)
    is_explained = cosines >= MIN_FIDELITY_COSINE
    form = _form(len(next(iter(made.values()))), stored, np.array(norms))
    share, cosine = float(is_explained.mean()), float(np.median(cosines))
    explanation = Explanation(way.model, template, way.task, form, share, round(cosine, 4))
    return _Trial(explanation, is_explained)


def _form(made_dimension: int, stored: np.ndarray, made_norms: np.ndarray) -> str:
    forms, dimension = [], stored.shape[1]
    if made_dimension > dimension:
        forms.append(f"cut to {dimension} dimensions")
    if made_dimension < dimension:
        forms.append(f"padded to {dimension} dimensions")
    is_unit = np.abs(np.linalg.norm(stored, axis=1) - 1) < UNIT_TOLERANCE
    was_unit = np.abs(made_norms - 1) < UNIT_TOLERANCE
    if is_unit.all() and (made_dimension > dimension or not was_unit.any()):
        forms.append("normalised to length 1")
    return ", ".join(forms) or "as they are"
