"""python -m tests.frameworks [NAME…]: every framework, or some. Exits with 0 if all zeros are."""

import json
import logging
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ragkit.database.engine import autocommit
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.conftest import ROOT
from tests.frameworks.frameworks import FRAMEWORKS
from tests.frameworks.proof import Proof
from tests.frameworks.report import ZEROS, write


def main(names: list[str]) -> int:
    known = [framework.name for framework in FRAMEWORKS]
    if unknown := set(names).difference(known):
        sys.exit(f"expected names of {', '.join(known)}; got {', '.join(sorted(unknown))}")
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # wordllama sets INFO
    run_dir = ROOT / "runs" / f"frameworks-{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}"
    run_dir.mkdir(parents=True)
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="frameworks-") as folder:
        server = Postgres(Folders.at(Path(folder) / "home"))
        server.start()
        try:
            with autocommit(server.engine()) as admin:
                admin.exec_driver_sql("alter system set fsync = off")
                admin.exec_driver_sql("select pg_reload_conf()")
            for number, framework in enumerate(FRAMEWORKS):
                if names and framework.name not in names:
                    continue
                try:
                    found = Proof(framework, server, run_dir / str(number)).run()
                except Exception as error:  # the others are still worth knowing
                    traceback.print_exc()
                    found = {"error": f"{type(error).__name__}: {error}"}
                results[framework.name] = found
                print(framework.name, json.dumps(found), flush=True)
        finally:
            server.remove()
    file = write(run_dir, results)
    print(file)
    return int(any(found.get(name, 1) for found in results.values() for name in ZEROS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
