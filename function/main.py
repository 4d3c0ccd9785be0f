"""The sample application: a question in, the nearest rows out.

    curl -X POST URL -H 'Content-Type: application/json' -d '{"name": "restaurants"}'

EMBEDDING_MODEL chooses the model, and through the contract in the database the column.
SHADOW_MODEL is asked too, after the answer, for SHADOW_SHARE of the requests.
"""

import json
import logging
import os
import threading
import time
from dataclasses import asdict
from functools import cache, partial
from typing import Any

import functions_framework
from flask import Request, Response

from ragkit.database.engine import engine_from_env
from ragkit.embedding.load import load_embedder
from ragkit.errors import ConfigError, RagkitError, RowRefused
from ragkit.retrieval.contract import STOCK_COLUMNS
from ragkit.retrieval.service import SearchService
from ragkit.retrieval.shadow import Shadow, parse_share

MAX_NAME = 2000
"""Characters of a question; longer ones are refused, never cut."""
TOP_K, MAX_TOP_K = 3, 50

# When the database dies, the pool logs a traceback for each connection; a 503 is enough.
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


class BadRequest(ValueError):
    """The message says what was expected."""


class Application:
    """The service and its shadow, made by the first request that can make them.

    Not at import: functions-framework loads this file, then forks, and neither a connector nor a
    gRPC channel survives a fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: tuple[SearchService, Shadow | None] | None = None

    def parts(self) -> tuple[SearchService, Shadow | None]:
        """Raises ConfigError or ModelError; the next request then tries again."""
        with self._lock:
            if self._parts is None:
                model = os.environ.get("EMBEDDING_MODEL")
                if not model:
                    raise ConfigError("set EMBEDDING_MODEL, for example text-embedding-005")
                service = make_service(model, "ragkit function")
                self._parts = service, make_shadow(model, os.environ.get("SHADOW_MODEL"))
            return self._parts

    def search(self, name: str, top_k: int) -> list[dict[str, Any]]:
        service, shadow = self.parts()
        start = time.perf_counter()
        rows = service.search(name, top_k)
        if shadow:
            shadow.offer(name, top_k, rows, (time.perf_counter() - start) * 1000)
        return [dict(row) for row in rows]

    def health(self) -> dict[str, Any]:
        return asdict(self.parts()[0].health())


application = Application()


@functions_framework.http
def hello_http(request: Request) -> Response:
    try:
        if request.path.rstrip("/") == "/healthz" and request.method == "GET":
            return respond(200, application.health())
        if request.path.rstrip("/") == "/healthz" or request.method not in ("GET", "POST"):
            return respond_wrong_method()
        return respond(200, {"results": application.search(*parse_question(request))})
    except (BadRequest, RowRefused) as error:
        return respond(400, {"error": str(error)})
    except RagkitError as error:
        logging.warning("%s: %s", type(error).__name__, error)
        return respond(503, {"error": str(error)})
    except Exception as error:  # a traceback may hold a connection string: log its type only
        logging.error("unexpected %s", type(error).__name__)
        return respond(503, {"error": f"unexpected {type(error).__name__}; ask the operator"})


def make_service(model: str, name: str) -> SearchService:
    """With a pool of its own: the shadow never takes a connection that a request waits for."""
    return SearchService(
        engine_from_env(os.environ, name, refresh="lazy"),
        load_embedder(model),
        table=os.environ.get("DB_TABLE", "public.amenities"),
        columns=os.environ.get("RESULT_COLUMNS", "name,description").split(","),
        stock=parse_stock_columns(os.environ.get("STOCK_COLUMNS", "")),
    )


def make_shadow(model: str, other: str | None) -> Shadow | None:
    """None without SHADOW_MODEL, or when SHADOW_SHARE is wrong: that is no reason to fail."""
    if not other:
        return None
    try:
        share = parse_share(os.environ.get("SHADOW_SHARE", "0.05"))
    except ConfigError as error:
        logging.error("no shadow: %s", error)
        return None
    service = cache(lambda: make_service(other, "ragkit shadow"))
    return Shadow(service, model, other, share, write=partial(print, flush=True))


def parse_stock_columns(text: str) -> dict[str, str]:
    """ "model=column,…": the columns of a database without a contract; default: the mission's."""
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {model: column for model, _, column in pairs} or dict(STOCK_COLUMNS)


def parse_question(request: Request) -> tuple[str, int]:
    """`name` and `top_k` from the JSON body or the query string. Raises BadRequest."""
    body = request.get_json(silent=True, force=True) if request.get_data() else {}
    if not isinstance(body, dict):
        raise BadRequest('expected a JSON object such as {"name": "restaurants"}')
    values = {**request.args.to_dict(), **body}
    name, top_k = values.get("name"), values.get("top_k", TOP_K)
    if not isinstance(name, str) or not name.strip():
        raise BadRequest('expected "name", a text that is not empty, as in {"name": "restaurants"}')
    if len(name) > MAX_NAME:
        raise BadRequest(f'expected "name" of at most {MAX_NAME} characters, got {len(name)}')
    if isinstance(top_k, str) and top_k.isdecimal():
        top_k = int(top_k)
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= MAX_TOP_K:
        raise BadRequest(f'expected "top_k", a whole number from 1 to {MAX_TOP_K}')
    return name, top_k


def respond_wrong_method() -> Response:
    response = respond(405, {"error": "expected POST with a JSON body, or GET /healthz"})
    response.headers["Allow"] = "GET, POST"
    return response


def respond(status: int, body: dict[str, Any]) -> Response:
    """Compact JSON with sorted keys. The header tells the probe which model answered."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)
    headers = {"X-Embedding-Model": os.environ.get("EMBEDDING_MODEL", "")}
    return Response(text + "\n", status, headers, mimetype="application/json")
