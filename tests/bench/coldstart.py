"""What the function costs before its first request, beside `import vertexai` alone.

Each process is new. It ends where the function would ask its model and its database: the
application is loaded as functions-framework loads it, and its parts are made.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ragkit.deploy.vendor import build_source
from tests.conftest import PYTHON

SECONDS = 120
VERTEXAI = "import vertexai"
START = """
import functions_framework
functions_framework.create_app("hello_http", "main.py")
import sys
sys.modules["main"].application.parts()
"""
CONNECTOR = f"{START}\nfrom google.cloud.sql.connector import Connector"
"""What the first connection to Cloud SQL imports besides."""
USAGE = """
import json, re, time
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(json.dumps([time.process_time(), int(peak[1]) / 1024]))
"""
"""The peak of `resource` would be that of this process, from before the new one's exec."""
VARIABLES = {
    "PATH": "/usr/bin:/bin", "EMBEDDING_MODEL": "text-embedding-005", "GCP_PROJECT_ID": "p",
    "DATABASE_URL": "postgresql://u@127.0.0.1:9/d", "VERTEX_ENDPOINT": "127.0.0.1:9",
}  # fmt: skip
"""Nothing is connected to: neither address answers."""


@dataclass(frozen=True)
class Start:
    """CPU seconds, and the peak of the resident memory in MiB."""

    cpu: float
    memory: float


def measure(repetitions: int = 5) -> dict[str, list[float]]:
    """One value a repetition, each over that of `import vertexai`: `coldstart_vs_vertexai_cpu` and
    `coldstart_vs_vertexai_memory`; the same with `_connector`, where the connector of Cloud SQL is
    imported too."""
    with tempfile.TemporaryDirectory(prefix="bench ") as folder:
        source = build_source(Path(folder) / "source")
        scripts = {"vertexai": VERTEXAI, "": START, "_connector": CONNECTOR}
        for script in scripts.values():
            run(script, source)  # the first one writes bytecode, which a deployment has
        results: dict[str, list[float]] = {}
        for _ in range(repetitions):
            starts = {name: run(script, source) for name, script in scripts.items()}
            for name, value in figures(starts).items():
                results.setdefault(name, []).append(value)
    return results


def figures(starts: Mapping[str, Start]) -> dict[str, float]:
    """Of one repetition."""
    peer = starts["vertexai"]
    return {
        f"coldstart_vs_vertexai_{quantity}{name}": ratio
        for name, start in starts.items()
        if name != "vertexai"
        for quantity, ratio in (
            ("cpu", start.cpu / peer.cpu), ("memory", start.memory / peer.memory),
        )
    }  # fmt: skip


def run(script: str, source: Path) -> Start:
    done = subprocess.run(
        [PYTHON, "-P", "-c", script + USAGE],
        cwd=source, env=VARIABLES, capture_output=True, text=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    return Start(*json.loads(done.stdout.splitlines()[-1]))
