"""The steps of a migration as commands."""

import threading
from collections.abc import Iterator, Sequence
from operator import attrgetter

import click

from ragkit.errors import GateError
from ragkit.migration import cutover, retirement
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.inspection import inventory
from ragkit.migration.migration import Migration
from ragkit.migration.plan.tables.choice import require_one
from ragkit.migration.progress import dead_letters
from ragkit.migration.rehearsal.record import beside_the_run
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import recheck_verdict, require_go
from ragkit.migration.work.task import Task
from ragkit.runbook.cli.job import run_task
from ragkit.runbook.cli.options import for_each_table, with_each_table, with_runbooks
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.cli.watch import MIN_SECONDS, WATCH_SECONDS, Seconds, changes, look_often
from ragkit.runbook.engines.fill import fill
from ragkit.runbook.notifications import notified
from ragkit.runbook.report_pages.results import write_comparison, write_verdict
from ragkit.runbook.rescue.service import service_states
from ragkit.runbook.runbook import Runbook
from ragkit.runbook.tables.following import follow_together


@click.command("inspect")
@with_each_table
def inspect_command(runbook: Runbook, terminal: Terminal) -> None:
    """Show what is there, what is missing and what the backfill will cost. Changes nothing."""
    terminal.line(runbook.check_questions(), "questions")
    migration, inspection = runbook.migration, runbook.inspection
    with terminal.working("looking at the table"):
        columns, indexes = inventory.vector_columns(migration), inventory.indexes(migration)
    terminal.table("columns", columns)
    terminal.table("indexes", indexes)
    with terminal.working("asking the models"):
        checks = inspection.checks
    terminal.record("texts", inspection.measured.texts)
    terminal.table("explanations", inspection.identification.explanations)
    terminal.line(inspection.identification.describe(), "vectors")
    terminal.record("cost", inspection.measured.cost)
    terminal.checks("checks", checks)


@click.command("backfill")
@with_runbooks
@click.option("--retry", is_flag=True, help="Retry the rows that the model refused.")
def backfill_command(runbooks: Sequence[Runbook], terminal: Terminal, retry: bool) -> None:
    """Add the new column, fill it while the app serves, and index it."""

    def whole(runbook: Runbook, added: bool | None = None) -> None:
        backfill(runbook, terminal, retry=retry, added=added)

    if task := Task.of():
        run_task(task, runbooks, terminal, whole)
    else:
        for_each_table(runbooks, terminal, whole)


@notified("backfill")
def backfill(
    runbook: Runbook, terminal: Terminal, *, retry: bool = False, added: bool | None = None
) -> None:
    """`added`: what expand has answered, where that is done, and the database was named."""
    migration = runbook.migration if added is not None else open_migration(runbook, terminal)
    terminal.line(runbook.check_questions(), "questions")
    if retry:
        terminal.fact("dead letters pending again", dead_letters.clear(migration))
    terminal.line(runbook.check_long_texts(), "long_texts")
    if added is None:
        added = expand(migration, runbook.new_embedder)
    column = f"column {migration.plan.new.column}: {'added' if added else 'was there'}"
    terminal.line(column, "column")
    steps = fill(runbook)
    terminal.progress("progress", steps)
    with terminal.working("building the index") as report:
        built = index.build(migration, report)
    terminal.record("index", built)
    terminal.table("dead_letters", dead_letters.list_all(migration))
    terminal.table("costs", read_costs(migration))
    if foretold := beside_the_run(migration):
        terminal.table("rehearsal", foretold)
    if states := service_states(runbook):
        terminal.table("service", states)


@click.command("follow")
@with_runbooks
def follow_command(runbooks: Sequence[Runbook], terminal: Terminal) -> None:
    """Keep embedding what people write, until stopped (Ctrl-C or SIGTERM)."""
    stop = threading.Event()
    stop_on_signals(stop)
    for_each_table(runbooks, terminal, lambda runbook: open_migration(runbook, terminal))
    terminal.line("following; stop with Ctrl-C")
    followers = {runbook.plan.name: _follower(runbook, stop) for runbook in runbooks}
    if len(followers) == 1:
        [steps] = followers.values()
        terminal.stream(changes(steps, attrgetter("done")))
    else:
        terminal.stream(changes(follow_together(followers, stop), attrgetter("done")))


def _follower(runbook: Runbook, stop: threading.Event) -> Iterator[Progress]:
    new, old = runbook.new_embedder, runbook.old_embedder_or_none()
    return follow(runbook.migration, new, old, stop, runbook.probe_log)


@click.command("compare")
@with_runbooks
def compare_command(runbooks: Sequence[Runbook], terminal: Terminal) -> None:
    """Compare both columns and print the gates. Exit 1 unless GO, or overridden."""
    compare_each(runbooks, terminal)


def compare_each(runbooks: Sequence[Runbook], terminal: Terminal) -> None:
    """Every table has its verdict, whatever the others have. Raises GateError unless each is GO, or
    overridden."""
    refused: dict[str, str] = {}

    def step(runbook: Runbook) -> None:
        try:
            compare(runbook, terminal)
        except GateError as error:
            refused[runbook.plan.name] = str(error)

    for_each_table(runbooks, terminal, step)
    if refused:
        named = [f"{name}: {error}" for name, error in refused.items()]
        raise GateError("; ".join(named if len(runbooks) > 1 else refused.values()))


@notified("compare")
def compare(runbook: Runbook, terminal: Terminal) -> None:
    """Raises GateError unless GO, or overridden."""
    from ragkit.evaluation.cutoff import carry_cutoffs  # loads what only a comparison needs

    open_migration(runbook, terminal)
    with terminal.working("comparing both columns"):
        evidence = runbook.evidence()
        verdict = runbook.decide(evidence)
    terminal.table("differences", evidence.differences)
    terminal.table("slices", evidence.slices)
    terminal.table("searches", evidence.index)
    terminal.checks("gates", verdict.gates)
    terminal.fact("written", write_comparison(runbook.run_dir, verdict))
    terminal.line(carry_cutoffs(runbook.migration, evidence.cutoff), "cutoff")
    terminal.fact("verdict", verdict.verdict)
    require_go(verdict, runbook.plan.gates.override)


@click.command("cutover")
@with_each_table
def cutover_command(runbook: Runbook, terminal: Terminal) -> None:
    """Switch the app to the new model: gates, a revision without traffic, smoke test, traffic."""
    cut_over(runbook, terminal)


@notified("cutover")
def cut_over(runbook: Runbook, terminal: Terminal) -> None:
    verdict = recheck_verdict(open_migration(runbook, terminal))
    terminal.lines("commands", runbook.app.commands(runbook.plan.new.model))
    with terminal.working("switching the app to the new model") as runbook.canary.also:
        switch = cutover.cut_over(runbook.migration, runbook.app, verdict, runbook.smoke_question)
    write_verdict(runbook.run_dir, verdict, switch)
    terminal.record("switch", switch)


@click.command("rollback")
@with_each_table
@notified("rollback")
def rollback_command(runbook: Runbook, terminal: Terminal) -> None:
    """Put the app back on the old revision, and check its answer."""
    migration = open_migration(runbook, terminal)
    with terminal.working("switching the app back"):
        switch = cutover.roll_back(migration, runbook.app, runbook.smoke_question)
    terminal.record("switch", switch)


@click.command("retire")
@with_each_table
@notified("retire")
def retire_command(runbook: Runbook, terminal: Terminal) -> None:
    """Drop the old column, if the plan says old.retire: true."""
    retired = retirement.retire(open_migration(runbook, terminal), runbook.app)
    terminal.record("retirement", retired)


@click.command("status")
@with_runbooks
@click.option(
    "--watch", type=Seconds(min=MIN_SECONDS), is_flag=False, flag_value=WATCH_SECONDS,
    metavar="[SECONDS]", help="Look again every 2 s, or SECONDS, until Ctrl-C.",
)  # fmt: skip
def status_command(runbooks: Sequence[Runbook], terminal: Terminal, watch: float | None) -> None:
    """Show where the migration stands."""
    if watch is None:
        for_each_table(runbooks, terminal, lambda one: terminal.record("status", one.status()))
        return
    require_one([runbook.plan for runbook in runbooks])
    stop = threading.Event()
    stop_on_signals(stop)
    looks = look_often(runbooks[0].status, watch, stop)
    terminal.stream(changes(looks, attrgetter("status", "fault")))


@click.command("ask")
@with_each_table
def ask_command(runbook: Runbook, terminal: Terminal) -> None:
    """Ask the app the smoke question: the curl line and the answer."""
    answer = runbook.ask()
    terminal.fact("serving", answer.serving)
    terminal.line(answer.curl, "curl")
    terminal.line(answer.answer, "answer")


COMMANDS = (
    inspect_command,
    backfill_command,
    follow_command,
    compare_command,
    cutover_command,
    rollback_command,
    retire_command,
    status_command,
    ask_command,
)


def open_migration(runbook: Runbook, terminal: Terminal) -> Migration:
    """Says first which database a step is about to change."""
    terminal.fact("database", runbook.migration.database)
    return runbook.migration
