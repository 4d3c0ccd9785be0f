"""The sample application: a question in, the nearest rows out.

    curl -X POST URL -H 'Content-Type: application/json' -d '{"name": "restaurants"}'

EMBEDDING_MODEL chooses the model, and through the contract in the database the column.
SHADOW_MODEL is asked too, after the answer, for SHADOW_SHARE of the requests. Each answer is one
line of the log, without its question, unless ANSWER_LOG is "off".
"""

import hmac
import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import functions_framework
from flask import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge

from ragkit.database.engine import engine_from_env
from ragkit.deadline import call_within
from ragkit.embedding.catalogue.facts import Facts, load_facts
from ragkit.embedding.load import load_embedder
from ragkit.errors import (
    ConfigError,
    ContractError,
    DatabaseError,
    ModelError,
    RagkitError,
    RescueRefused,
    RowRefused,
)
from ragkit.retrieval.contract import STOCK_COLUMNS
from ragkit.retrieval.log.answers import ASKED_BY_RAGKIT, answer_line
from ragkit.retrieval.question import MAX_BODY_BYTES, BadRequest, Question, read_question
from ragkit.retrieval.service import Answer, SearchService
from ragkit.retrieval.shadow import Shadow, parse_share

READ_SECONDS = 3.0
"""Of each answer of the database: within a request's deadline, a connection that is silent is given
up, and another one tried."""
REASONS: dict[type[Exception], str] = {
    TimeoutError: "no answer in time: try again",
    DatabaseError: "the database does not answer: try again",
    ModelError: "the model does not answer: try again",
    ContractError: "this model cannot search yet",
    ConfigError: "the function is not set up",
}
"""What a caller is told. The log says more: names of tables, columns and models."""

# When the database dies, the pool logs a traceback for each connection; a 503 is enough.
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


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

    def search(self, question: Question) -> Answer:
        service, shadow = self.parts()
        start = time.perf_counter()
        answer = service.search(question.name, question.top_k)
        if shadow:
            milliseconds = (time.perf_counter() - start) * 1000
            shadow.offer(question.name, question.top_k, answer.rows, milliseconds)
        return answer

    def health(self, details: bool) -> dict[str, Any]:
        health = asdict(self.parts()[0].health())
        names = health if details else ("model", "served_by")
        return {"ok": True, **{n: health[n] for n in names if health[n] is not None}}


application = Application()


@functions_framework.http
def hello_http(request: Request) -> Response:
    request.max_content_length = MAX_BODY_BYTES + 1  # one more tells a long body from a whole one
    start, rows = time.perf_counter(), 0
    is_health = request.path.rstrip("/") == "/healthz"
    allowed = ("GET", "HEAD") if is_health else ("GET", "HEAD", "POST")
    if request.method not in allowed:
        return respond_wrong_method(allowed)
    try:
        if is_health:
            return respond(200, health(request))
        answer = search(request)
        response, rows = respond_answer(answer), len(answer.rows)
    except (BadRequest, RowRefused) as error:
        response = respond(400, {"error": str(error)})
    except RequestEntityTooLarge:
        response = respond_too_large()
    except Exception as error:
        response = respond_failure(error)
    if not is_health:
        log_answer(request, response.status_code, rows, time.perf_counter() - start)
    return response


def log_answer(request: Request, status: int, rows: int, seconds: float) -> None:
    """A canary's own questions are counted where they are asked."""
    is_own = request.headers.get("User-Agent") == ASKED_BY_RAGKIT
    if not is_own and os.environ.get("ANSWER_LOG", "on") != "off":
        model = os.environ.get("EMBEDDING_MODEL", "")
        print(answer_line(model, status, rows, 1000 * seconds), flush=True)


def search(request: Request) -> Answer:
    question = read_question(read_body(request), request.args)
    return call_within(request_seconds(), application.search, question)


def read_body(request: Request) -> bytes:
    """Raises RequestEntityTooLarge, or BadRequest for a body that is no valid HTTP."""
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise
    except Exception:  # each server has its own
        raise BadRequest("expected a whole body, this one broke off") from None
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    return body


def health(request: Request) -> dict[str, Any]:
    """All that is known for a caller with HEALTH_TOKEN; for others, the model and its search."""
    token = os.environ.get("HEALTH_TOKEN", "").encode()
    sent = request.headers.get("X-Health-Token", "").encode()
    may_see = bool(token) and hmac.compare_digest(sent, token)
    return call_within(request_seconds(), application.health, may_see)


def request_seconds() -> float:
    """The deadline of every answer."""
    return float(os.environ.get("REQUEST_SECONDS", "10"))


def make_service(model: str, name: str) -> SearchService:
    """With a pool of its own: the shadow never takes a connection that a request waits for."""
    return SearchService(
        engine_from_env(os.environ, name, "lazy", READ_SECONDS, ping=False),
        load_embedder(model, model_facts()),
        table=os.environ.get("DB_TABLE", "public.amenities"),
        columns=os.environ.get("RESULT_COLUMNS", "name,description").split(","),
        stock=parse_stock_columns(os.environ.get("STOCK_COLUMNS", "")),
        model_seconds=request_seconds() / 2,
    )


def model_facts() -> Facts | None:
    """What the deployment knows of its models beyond the catalogue; None for nothing."""
    file = Path(__file__).with_name("model_facts.json")
    return load_facts(file.read_text()) if file.exists() else None


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


def respond_answer(answer: Answer) -> Response:
    """The headers tell a rescued answer from one of the complete column."""
    response = respond(200, {"results": [dict(row) for row in answer.rows]})
    response.headers["X-Served-By"] = answer.served_by
    if answer.degraded:
        response.headers["X-Degraded"] = answer.degraded
    return response


def respond_wrong_method(allowed: Sequence[str]) -> Response:
    response = respond(405, {"error": "expected POST with a JSON body, or GET /healthz"})
    response.headers["Allow"] = ", ".join(allowed)
    return response


def respond_too_large() -> Response:
    """As a stream: for other answers, functions-framework reads the rest of the body first."""
    text = respond(413, {"error": f"expected a body of at most {MAX_BODY_BYTES} bytes"}).get_data()
    return Response(iter([text]), 413, mimetype="application/json")


def respond_failure(error: Exception) -> Response:
    """Logs what happened. Of an error that is not ours only the type: its text may hold a
    connection string."""
    text = str(error) if isinstance(error, RagkitError) else "unexpected"
    logging.warning("%s: %s", type(error).__name__, text)
    reasons = (text for kind, text in REASONS.items() if isinstance(error, kind))
    said = f"{next(reasons, 'the function failed')}; its log says why"
    if isinstance(error, RescueRefused):
        said = str(error)  # figures only
    return respond(503, {"ok": False, "model": os.environ.get("EMBEDDING_MODEL"), "error": said})


def respond(status: int, body: dict[str, Any]) -> Response:
    """Compact JSON with sorted keys. The header tells the probe which model answered."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)
    headers = {"X-Embedding-Model": os.environ.get("EMBEDDING_MODEL", "")}
    return Response(text + "\n", status, headers, mimetype="application/json")
