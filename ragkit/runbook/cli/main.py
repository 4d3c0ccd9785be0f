"""Migrate a live RAG database from one embedding model to another with zero downtime.

The same steps as the notebooks. Without --params: the file that RAGKIT_PARAMS names; else
params/jss.yaml when INSTANCE_CONNECTION_NAME or DATABASE_URL is set; else params/sandbox.yaml.
Results go to stdout, as one JSON document with --json; logs and errors go to stderr. An error is
one line, exit 1.
"""

import logging
import os
import sys

import click

from ragkit import __version__
from ragkit.errors import RagkitError
from ragkit.migration.work.task import Task, line_prefix
from ragkit.report.words import clean
from ragkit.runbook.cli.commands import steps, tools
from ragkit.runbook.cli.commands.control import control_command
from ragkit.runbook.cli.commands.init import init_command
from ragkit.runbook.cli.commands.judge import judge_command
from ragkit.runbook.cli.commands.metrics import metrics_command
from ragkit.runbook.cli.commands.plan import apply_command, plan_command
from ragkit.runbook.cli.commands.rehearse import rehearse_command
from ragkit.runbook.cli.commands.rescue import rescue_command
from ragkit.runbook.cli.stopping import end
from ragkit.runbook.cli.terminal import print_error, print_usage_error


class _Log(logging.Handler):
    """To stderr as it is at that time: a live line prints above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        print(clean(self.format(record)), file=sys.stderr, flush=True)


@click.group(
    help=__doc__,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    Task.of()  # what means nothing there is told first
    form = f"{line_prefix()}%(message)s"
    logging.basicConfig(handlers=[_Log()], level=logging.WARNING, format=form)
    # When a server dies, the pool logs a traceback for each connection; our own error is enough.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    init_command,
    plan_command,
    rehearse_command,
    *steps.COMMANDS,
    rescue_command,
    control_command,
    metrics_command,
    judge_command,
    apply_command,
    *tools.COMMANDS,
):
    cli.add_command(command)


def main() -> None:
    """Prints errors of ours, of files and of the command line in one line; any other exception
    keeps its traceback."""
    try:
        cli(standalone_mode=False)
    except RagkitError as error:
        print_error(error)
        sys.stdout.flush()
        os._exit(1)  # an orderly exit would wait for the thread of a model that hangs
    except OSError as error:
        print_error(error)
        sys.exit(1)
    except click.ClickException as error:
        print_usage_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.stdout.flush()
        end(130)
