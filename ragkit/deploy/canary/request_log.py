"""What Cloud Logging keeps of live answers, while a canary runs.

Cloud Run's own log of requests has the status and the time of every answer by its revision, also of
a revision that was deployed long ago, that crashed, or that ran out of time. The function's lines
add how many rows an answer had, and its shadow's lines how alike the two answers were. Sources:
Cloud Run, "Logging"; Cloud Logging, "LogEntry" and "Logging query language".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from ragkit.deploy import gcloud
from ragkit.deploy.app import Revision
from ragkit.deploy.canary.comparisons import Comparisons, Seen, Stream
from ragkit.errors import DeployError
from ragkit.retrieval.log.answers import ASKED_BY_RAGKIT
from ragkit.retrieval.log.answers import EVENT as ANSWER
from ragkit.retrieval.shadow import EVENT as SHADOW

MOST_ENTRIES = 2000
"""Of a read: the newest ones. Where there are more, they are a sample of both revisions."""
LATE_SECONDS = 30
"""Entries may come so late; what was read before is read again, and left out."""
FIRST = timedelta(minutes=5)
"""Before the first read: this machine's clock may be ahead of the log's."""
READ_SECONDS = 60.0
OK = 200


@dataclass
class RequestLog:
    """The log of one service, read on from where it was. `fault` says why it cannot be read."""

    function: str
    old: Revision
    new: Revision
    fault: str = ""
    _since: datetime = field(default_factory=lambda: datetime.now(UTC) - FIRST)
    _known: dict[str, datetime] = field(default_factory=dict)

    def read(self, comparisons: Comparisons, stream: Stream) -> None:
        """Adds what is new. A log that cannot be read is no error: `fault` is set."""
        try:
            entries = gcloud.read(*self._command(), seconds=READ_SECONDS) or []
        except DeployError as error:
            self.fault = f"{error}; only ragkit's own questions count"
            return
        self.fault = ""
        fresh = [e for e in map(_entry, entries) if e and e.id not in self._known]
        for entry in sorted(fresh, key=lambda e: e.at):
            self._known[entry.id] = entry.at
            self._since = max(self._since, entry.at)
            self._add(entry, comparisons, stream)
        self._known = {name: at for name, at in self._known.items() if at >= self._from}

    def skip(self) -> None:
        """Leaves out what there is by now."""
        comparisons = Comparisons(1.0)
        self.read(comparisons, comparisons.open_stream())

    def _add(self, entry: "_Entry", comparisons: Comparisons, stream: Stream) -> None:
        for seen in entry.answers({self.old.name: False, self.new.name: True}):
            stream.add(seen)
        line = entry.payload
        pair = (line.get("event"), line.get("model"), line.get("shadow"))
        if pair == (SHADOW, self.old.model, self.new.model) and _has_both(line):
            comparisons.add_shadow(line["overlap"], not line.get("rows"), not line["shadow_rows"])

    @property
    def _from(self) -> datetime:
        """Where the next read begins."""
        return (self._since - timedelta(seconds=LATE_SECONDS)).replace(microsecond=0)

    def _command(self) -> tuple[str, ...]:
        since = self._from.strftime("%Y-%m-%dT%H:%M:%SZ")
        events = " OR ".join(f'jsonPayload.event="{event}"' for event in (ANSWER, SHADOW))
        query = (
            f'resource.type="cloud_run_revision" AND resource.labels.service_name="{self.function}"'
            f' AND timestamp>="{since}" AND (logName:"run.googleapis.com%2Frequests" OR {events})'
        )
        return ("logging", "read", query, "--order=desc", f"--limit={MOST_ENTRIES}")


@dataclass(frozen=True)
class _Entry:
    id: str
    at: datetime
    revision: str
    payload: dict[str, Any]
    request: dict[str, Any]

    def answers(self, revisions: dict[str, bool]) -> Iterator[Seen]:
        """The answer that this is about; none where it was no question of an app's user."""
        is_new, request, line = revisions.get(self.revision), self.request, self.payload
        if is_new is None:
            return
        if line.get("event") == ANSWER:
            yield Seen(is_new, empty=not line.get("rows"))
        elif request and request.get("userAgent") != ASKED_BY_RAGKIT and not self._is_health():
            yield Seen(is_new, failed=request.get("status") != OK, ms=_ms(request.get("latency")))

    def _is_health(self) -> bool:
        return urlsplit(str(self.request.get("requestUrl"))).path.endswith("/healthz")


def _entry(document: Any) -> _Entry | None:
    """None for what is no entry of the log."""
    try:
        return _Entry(
            document["insertId"],
            datetime.fromisoformat(document["timestamp"]),
            document["resource"]["labels"]["revision_name"],
            document.get("jsonPayload") or {},
            document.get("httpRequest") or {},
        )
    except (KeyError, TypeError, ValueError):
        return None


def _ms(duration: object) -> float | None:
    """Of a duration such as "0.0523s"."""
    try:
        return 1000 * float(str(duration).removesuffix("s"))
    except ValueError:
        return None


def _has_both(line: dict[str, Any]) -> bool:
    """A shadow that failed has no rows, and one of an earlier version does not count them."""
    overlap = line.get("overlap")
    return isinstance(overlap, int | float) and 0 <= overlap <= 1 and "shadow_rows" in line
