"""The command line: the steps of the notebooks and the tools around them."""

from ragkit.runbook.cli.main import main

__all__ = ["main"]
