"""ragkit init: a params file for a database that nobody has described yet."""

import sys
from typing import Any

import click

from ragkit.migration.discovery.answers import Answers, Ask, Question, answer_nothing
from ragkit.migration.discovery.initialise import initialise
from ragkit.runbook.cli.options import with_terminal
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import Terminal


@click.command("init")
@with_terminal
@click.option("--url", default="env", help="As database.url; without a password.  [default: env]")
@click.option("--table", default="", help="TABLE or SCHEMA.TABLE, where there are several.")
@click.option("--column", default="", help="Its vector column, where there are several.")
@click.option(
    "--key",
    default="",
    help="Its key; columns that are one together with commas.  [default: the primary key]",
)
@click.option("--content", default="", help="The text column.  [default: what the vectors show]")
@click.option("--where", default="", help="As table.where, such as one collection.")
@click.option("--label", default="", help="A column with a short name of a row.")
@click.option("--category", default="", help="A column by which the comparison is sliced.")
@click.option("--distance", default="", help="cosine, l2 or inner_product.  [default: the index's]")
@click.option("--old-model", default="", help="The model of the stored vectors.")
@click.option("--new-model", default="", help="The model that is to serve.")
@click.option("--new-column", default="", help="The column to add.  [default: from the model]")
@click.option("--app-url", default="", help="The address of the app.")
@click.option("--output", default="", help="The file to write.  [default: params/TABLE.yaml]")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--no-input", is_flag=True, help="Ask nothing, also in a terminal.")
def init_command(
    terminal: Terminal, url: str, output: str, force: bool, no_input: bool, **known: str
) -> None:
    """Look at a database, and write a params file for it. Changes nothing in it.

    In a terminal it asks what it cannot know; elsewhere the options must say it.
    """
    stop_on_signals()
    ask: Ask = answer_nothing if no_input or not sys.stdin.isatty() else _ask
    done = initialise(url, Answers(**known), ask, output, replace=force)
    terminal.lines("found", done.notes)
    if done.missing:
        terminal.line(f"before the backfill: {done.missing}", "missing")
    terminal.fact("params", str(done.params))
    ragkit = click.get_current_context().find_root().command_path
    terminal.line(f"next: {ragkit} plan --params {done.params}")


def _ask(question: Question) -> str:
    options: dict[str, Any] = {"err": True}
    if question.choices:
        options["type"] = click.Choice(question.choices)
    if question.default is not None:
        options["default"] = question.default
    answer: str = click.prompt(question.text, **options)
    return answer.strip()
