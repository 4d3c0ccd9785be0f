"""Followers of several tables at once, each in a thread and with connections of its own."""

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ragkit.migration.backfill.progress import Progress
from ragkit.report import words


@dataclass(frozen=True)
class TablesProgress:
    """The newest of each table, by its name."""

    tables: dict[str, Progress]

    @property
    def done(self) -> tuple[tuple[str, int], ...]:
        """What changes when a row gets its vector."""
        return tuple((name, step.done) for name, step in self.tables.items())

    def facts(self) -> dict[str, str]:
        return {name: words.progress_line(step) for name, step in self.tables.items()}


_News = tuple[str, Progress | BaseException | None]
"""A table, and its progress, what ended its follower, or None for an orderly end."""


def follow_together(
    followers: Mapping[str, Iterator[Progress]], stop: threading.Event
) -> Iterator[TablesProgress]:
    """Until `stop` is set and each follower has ended. Where one raises, the others are stopped,
    and the error is raised: a table that nobody follows must not go unseen."""
    news: queue.Queue[_News] = queue.Queue()

    def work(name: str, steps: Iterator[Progress]) -> None:
        try:
            for step in steps:
                news.put((name, step))
        except BaseException as error:  # raised again where it is awaited
            news.put((name, error))
        else:
            news.put((name, None))

    for name, steps in followers.items():
        threading.Thread(
            target=work, args=(name, steps), daemon=True, name=f"follow {name}"
        ).start()
    newest: dict[str, Progress] = {}
    following, failure = set(followers), None
    try:
        while following:
            name, item = news.get()
            if isinstance(item, Progress):
                newest[name] = item
                yield TablesProgress({name: newest[name] for name in followers if name in newest})
                continue
            following.remove(name)
            failure = failure or item
            stop.set()
    finally:
        stop.set()
    if failure:
        raise failure
