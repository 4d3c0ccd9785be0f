"""The sample application: a question in, the nearest amenities out.

    curl -X POST URL -H 'Content-Type: application/json' -d '{"name": "restaurants"}'

EMBEDDING_MODEL chooses the model, and through the contract in the database the column.
SHADOW_MODEL asks another one too, after the answer, for SHADOW_SHARE of the requests.
"""

import json
import logging
import os
import threading
import time
from dataclasses import asdict
from functools import cache, partial

import functions_framework
from flask import Request, Response

from ragkit.contract import STOCK_COLUMNS
from ragkit.database import engine_from
from ragkit.embedders import load
from ragkit.errors import ConfigError, RagkitError, RowRefused
from ragkit.service import SearchService
from ragkit.shadow import Shadow, share_of

MAX_NAME = 2000
"""Characters of a question; longer ones are refused, never cut."""
TOP_K, MAX_TOP_K = 3, 50

# When the database dies its connections are closed with a traceback each; a 503 says it once.
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
_lock = threading.Lock()
_service: SearchService | None = None
_shadow: Shadow | None = None


class BadRequest(ValueError):
    """The message says what was expected."""


@functions_framework.http
def hello_http(request: Request) -> Response:
    try:
        if request.path.rstrip("/") == "/healthz":
            return answer(200, asdict(service().health())) if request.method == "GET" else wrong()
        if request.method not in ("GET", "POST"):
            return wrong()
        name, top_k = question(request)
        search, began = service().search, time.perf_counter()
        rows = search(name, top_k)
        if _shadow:
            _shadow.offer(name, top_k, rows, (time.perf_counter() - began) * 1000)
        return answer(200, {"results": [dict(row) for row in rows]})
    except (BadRequest, RowRefused) as error:
        return answer(400, {"error": str(error)})
    except RagkitError as error:
        logging.warning("%s: %s", type(error).__name__, error)
        return answer(503, {"error": str(error)})
    except Exception as error:  # a traceback may hold a connection string: log its kind alone
        logging.error("unexpected %s", type(error).__name__)
        return answer(503, {"error": f"unexpected {type(error).__name__}; see the operator"})


def service() -> SearchService:
    """Built by the first request: functions-framework loads this file, then forks, and neither
    a connector nor a gRPC channel survives a fork."""
    global _service, _shadow
    with _lock:
        if _service is None:
            model, other = os.environ.get("EMBEDDING_MODEL"), os.environ.get("SHADOW_MODEL")
            if not model:
                raise ConfigError("set EMBEDDING_MODEL, for example text-embedding-005")
            _service = searching(model, "ragkit function")
            _shadow = shadow(model, other) if other else None
        return _service


def shadow(model: str, other: str) -> Shadow | None:
    """None for a share that is none: a shadow's mistake is no reason to answer nobody."""
    try:
        share = share_of(os.environ.get("SHADOW_SHARE", "0.05"))
    except ConfigError as error:
        logging.error("no shadow: %s", error)
        return None
    beside = cache(lambda: searching(other, "ragkit shadow"))
    return Shadow(beside, model, other, share, write=partial(print, flush=True))


def searching(model: str, name: str) -> SearchService:
    """With a pool of its own: the shadow never takes a connection that a request waits for."""
    return SearchService(
        engine_from(os.environ, name, refresh="lazy"),
        load(model),
        table=os.environ.get("DB_TABLE", "public.amenities"),
        columns=os.environ.get("RESULT_COLUMNS", "name,description").split(","),
        stock=stock_columns(os.environ.get("STOCK_COLUMNS", "")),
    )


def stock_columns(text: str) -> dict[str, str]:
    """ "model=column,…": what serves on a database without a contract; default: the mission's."""
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {model: column for model, _, column in pairs} or dict(STOCK_COLUMNS)


def question(request: Request) -> tuple[str, int]:
    """`name` and `top_k` from the JSON body or the query string. Raises BadRequest."""
    body = request.get_json(silent=True, force=True) if request.get_data() else {}
    if not isinstance(body, dict):
        raise BadRequest('expected a JSON object such as {"name": "restaurants"}')
    asked = {**request.args.to_dict(), **body}
    name, top_k = asked.get("name"), asked.get("top_k", TOP_K)
    if not isinstance(name, str) or not name.strip():
        raise BadRequest('expected "name", a text that is not empty, as in {"name": "restaurants"}')
    if len(name) > MAX_NAME:
        raise BadRequest(f'expected "name" of at most {MAX_NAME} characters, got {len(name)}')
    if isinstance(top_k, str) and top_k.isdecimal():
        top_k = int(top_k)
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= MAX_TOP_K:
        raise BadRequest(f'expected "top_k", a whole number from 1 to {MAX_TOP_K}')
    return name, top_k


def wrong() -> Response:
    response = answer(405, {"error": "expected POST with a JSON body, or GET /healthz"})
    response.headers["Allow"] = "GET, POST"
    return response


def answer(status: int, body: dict) -> Response:
    """Compact JSON with sorted keys. The header tells which model answered, for the probe."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)
    headers = {"X-Embedding-Model": os.environ.get("EMBEDDING_MODEL", "")}
    return Response(text + "\n", status, headers, mimetype="application/json")
