"""One revision of an app: a process of its framework's environment that answers over HTTP."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from tests.bench.peers.environments import python_of
from tests.conftest import free_port
from tests.frameworks.frameworks import HERE, Framework

START_SECONDS = 60


class Service:
    def __init__(self, framework: Framework, settings: Mapping[str, str], log: Path):
        """Raises CannotRun when the framework's packages cannot be installed."""
        self.settings = dict(settings)
        self.model = settings["MODEL"]
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.url, timeout=20)
        python = sys.executable
        if framework.requirements:
            python = str(python_of(f"framework-{framework.packages}", *framework.requirements))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "DATABASE"))}
        path = os.pathsep.join(map(str, (HERE, HERE / "apps")))
        env = {**clean, **framework.settings, **settings, "PYTHONPATH": path}
        env |= {"PYTHONDONTWRITEBYTECODE": "1", "HAYSTACK_TELEMETRY_ENABLED": "false"}
        env |= {"MEM0_TELEMETRY": "false", "MEM0_DIR": str(log.parent)}
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [python, str(framework.source), str(port)], env=env, stdout=output, stderr=output
            )

    def wait(self) -> "Service":
        """Until it answers. Raises RuntimeError with the end of its log."""
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                self._client.get("/search", params={"q": "wool", "k": 1})
                return self
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"the app did not start: {self._log.read_text()[-2000:]}")

    def search(self, question: str, k: int) -> list[str]:
        """Texts, nearest first. Raises RuntimeError or httpx.HTTPError."""
        return self._rows(self._client.get("/search", params={"q": question, "k": k}))

    def write(self, verb: str, rows: Sequence[tuple[str, str]]) -> None:
        """Raises RuntimeError or httpx.HTTPError."""
        self._rows(self._client.post(f"/{verb}", json=list(rows)))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._client.close()

    @staticmethod
    def _rows(response: httpx.Response) -> list[str]:
        texts = [row["text"] for row in response.json()["rows"]]
        if response.status_code != 200:
            raise RuntimeError(str(texts)[:300])
        return texts
