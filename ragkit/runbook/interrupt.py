"""The stop button of a notebook: one line instead of a traceback."""

from types import TracebackType
from typing import Any

MESSAGE = "Stopped. Run the notebook again: it continues from where it was."


def show_interrupts_in_one_line() -> None:
    """Registers a handler with IPython; does nothing outside of it. Safe to repeat."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    if (shell := get_ipython()) is not None:
        shell.set_custom_exc((KeyboardInterrupt,), _show)


def _show(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
    tb_offset: int | None = None,
) -> list[str]:
    lines = [MESSAGE]
    shell._showtraceback(kind, error, lines)  # what tells JupyterLab that the cell failed
    return lines
