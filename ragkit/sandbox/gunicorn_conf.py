"""gunicorn's settings for one revision of the sandbox's app, run in the revision's folder."""

import os
from pathlib import Path
from typing import Any

from werkzeug.test import Client

worker_class = "gthread"
threads = 8
graceful_timeout = 10
keepalive = 65  # longer than a client keeps an idle connection, which would else be closed under it


def post_worker_init(worker: Any) -> None:
    """Loads the model before the first request, as a minimum instance would."""
    client = Client(worker.wsgi)
    client.get("/healthz")
    client.post("/", json={"name": "warm-up"})
    Path(os.environ["READY_FILE"]).touch()
