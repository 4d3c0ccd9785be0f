"""A gcloud that records its commands, and the Cloud Run service that it changes, with its log.

    cloud = Cloud(folder); with cloud.serving(): … os.environ | cloud.env …

`gcloud` on the PATH runs this module as a program. Its state (revisions, traffic, tags) is in a
file. A deployment is a copy of the source. With `secrets`, functions-framework serves the copy;
without, this module answers in its place: slowly, wrongly or empty, as the
revision's `ms`, `fails` and `empty` say.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = "identity-token-canary"
LOG_CHARACTERS = 1_000_000
"""Of the end of the log, more than a canary reads at once."""
ROW = {"name": "A", "description": "B"}
COMMON_FLAGS = {"--quiet", "--format=json"}
_OPTION = re.compile(r"--([\w-]+)=(.*)", re.DOTALL)


class Cloud:
    """`secrets`: environment variables of a deployed function, as Secret Manager mounts them.
    `extra`: further variables, which lead to other stand-ins."""

    def __init__(self, folder: Path, secrets: dict | None = None, extra: dict | None = None):
        self.folder = folder
        program = folder / "bin" / "gcloud"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{__file__}" "$@"\n')
        program.chmod(0o755)
        self.env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "GCLOUD_STATE": str(folder)}
        self.write(revisions=[], traffic={}, tags={}, pinned=False, fail=[], url="",
                   secrets=secrets, extra=extra or {}, services=[], bindings=[],
                   log=True)  # fmt: skip

    def read(self) -> dict:
        return json.loads((self.folder / "state.json").read_text())

    def write(self, **changes: object) -> None:
        file = self.folder / "state.json"
        state = json.loads(file.read_text()) if file.exists() else {}
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(state | changes, indent=1))
        fresh.replace(file)

    def still_well(self, revision: dict) -> bool:
        """Whether an ill revision answers once more: as often as its "well" says."""
        revisions = self.read()["revisions"]
        (found,) = (r for r in revisions if r["name"] == revision["name"])
        found["well"] -= 1
        self.write(revisions=revisions)
        return found["well"] >= 0

    @property
    def calls(self) -> list[str]:
        """Every command so far, one line each, without --quiet and --format."""
        log = self.folder / "calls.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [" ".join(a for a in json.loads(line) if a not in COMMON_FLAGS) for line in lines]

    def change(self, number: int, **settings: object) -> None:
        """Of a revision, by its place in the list."""
        revisions = self.read()["revisions"]
        revisions[number] |= settings
        self.write(revisions=revisions)

    def log(self, *entries: dict) -> None:
        with (self.folder / "log.jsonl").open("a") as file:
            file.write("".join(json.dumps(entry) + "\n" for entry in entries))

    @contextmanager
    def users(self, per_second: int) -> Iterator[None]:
        """Live traffic, divided as the traffic is: only in the log, since it would need real
        time."""
        stop = threading.Event()

        def ask() -> None:
            while not stop.wait(0.1):
                state = self.read()
                by_name = {revision["name"]: revision for revision in state["revisions"]}
                names = random.choices(
                    list(state["traffic"]), list(state["traffic"].values()), k=per_second // 10
                )
                entries = [entry for name in names for entry in _answered(by_name[name])]
                self.log(*entries)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @contextmanager
    def serving(self) -> Iterator["Cloud"]:
        """Serves the public address, which divides requests among revisions by their traffic."""
        from tests.stand_ins import http_server  # each gcloud command would load it

        try:
            with http_server.serving(_front(self)) as address:
                self.write(url=address)
                yield self
        finally:
            for revision in self.read()["revisions"]:
                if revision["pid"]:
                    subprocess.run(["kill", str(revision["pid"])], check=False)


def _front(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    import httpx  # not at the top: each gcloud command would load it

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on("GET")

        def do_POST(self) -> None:
            self._pass_on("POST")

        def _pass_on(self, method: str) -> None:
            state = cloud.read()
            tagged = re.match(r"/revision/([^/]+)", self.path)
            shares = state["traffic"]
            name = tagged[1] if tagged else random.choices(list(shares), shares.values())[0]
            revision = next(r for r in state["revisions"] if r["name"] == name)
            headers = {"x-embedding-model": revision["model"]}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.removeprefix(tagged[0]) if tagged else self.path
            start = time.perf_counter()
            if revision["port"]:
                url = f"http://127.0.0.1:{revision['port']}{path}"
                answer = httpx.request(method, url, content=body, timeout=30)
                status, text = answer.status_code, answer.content
                headers |= {n: v for n, v in answer.headers.items() if n.startswith("x-")}
            else:
                time.sleep(_ms(revision) / 1000)
                is_ill = revision["ill"] and not cloud.still_well(revision)
                status = 503 if is_ill or random.random() < revision["fails"] else 200
                rows = [] if random.random() < revision["empty"] else [ROW]
                text = json.dumps({"model": revision["model"], "results": rows}).encode()
            agent = self.headers.get("User-Agent", "")
            cloud.log(_requested(revision, status, time.perf_counter() - start, agent, path))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    return Front


def _ms(revision: dict) -> float:
    """How long an answer takes, which varies."""
    return revision["ms"] * random.lognormvariate(0, 0.3)


def _requested(revision: dict, status: int, seconds: float, agent: str, path: str = "/") -> dict:
    """An entry of Cloud Run's own log of requests."""
    return _entry(
        revision["name"],
        logName="projects/acme/logs/run.googleapis.com%2Frequests",
        httpRequest={
            "status": status, "latency": f"{seconds:.6f}s", "userAgent": agent,
            "requestMethod": "POST", "requestUrl": f"https://app.example{path or '/'}",
        },
    )  # fmt: skip


def _answered(revision: dict) -> list[dict]:
    """The two entries of a question: of the request, and the function's line."""
    status = 503 if random.random() < revision["fails"] else 200
    rows = 0 if status != 200 or random.random() < revision["empty"] else 3
    ms = _ms(revision)
    line = {"event": "ragkit.answer", "status": status, "rows": rows, "ms": ms}
    return [
        _requested(revision, status, ms / 1000, "a browser"),
        _entry(revision["name"], jsonPayload={**line, "model": revision["model"]}),
    ]


def _entry(revision: str, **more: object) -> dict:
    return {
        "insertId": f"{random.getrandbits(64):x}",
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "resource": {"type": "cloud_run_revision", "labels": {"revision_name": revision}},
        **more,
    }


def _read_log(cloud: Cloud, state: dict, query: str, options: dict) -> int:
    """As far as a canary's query goes."""
    if not state["log"]:
        print("ERROR: (gcloud.logging.read) PERMISSION_DENIED: no logging.logEntries.list",
              file=sys.stderr)  # fmt: skip
        return 1
    since = re.search(r'timestamp>="([^"]+)"', query)[1].rstrip("Z")
    file = cloud.folder / "log.jsonl"
    text = file.read_text() if file.exists() else ""
    lines = text[-LOG_CHARACTERS:].splitlines()
    whole = lines[1:] if len(text) > LOG_CHARACTERS else lines
    entries = [json.loads(line) for line in whole]
    known = [entry for entry in entries if entry.get("timestamp", since) >= since]
    print(json.dumps(known[::-1][: int(options["limit"])]))
    return 0


def main(arguments: list[str]) -> int:
    cloud = Cloud.__new__(Cloud)
    cloud.folder = Path(os.environ["GCLOUD_STATE"])
    state = cloud.read()
    with (cloud.folder / "calls.jsonl").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    line = " ".join(arguments)
    for words in state["fail"]:
        if words in line:
            cloud.write(fail=[other for other in state["fail"] if other != words])
            print("ERROR: (gcloud) refused by the stand-in", file=sys.stderr)
            return 1
    plain = [a for a in arguments if not a.startswith("--")]
    options = {m[1]: m[2] for a in arguments if (m := _OPTION.fullmatch(a))}
    flags = {a for a in arguments if a.startswith("--")}
    match plain:
        case ["functions", "deploy", function]:
            _deploy(cloud, state, function, options, flags)
        case ["run", "revisions", "list"]:
            print(json.dumps([_resource(revision) for revision in state["revisions"]]))
        case ["run", "services", "describe", _]:
            return _describe(state)
        case ["run", "services", "update-traffic", _]:
            _move(cloud, state, options)
        case ["logging", "read", query]:
            return _read_log(cloud, state, query, options)
        case ["auth", "print-identity-token"]:
            print(IDENTITY)
        case ["services", "list"]:
            print(json.dumps([{"config": {"name": name}} for name in state["services"]]))
        case ["projects", "get-iam-policy", _]:
            print(json.dumps({"bindings": state["bindings"]}))
        case _:
            print(f"ERROR: unknown command {line}", file=sys.stderr)
            return 2
    return 0


def _deploy(cloud: Cloud, state: dict, function: str, options: dict, flags: set) -> None:
    name = f"{function}-{len(state['revisions']) + 1:05d}-abc"
    latest = state["revisions"][-1]["env"] if state["revisions"] else {}
    kept = {} if "set-env-vars" in options else latest
    changed = options.get("set-env-vars") or options["update-env-vars"]
    env = {**kept, **dict(pair.split("=", 1) for pair in changed.split(","))}
    source = cloud.folder / name
    shutil.copytree(options["source"], source)
    port, pid = _start(cloud, state, source, env) if state["secrets"] else (0, 0)
    revision = {
        "name": name, "model": env["EMBEDDING_MODEL"], "env": env, "port": port, "pid": pid,
        "ill": False, "well": 0, "fails": 0.0, "empty": 0.0, "ms": 5.0, "at": time.time_ns(),
    }  # fmt: skip
    changes = {"revisions": [*state["revisions"], revision]}
    if not state["pinned"] or "--serve-all-traffic-latest-revision" in flags:
        changes |= {"traffic": {name: 100}, "pinned": False}
    cloud.write(**changes)


def _start(cloud: Cloud, state: dict, source: Path, env: dict) -> tuple[int, int]:
    import httpx

    from tests.conftest import free_port

    port = free_port()
    log = (cloud.folder / f"{source.name}.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "functions_framework", "--target=hello_http",
         f"--port={port}", "--host=127.0.0.1"],
        cwd=source, env={"PATH": "/usr/bin:/bin", **env, **state["secrets"], **state["extra"]},
        stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    return port, process.pid


def _resource(revision: dict) -> dict:
    variables = [{"name": name, "value": value} for name, value in revision["env"].items()]
    at = f"2026-01-01T00:00:00.{revision['at'] % 10**15:015d}Z"
    return {
        "metadata": {"name": revision["name"], "creationTimestamp": at},
        "spec": {"containers": [{"env": variables}]},
    }


def _describe(state: dict) -> int:
    if not state["revisions"]:
        print("ERROR: (gcloud.run.services.describe) Cannot find service", file=sys.stderr)
        return 1
    latest = not state["pinned"]
    traffic = [
        {"revisionName": name, "percent": share, "latestRevision": latest}
        for name, share in state["traffic"].items()
    ]
    traffic += [
        {"revisionName": name, "tag": tag, "url": f"{state['url']}/revision/{name}"}
        for tag, name in state["tags"].items()
    ]
    print(json.dumps({"status": {"url": state["url"], "traffic": traffic}}))
    return 0


def _move(cloud: Cloud, state: dict, options: dict) -> None:
    if split := options.get("to-revisions"):
        pairs = (pair.split("=") for pair in split.split(","))
        shares = {name: int(share) for name, share in pairs if int(share)}
        cloud.write(traffic=shares, pinned=True)
    elif tags := options.get("update-tags"):
        changed = dict(pair.split("=") for pair in tags.split(","))
        cloud.write(tags={**state["tags"], **changed})
    elif removed := options.get("remove-tags"):
        kept = {t: n for t, n in state["tags"].items() if t not in removed.split(",")}
        cloud.write(tags=kept)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
