from tests.runbook.conftest import site

__all__ = ["site"]
