"""gunicorn's settings for one revision of the sandbox's app; its folder is the current one."""

import os
from pathlib import Path

from werkzeug.test import Client

worker_class = "gthread"
threads = 8
graceful_timeout = 10
keepalive = 65  # longer than any client keeps an idle connection: else it meets a closed one


def post_worker_init(worker):
    """The model is loaded before the first visitor comes, as with a minimum instance."""
    visitor = Client(worker.wsgi)
    visitor.get("/healthz")
    visitor.post("/", json={"name": "warm-up"})
    Path(os.environ["READY_FILE"]).touch()
