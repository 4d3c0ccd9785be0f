"""The loop that everybody writes first: one UPDATE and one commit a row."""

import pg8000.dbapi

from tests.bench import rows
from tests.bench.peers.measure import Stopwatch, Task


def main(task: Task) -> None:
    connection = pg8000.dbapi.connect("postgres", unix_sock=task.socket, database=task.database)
    cursor = connection.cursor()
    cursor.execute(f"alter table documents add column vector_new vector({task.dimension})")
    connection.commit()
    with Stopwatch() as watch:
        cursor.execute(f"select id, content from documents order by id limit {task.limit}")
        for key, content in cursor.fetchall():
            vector = rows.new_vectors([content], task.dimension)[0]
            text = "[" + ",".join(map(str, vector.tolist())) + "]"
            cursor.execute("update documents set vector_new = %s where id = %s", (text, key))
            connection.commit()
    watch.report(task.limit)


if __name__ == "__main__":
    main(Task.read())
