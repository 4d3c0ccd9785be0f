"""The function as one would write it by hand for one model and one column: embed, select, answer.

A connection for each thread, kept; one statement; no limit of time, no contract, no health check.
"""

import json
import os
import threading

import functions_framework
import pg8000.native
from mission import Mission

SQL = "select name, description from amenities order by embedding <=> :vector limit 3"
kept = threading.local()
loading = threading.Lock()
loaded = {}


@functions_framework.http
def hello_http(request):
    question = request.get_json(silent=True) or {}
    if not question.get("name"):
        return {"error": "expected a name"}, 400
    with loading:
        if "model" not in loaded:
            loaded["model"] = Mission()
    if not hasattr(kept, "connection"):
        kept.connection = pg8000.native.Connection(
            os.environ["DB_USER"], database=os.environ["DB_NAME"], unix_sock=os.environ["DB_SOCKET"]
        )
    vector = loaded["model"].embed_query(question["name"])
    rows = kept.connection.run(SQL, vector=str(vector))
    results = [{"name": name, "description": description} for name, description in rows]
    return json.dumps({"results": results}), 200, {"Content-Type": "application/json"}
