"""How a command shows what it did: to a person, to a log, or to a program."""

from ragkit.runbook.cli.terminal.errors import print_error, print_usage_error
from ragkit.runbook.cli.terminal.terminal import Terminal, open_terminal

__all__ = ["Terminal", "open_terminal", "print_error", "print_usage_error"]
