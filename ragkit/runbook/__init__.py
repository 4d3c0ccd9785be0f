"""How the steps are run: from a notebook, from papermill and from the command line."""

from ragkit.runbook.runbook import Runbook

__all__ = ["Runbook"]
