"""The good loop: binary COPY into a temporary table and UPDATE … FROM, 1,000 rows in key order."""

from io import BytesIO

import pg8000.dbapi

from tests.bench import rows
from tests.bench.peers.measure import Stopwatch, Task

BATCH = 1000


def main(task: Task) -> None:
    connection = pg8000.dbapi.connect("postgres", unix_sock=task.socket, database=task.database)
    cursor = connection.cursor()
    cursor.execute(f"alter table documents add column vector_new vector({task.dimension})")
    cursor.execute("create temporary table stage (key bigint, vector vector) on commit delete rows")
    connection.commit()
    with Stopwatch() as watch:
        last = 0
        for start in range(0, task.limit, BATCH):
            size = min(BATCH, task.limit - start)
            cursor.execute(
                "select id, content from documents where id > %s order by id limit %s", (last, size)
            )
            keys, contents = zip(*cursor.fetchall(), strict=True)
            last = keys[-1]
            stream = rows.copy_stream(keys, rows.new_vectors(contents, task.dimension))
            cursor.execute("copy stage from stdin with (format binary)", stream=BytesIO(stream))
            cursor.execute(
                "update documents set vector_new = stage.vector from stage where id = stage.key"
            )
            connection.commit()
    watch.report(task.limit)


if __name__ == "__main__":
    main(Task.read())
