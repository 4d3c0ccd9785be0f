"""Whether a run has to begin with a rescue."""

import logging

from ragkit.errors import RagkitError
from ragkit.migration.phases import NEEDED
from ragkit.migration.rescue.diagnosis import ANSWERS, diagnose
from ragkit.runbook.runbook import Runbook

log = logging.getLogger(__name__)
TARGETS = ("cloud", "local")
"""Apps that are ragkit's own function: another one has to be taught the rescued search first."""


def needs_rescue(runbook: Runbook) -> bool:
    """The old model does not answer, nor does the app, and the new model does. No where that cannot
    be told: the steps say why."""
    if runbook.plan.app.target not in TARGETS:
        return False
    try:
        if runbook.migration.phase() not in NEEDED["rescue"]:
            return False
        found = diagnose(
            lambda: runbook.old_embedder, runbook.new_embedder, runbook.app, runbook.smoke_question
        )
    except RagkitError as error:
        log.warning("whether a rescue is needed cannot be told: %s", error)
        return False
    return not found.serving and found.old_model != ANSWERS
