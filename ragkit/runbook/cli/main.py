"""Migrate a live RAG database from one embedding model to another with zero downtime.

The same steps as the notebooks. Without --params: the file that RAGKIT_PARAMS names; else
params/jss.yaml when INSTANCE_CONNECTION_NAME or DATABASE_URL is set; else params/sandbox.yaml.
An error is one line on stderr, exit 1.
"""

import logging
import os
import sys

import click

from ragkit import __version__
from ragkit.errors import RagkitError
from ragkit.runbook.cli import steps, tools
from ragkit.runbook.cli.stopping import end


@click.group(
    help=__doc__,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    # When a server dies, the pool logs a traceback for each connection; our own error is enough.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (*steps.COMMANDS, *tools.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Prints errors of ours and of files in one line; any other exception keeps its traceback."""
    try:
        cli(standalone_mode=False)
    except RagkitError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # an orderly exit would wait for the thread of a model that hangs
    except OSError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.stdout.flush()
        end(130)
