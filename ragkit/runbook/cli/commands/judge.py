"""`ragkit judge`: people judge the results of both models, on a page of this machine."""

import threading
from dataclasses import replace

import click

from ragkit.runbook.cli.options import with_runbook
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.runbook import Runbook

EACH = 10
"""Labels after which progress is told."""


@click.command("judge")
@with_runbook
@click.option("--judge", default="", help="Who judges.  [default: the login name]")
@click.option("--pooled", is_flag=True, help="Judge single rows, relevant or not.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Of the page.  [default: a free one]"
)
@click.option(
    "--model-labels", is_flag=True, help="Let judging.model label questions first, and end."
)
def judge_command(
    runbook: Runbook, terminal: Terminal, judge: str, pooled: bool, port: int, model_labels: bool
) -> None:
    """Judge the results of both models, blind, on a local page, until Ctrl-C."""
    from ragkit.runbook.judging.opening import open_session  # loads what few commands need
    from ragkit.runbook.judging.page import serving

    changes = {"judge": judge} if judge else {}
    section = runbook.plan.judging.model_copy(update=changes | ({"pooled": True} if pooled else {}))
    plan = runbook.plan.model_copy(update={"judging": section})
    if model_labels:
        return _label(replace(runbook, plan=plan), terminal)
    with terminal.working("asking the models"):
        session = open_session(replace(runbook, plan=plan))
    stop = threading.Event()
    stop_on_signals(stop)
    with serving(session.handle, port) as address:
        # not a result: with --json, those are one document at the end
        who = session.settings.judge
        click.echo(f"judge here, as {who}; stop with Ctrl-C: {address}", err=True)
        stop.wait()
    session.lists.close()
    view = session.view()
    terminal.line(view.progress.figure, "figure")
    terminal.line(view.progress.outlook, "outlook")
    terminal.lines("remarks", view.remarks())
    terminal.fact("judgements", session.settings.folder)
    return None


def _label(runbook: Runbook, terminal: Terminal) -> None:
    """Can be killed and run again."""
    from ragkit.evaluation.judging.model.judge import load_judge
    from ragkit.evaluation.judging.model.labelling import label_questions
    from ragkit.runbook.judging.opening import open_session

    section = runbook.plan.judging
    model, most = load_judge(section), section.model_labels
    with terminal.working(f"{model.name} labels up to {most:,} questions") as report:
        session = open_session(runbook)
        for state in label_questions(session, model, most):
            if state.questions % EACH == 0:
                report(f"{model.name}: {state.questions:,} questions of up to {most:,}")
    session.lists.close()
    terminal.record("labels", state)
    terminal.fact("judgements", session.settings.folder)
