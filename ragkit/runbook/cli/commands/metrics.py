"""`ragkit metrics`: an endpoint for Prometheus, beside whatever works."""

import threading
from collections.abc import Sequence

import click

from ragkit.runbook.cli.options import with_runbooks
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.extras import needs_extra
from ragkit.runbook.runbook import Runbook

PORT = 9464
"""The one that OpenTelemetry's exporter for Prometheus has."""


@click.command("metrics")
@with_runbooks
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="An address to listen at.")
def metrics_command(runbooks: Sequence[Runbook], terminal: Terminal, port: int, host: str) -> None:
    """Serve /metrics for Prometheus, from what the database knows, until stopped."""
    with needs_extra("metrics"):
        from ragkit.runbook.metrics.endpoint import serving

    stop = threading.Event()
    with serving(runbooks, host, port) as address:
        stop_on_signals(stop)
        # not a result: with --json, those are one document at the end
        click.echo(f"metrics at {address}; stop with Ctrl-C", err=True)
        stop.wait()
