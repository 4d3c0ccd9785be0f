"""The floor: nothing but a binary COPY of (key, vector) into an empty table with a primary key."""

from io import BytesIO

import pg8000.dbapi

from tests.bench import rows
from tests.bench.peers.measure import Stopwatch, Task

CHUNK = 10_000
"""Rows of one COPY, so that the stream fits in memory."""


def main(task: Task) -> None:
    connection = pg8000.dbapi.connect("postgres", unix_sock=task.socket, database=task.database)
    cursor = connection.cursor()
    cursor.execute(f"create table floor (key bigint primary key, vector vector({task.dimension}))")
    cursor.execute("select id, content from documents order by id")
    found = cursor.fetchall()
    connection.commit()
    with Stopwatch() as watch:
        for start in range(0, len(found), CHUNK):
            keys, contents = zip(*found[start : start + CHUNK], strict=True)
            stream = rows.copy_stream(keys, rows.new_vectors(contents, task.dimension))
            cursor.execute("copy floor from stdin with (format binary)", stream=BytesIO(stream))
            connection.commit()
    watch.report(len(found))


if __name__ == "__main__":
    main(Task.read())
