"""The two lists of a question as a judge sees them, made ahead of the judge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.errors import ModelBusy
from ragkit.evaluation.samples import labels_and_texts
from ragkit.migration.migration import Migration
from ragkit.retrieval.search import nearest_values
from ragkit.retrieval.space import Binding

Rank = Callable[[str, str], Sequence[str]]
"""The keys of the rows for a question, by its id and its text, best first."""
LIST_SECONDS = 60.0
"""For the lists of one question: two models and two searches, each with a deadline of its own."""


@dataclass(frozen=True)
class Row:
    """What a judge sees of a row, and its key, which a judge does not see."""

    key: str
    label: str
    text: str

    @property
    def shown(self) -> tuple[str, str]:
        return self.label, self.text


@dataclass(frozen=True)
class Lists:
    """`old` is None where the old model has no list."""

    old: list[Row] | None
    new: list[Row]

    @property
    def are_same(self) -> bool:
        """Whether both show the same rows in the same order."""
        return self.old is not None and [r.shown for r in self.old] == [r.shown for r in self.new]

    @property
    def pool(self) -> list[Row]:
        """The rows of both lists, each once."""
        return list({row.key: row for row in (*(self.old or ()), *self.new)}.values())


Show = Callable[[str, str], Lists]


def make_lists(migration: Migration, old: Rank | None, new: Rank, rows: int) -> Show:
    """Lists of the first `rows` rows. A row that is deleted while it is looked up is left out."""

    def show(question: str, text: str) -> Lists:
        old_keys = None if old is None else list(old(question, text))[:rows]
        new_keys = list(new(question, text))[:rows]
        found = _read_rows(migration, {*(old_keys or ()), *new_keys})
        return Lists(
            None if old_keys is None else [found[key] for key in old_keys if key in found],
            [found[key] for key in new_keys if key in found],
        )

    return show


def search(
    migration: Migration, binding: Binding, embed: Callable[[str], np.ndarray], rows: int
) -> Rank:
    """As the app searches. No transaction is open while the model is called."""
    key = [migration.terms.key.text_of("r")]

    def rank(_: str, text: str) -> list[str]:
        vector = embed(text)
        with translate_errors("searching"), migration.engine.connect() as connection:
            return [str(row[0]) for row in nearest_values(connection, binding, vector, key, rows)]

    return rank


@dataclass(frozen=True)
class Ahead:
    """Makes the lists of the next questions while a judge looks at this one, one at a time: neither
    model is asked by two threads. Errors come where the lists are taken."""

    show: Show
    _worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="lists")
    )
    _lists: dict[str, Future[Lists]] = field(default_factory=dict)

    def prepare(self, texts: Mapping[str, str]) -> None:
        """`texts` by id, in the order in which they will be taken."""
        for question, text in texts.items():
            if question not in self._lists:
                self._lists[question] = self._worker.submit(self.show, question, text)

    def take(self, question: str, text: str) -> Lists:
        """The same lists each time. Raises ModelError, DatabaseError; the next time, they are made
        again."""
        self.prepare({question: text})
        try:
            return self._lists[question].result(LIST_SECONDS)
        except TimeoutError:
            raise ModelBusy(f"no lists for a question within {LIST_SECONDS:g} s") from None
        except BaseException:
            del self._lists[question]
            raise

    def close(self) -> None:
        """Waits for nothing."""
        self._worker.shutdown(wait=False, cancel_futures=True)


def _read_rows(migration: Migration, keys: Iterable[str]) -> dict[str, Row]:
    labels, texts = labels_and_texts(migration, keys)
    return {key: Row(key, label, texts[key]) for key, label in labels.items()}
