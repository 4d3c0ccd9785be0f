"""A small search app of somebody else: Flask, its own SQL, its own embedding, its own routes.

It knows nothing of ragkit. MODEL, VECTOR_COLUMN and SEARCH_PATH choose what it serves, and a
restart changes it:

    python tests/stand_ins/flask_app.py PORT
"""

import os
import sys
from pathlib import Path

import pg8000.dbapi
import wordllama
from flask import Flask, jsonify, request

sys.path.insert(0, str(Path(__file__).parent))

from letters import Letters

MODEL, COLUMN = os.environ["MODEL"], os.environ["VECTOR_COLUMN"]
QUERY = f'select id, content from "Amenities" order by "{COLUMN}" <=> %s::vector limit %s'
app = Flask(__name__)
if MODEL == "wordllama-256":
    _weights = wordllama.WordLlama.load(
        dim=256, cache_dir=Path(wordllama.__file__).parent, disable_download=True
    )


def embed(text: str) -> list[float]:
    if MODEL == "wordllama-256":
        return [float(x) for x in _weights.embed([text], norm=True)[0]]
    return Letters().embed_query(text)


def search(text: str, limit: int) -> list[tuple]:
    connection = pg8000.dbapi.connect(
        user=os.environ["PGUSER"], database=os.environ["PGDATABASE"],
        unix_sock=os.environ["PG_SOCKET"],
    )  # fmt: skip
    try:
        cursor = connection.cursor()
        if path := os.environ.get("SEARCH_PATH"):
            cursor.execute("select set_config('search_path', %s, false)", (path,))
        cursor.execute(QUERY, (str(embed(text)), limit))
        return list(cursor.fetchall())
    finally:
        connection.close()


@app.get("/search")
def find():
    rows = search(request.args["q"], int(request.args.get("n", 3)))
    return jsonify(data={"hits": [{"doc": {"id": key}, "text": text} for key, text in rows]})


@app.post("/v2/query")
def query():
    """Only for those who know the key; a list of plain texts."""
    if request.headers.get("Authorization") != os.environ.get("SEARCH_KEY"):
        return jsonify(detail="no"), 401
    return jsonify([text for _, text in search(request.json["query"]["text"], 2)])


@app.get("/login")
def page():
    return "<html>Please log in</html>"


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]))
