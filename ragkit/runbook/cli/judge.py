"""`ragkit judge`: people judge the results of both models, on a page of this machine."""

import threading
from dataclasses import replace

import click

from ragkit.runbook.cli.options import with_runbook
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.runbook import Runbook


@click.command("judge")
@with_runbook
@click.option("--judge", default="", help="Who judges.  [default: the login name]")
@click.option("--pooled", is_flag=True, help="Judge single rows, relevant or not.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Of the page.  [default: a free one]"
)
def judge_command(
    runbook: Runbook, terminal: Terminal, judge: str, pooled: bool, port: int
) -> None:
    """Judge the results of both models, blind, on a local page, until Ctrl-C."""
    from ragkit.runbook.judging.opening import open_session  # loads what few commands need
    from ragkit.runbook.judging.page import serving

    changes = {"judge": judge} if judge else {}
    section = runbook.plan.judging.model_copy(update=changes | ({"pooled": True} if pooled else {}))
    plan = runbook.plan.model_copy(update={"judging": section})
    with terminal.working("asking the models"):
        session = open_session(replace(runbook, plan=plan))
    stop = threading.Event()
    stop_on_signals(stop)
    with serving(session.handle, port) as address:
        terminal.line(f"judge here, as {session.settings.judge}; stop with Ctrl-C: {address}")
        stop.wait()
    session.lists.close()
    view = session.view()
    terminal.line(view.progress.figure, "figure")
    terminal.line(view.progress.outlook, "outlook")
    terminal.lines("remarks", view.remarks())
    terminal.fact("judgements", session.settings.folder)
