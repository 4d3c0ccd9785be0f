"""Processes that run a test's script: forked from one that has imported ragkit, so that each starts
in a tenth of a second and not in one or two. They are as real: they can be stopped and killed."""

import multiprocessing
import os
import sys
import tempfile
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

from tests.conftest import environment

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([
    "ragkit.embedding.providers.genai",
    "ragkit.embedding.providers.openai",
    "ragkit.migration.backfill.batch.stage",
    "ragkit.migration.backfill.pipeline",
    "ragkit.migration.exclusive",
    "ragkit.migration.rescue.backwards",
    "ragkit.migration.schema.index.building",
    "tests.processes",
    "tests.stand_ins.letters",
    "tests.stand_ins.recording",
])  # fmt: skip


class Script:
    """As a `subprocess.Popen` of a text with pipes. `env` is added to the environment."""

    def __init__(self, script: str, *arguments: str, env: dict[str, str] | None = None):
        (read_in, self._in), (self._out, write_out) = (_CONTEXT.Pipe(duplex=False) for _ in "io")
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        ends = (read_in, write_out, Connection(os.dup(self._errors.fileno())))
        settings = environment(**(env or {}))
        self._process = _CONTEXT.Process(target=_run, args=(script, arguments, settings, ends))
        self._process.start()
        for end in ends:
            end.close()
        self.stdin = os.fdopen(os.dup(self._in.fileno()), "w")
        self.stdout = os.fdopen(os.dup(self._out.fileno()))
        self._in.close()
        self._out.close()
        self.pid = self._process.pid
        self.kill = self._process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = 60) -> int | None:
        """None when it has not ended by then."""
        self._process.join(timeout)
        return self.returncode

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """What is left of its output, and all of its errors. It is killed when it takes longer."""
        late = threading.Timer(timeout, self.kill)
        late.start()
        with suppress(BrokenPipeError):
            self.stdin.close()
        output = self.stdout.read()
        self._process.join()
        late.cancel()
        self._errors.seek(0)
        return output, self._errors.read()


def _run(script: str, arguments: tuple[str, ...], settings: dict[str, str], ends) -> None:
    for descriptor, end in enumerate(ends):
        os.dup2(end.fileno(), descriptor)
        end.close()
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(settings)
    sys.argv = ["-c", *arguments]
    exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
    sys.stdout.flush()
