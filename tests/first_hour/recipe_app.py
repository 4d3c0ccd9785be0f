"""The search of the cookbook, by somebody who has never heard of ragkit:

DIMENSION=64 COLUMN=vec python tests/first_hour/recipe_app.py PORT
"""

import os
import sys
from pathlib import Path

import sqlalchemy as sa
import wordllama
from flask import Flask, jsonify, request

app = Flask(__name__)
engine = sa.create_engine(os.environ["COOKBOOK"], pool_pre_ping=True)
dimension = int(os.environ["DIMENSION"])
model = wordllama.WordLlama.load(
    dim=256, trunc_dim=dimension if dimension < 256 else None,
    cache_dir=Path(wordllama.__file__).parent, disable_download=True,
)  # fmt: skip
QUERY = sa.text(
    f'select slug, title from kitchen."Recipe" order by {os.environ["COLUMN"]} '
    "<=> cast(:vector as vector) limit :rows"
)


@app.get("/find")
def find():
    vector = str(model.embed([request.args["text"]], norm=True)[0].tolist())
    with engine.connect() as connection:
        rows = connection.execute(QUERY, {"vector": vector, "rows": 5})
        return jsonify(items=[{"link": f"/r/{slug}", "slug": slug, "title": title}
                              for slug, title in rows])  # fmt: skip


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
