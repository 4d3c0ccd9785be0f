"""Which task of a Cloud Run job this process is, from the variables that Cloud Run sets.

The tasks of a job are one container, started several times. See "Container runtime contract" in
Cloud Run's documentation.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ragkit.errors import ConfigError


@dataclass(frozen=True)
class Task:
    """`index` of `count`, from 0; `attempt`: how often it was started again. `execution` names the
    run of the job; "" where nothing does."""

    index: int
    count: int
    attempt: int = 0
    execution: str = ""

    @classmethod
    def of(cls, env: Mapping[str, str] = os.environ) -> "Task | None":
        """None outside of a job. Raises ConfigError."""
        texts = {
            "CLOUD_RUN_TASK_INDEX": env.get("CLOUD_RUN_TASK_INDEX", ""),
            "CLOUD_RUN_TASK_COUNT": env.get("CLOUD_RUN_TASK_COUNT", ""),
        }
        if not any(texts.values()):
            return None
        texts["CLOUD_RUN_TASK_ATTEMPT"] = env.get("CLOUD_RUN_TASK_ATTEMPT") or "0"
        for name, text in texts.items():
            if not (text.isascii() and text.isdecimal()):
                raise ConfigError(
                    f"{name} is {text!r}: expected a number. Cloud Run sets all of "
                    f"{', '.join(texts)} for a job's tasks; elsewhere, unset them"
                )
        index, count, attempt = map(int, texts.values())
        if index >= count:
            raise ConfigError(
                f"CLOUD_RUN_TASK_INDEX is {index} of CLOUD_RUN_TASK_COUNT {count}: expected an "
                "index from 0 to the count less 1"
            )
        return cls(index, count, attempt, env.get("CLOUD_RUN_EXECUTION", ""))

    @property
    def begins(self) -> bool:
        """Whether it is the one that begins and completes, where the others share the work."""
        return self.index == 0

    def __str__(self) -> str:
        again = f", attempt {self.attempt + 1}" if self.attempt else ""
        return f"task {self.index} of {self.count}{again}"


def current_task(env: Mapping[str, str] = os.environ) -> Task | None:
    """As Task.of, for what only names it: None where the variables mean nothing."""
    try:
        return Task.of(env)
    except ConfigError:
        return None


def line_prefix(env: Mapping[str, str] = os.environ) -> str:
    """Before each line that a task prints; "" outside of a job."""
    task = current_task(env)
    return f"{task}: " if task else ""


def session_name(env: Mapping[str, str] = os.environ) -> str:
    """The application_name of this process's sessions: those of the tasks of one execution are
    told from those of others by it."""
    task = current_task(env)
    return f"ragkit {task.execution}".rstrip()[:63] if task else "ragkit"
