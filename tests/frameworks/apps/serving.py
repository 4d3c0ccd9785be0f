"""What every app here is: a search and four writes over HTTP, and the settings of a revision.

MODEL, SCHEMA and COLUMN come from the environment; nothing else differs between two revisions.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import models

DATABASE = os.environ["DATABASE"]
"""postgresql://…, as libpq takes it."""
PATH = f"options=-csearch_path%3D{os.environ['SCHEMA']},public"
"""What a connection string ends with, so that names are looked for in the schema first."""
SCHEMA, COLUMN = os.environ["SCHEMA"], os.environ["COLUMN"]
MODEL = getattr(models, os.environ["MODEL"])
one_at_a_time = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    store: object
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        self._answer(lambda: self.store.search(query["q"][0], int(query["k"][0])))

    def do_POST(self):
        """/insert, /update, /upsert or /delete, of a list of [id, text]."""
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(lambda: getattr(self.store, self.path[1:])([tuple(row) for row in rows]))

    def _answer(self, work):
        try:
            with one_at_a_time:  # not every store may be used by two threads
                status, rows = 200, work() or []
        except Exception as error:
            status, rows = 500, [f"{type(error).__name__}: {error}"]
        body = json.dumps({"rows": [{"text": text} for text in rows]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def serve(store: object) -> None:
    """`store` has search(question, k), which answers texts, nearest first, and the four writes."""
    Handler.store = store
    ThreadingHTTPServer.request_queue_size = 64
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
