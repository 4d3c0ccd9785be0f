"""The kernels that papermill starts: one for each notebook, for this user only."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from traitlets import Unicode
from traitlets.config import Config


class LoggedKernelManager(AsyncKernelManager):
    """Appends what the kernel's own machinery says to a file.

    A kernel that is stopped while it sends may print a traceback of its sockets, which would
    stand in the terminal as if the run had failed. The output of cells does not go this way.
    """

    log_path = Unicode(config=True)

    async def start_kernel(  # type: ignore[override]  # as in AsyncKernelManager itself
        self, **options: Any
    ) -> None:
        with Path(self.log_path).open("a") as log:
            await super().start_kernel(stderr=log.fileno(), **options)


@contextmanager
def private_kernel(log: Path) -> Iterator[Config]:
    """A configuration for papermill: the kernel's sockets are in a folder of its own, without
    ports. By default two runs side by side would take the same sockets."""
    with TemporaryDirectory(prefix="ragkit-kernel-") as folder:
        yield Config(
            KernelManager={"transport": "ipc", "ip": f"{folder}/k"},
            LoggedKernelManager={"log_path": str(log)},
            PapermillNotebookClient={"kernel_manager_class": LoggedKernelManager},
        )
