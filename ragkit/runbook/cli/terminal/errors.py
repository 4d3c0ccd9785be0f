"""Errors of a command: one line on stderr, with the way out."""

import json
import sys

import click

from ragkit.migration.work.task import line_prefix
from ragkit.report.words import clean


def print_error(error: BaseException) -> None:
    """Whatever the message holds, it is one line."""
    _print(f"{type(error).__name__}: {error}")


def print_fault(text: str) -> None:
    _print(f"FAULT: {text}")


def print_usage_error(error: click.ClickException, as_json: bool) -> None:
    """Of the command line; it comes before a Terminal is there."""
    message = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        group = error.ctx.command
        names = ", ".join(group.commands) if isinstance(group, click.Group) else ""
        message = f"{group.name} needs a command: {names}"
    if isinstance(error, click.UsageError) and error.ctx:
        message = f"{message.rstrip('.')}; see {error.ctx.command_path} --help"
    if as_json:
        document = {"error": {"type": type(error).__name__, "message": message}}
        print(json.dumps(document, indent=2), flush=True)
    _print(message)


def _print(message: str) -> None:
    print(line_prefix() + clean(" ".join(message.split())), file=sys.stderr, flush=True)
