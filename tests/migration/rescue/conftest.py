"""An app that knows nothing of ragkit, as in the tests of the runbook."""

from tests.runbook.conftest import site

__all__ = ["site"]
