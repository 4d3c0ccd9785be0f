"""`/metrics` over HTTP: each scrape asks the database, within a deadline.

So the figures are right whatever processes work, and outlive them. A database that does not answer
is `ragkit_up 0` and a line of the log.
"""

import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import Metric

from ragkit.database.wire.sockets import answer_within
from ragkit.deadline import call_within
from ragkit.errors import ConfigError, DatabaseUnavailable, LostRace, RagkitError
from ragkit.runbook.metrics.families import families
from ragkit.runbook.metrics.figures import Figures, read_figures
from ragkit.runbook.runbook import Runbook

SCRAPE_SECONDS = 5.0
"""For all migrations of a scrape; Prometheus waits for 10 s."""
SOCKET_SECONDS, POLL_SECONDS = 10.0, 0.1
"""How long a client may be silent, and how soon the end is seen."""
log = logging.getLogger(__name__)


class Watched:
    """A migration that is looked at by one thread at a time, however many scrapes there are."""

    def __init__(self, runbook: Runbook):
        self.plan = runbook.plan
        self._runbook, self._looking, self._fault = runbook, threading.Lock(), ""
        answer_within(runbook.engine, SCRAPE_SECONDS)

    def require(self) -> None:
        """Raises ConfigError or SchemaError: what is wrong with the settings. A database that is
        away may come back."""
        with suppress(DatabaseUnavailable, LostRace, TimeoutError):
            self._look(SCRAPE_SECONDS)

    def figures(self, deadline: float) -> Figures | None:
        """None when there are none by then, by time.monotonic(); the log says why, once."""
        try:
            found = self._look(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            self._tell(f"no answer within {SCRAPE_SECONDS:g} s")
        except RagkitError as error:
            self._tell(str(error))
        except Exception as error:  # its text may hold a secret
            self._tell(f"unexpected {type(error).__name__}")
        else:
            self._tell("")
            return found
        return None

    def _look(self, seconds: float) -> Figures:
        return call_within(seconds, self._read, seconds)

    def _read(self, seconds: float) -> Figures:
        if not self._looking.acquire(timeout=seconds):  # an earlier look hangs
            raise TimeoutError
        try:
            return read_figures(self._runbook.migration)
        finally:
            self._looking.release()

    def _tell(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("metrics: %s: %s", self.plan.name, fault or "there again")
        self._fault = fault


class Collector:
    """What a scrape collects."""

    def __init__(self, watched: Sequence[Watched]):
        self._watched = watched

    def collect(self) -> Iterable[Metric]:
        deadline = time.monotonic() + SCRAPE_SECONDS
        looks = {one.plan.migration_id: (one.plan, one.figures(deadline)) for one in self._watched}
        return families(looks)


@contextmanager
def serving(runbooks: Sequence[Runbook], host: str, port: int) -> Iterator[str]:
    """Gives the address; 0 takes a free port. Raises ConfigError when the port is taken, or for
    wrong settings of a migration, SchemaError."""
    watched = [Watched(runbook) for runbook in runbooks]
    for one in watched:
        one.require()
    registry = CollectorRegistry()
    registry.register(Collector(watched))
    server = _open(host, port, registry)
    serve = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
    serve.start()
    name = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{name}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = SOCKET_SECONDS

    def log_message(self, *_: object) -> None:
        """Scrapes are no news."""


def _open(host: str, port: int, registry: CollectorRegistry) -> WSGIServer:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]

        class Server(_Server):
            address_family = family

        app = make_wsgi_app(registry)
        return make_server(str(address[0]), port, app, Server, handler_class=_Handler)
    except OSError as error:
        raise ConfigError(
            f"cannot serve metrics at {host}:{port}: {error.strerror}; choose another --port or "
            "--host"
        ) from None
