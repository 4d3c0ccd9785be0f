"""A simulated API in a process of its own: OpenAI's /v1/embeddings, so long a request, and a line
of its log for each request.

    python -m tests.scale.api LOG SECONDS DIMENSION
"""

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.bench import rows

NUMBER = re.compile(r"Document (\d+)\.")


def main(log: Path, seconds: float, dimension: int) -> None:
    lock, file = threading.Lock(), log.open("a", buffering=1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            at, texts = time.time(), asked["input"]
            time.sleep(seconds)
            vectors = rows.new_vectors(texts, dimension)
            data = [
                {"object": "embedding", "index": n, "embedding": v}
                for n, v in enumerate(vectors.tolist())
            ]
            tokens = sum(map(len, texts)) // 4
            usage = {"prompt_tokens": tokens, "total_tokens": tokens}
            body = {"object": "list", "data": data, "model": asked["model"], "usage": usage}
            numbers = [int(found) for text in texts for found in NUMBER.findall(text)]
            line = {"at": at, "until": time.time(), "tokens": tokens, "rows": numbers}
            with lock:
                file.write(json.dumps(line) + "\n")
            self._send(json.dumps(body).encode())

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client: object) -> None:
            if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that was killed
                super().handle_error(request, client)

    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
