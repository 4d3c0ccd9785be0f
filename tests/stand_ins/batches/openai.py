"""OpenAI's /v1/files and /v1/batches. Requests: "upload", "create" (before the job is there),
"created" (after it, before the answer), "list", "look", "download", "errors"."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from tests.stand_ins.batches.jobs import NOT_FOUND, Batches, Job, Line, reply
from tests.stand_ins.embeddings import openai, service
from tests.stand_ins.embeddings.service import Asked, Reply, Service, count_tokens

PAGE = 2
"""Jobs of a page, however many are asked for."""


def answer(
    live: Service, batches: Batches, method: str, path: str, headers: Message, body: bytes
) -> Reply | None:
    place, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
    parts = place.removeprefix("/v1/").split("/")
    match method, parts:
        case "POST", ["files"]:
            batches.on("upload")
            head, _, rest = body.partition(b'filename="')
            assert b"batch" in head + rest
            data = rest.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
            return reply({"id": batches.upload(data), "object": "file"})
        case "POST", ["batches"]:
            batches.on("create")
            asked = json.loads(body)
            assert (asked["endpoint"], asked["completion_window"]) == ("/v1/embeddings", "24h")
            job = batches.create(asked["metadata"]["ragkit"], asked["input_file_id"])
            batches.on("created")
            return reply(_shown(batches, job, "validating"))
        case "GET", ["batches"]:
            batches.on("list")
            known = [j for j in reversed(batches.jobs) if j.fault != "lost"]
            if after := query.get("after"):
                known = known[[j.id for j in known].index(after[0]) + 1 :]
            page = [_shown(batches, job, "in_progress") for job in known[:PAGE]]
            return reply({"object": "list", "data": page, "has_more": len(known) > PAGE})
        case "GET", ["batches", id]:
            batches.on("look")
            if (found := batches.find(id)) is None:
                return NOT_FOUND
            ended = {"": "completed", "full": "failed"}.get(found.ended_as, found.ended_as)
            return reply(
                _shown(batches, found, ended if batches.has_ended(found) else "in_progress")
            )
        case "GET", ["files", name, "content"]:
            batches.on("errors" if name.startswith("errors-") else "download")
            return _content(live, batches, name)
    return None


def _shown(batches: Batches, job: Job, status: str) -> dict[str, Any]:
    is_ended = status in ("completed", "failed", "expired", "cancelled")
    answered = batches.answered(job) if is_ended else []
    errors = None
    if job.fault in ("failed", "full") and is_ended:
        code = "token_limit_exceeded" if job.fault == "full" else "invalid_request"
        errors = {"object": "list", "data": [{"code": code, "message": "no"}]}
    return {
        "id": job.id, "object": "batch", "endpoint": "/v1/embeddings", "status": status,
        "completion_window": "24h", "input_file_id": "", "created_at": int(time.time()),
        "metadata": {"ragkit": job.label}, "errors": errors,
        "output_file_id": f"answers-{job.id}" if answered else None,
        "error_file_id": f"errors-{job.id}" if answered else None,
    }  # fmt: skip


def _content(live: Service, batches: Batches, name: str) -> Reply:
    kind, _, id = name.partition("-")
    job = batches.find(id)
    if job is None or job.fault == "lost file":
        return NOT_FOUND
    answered = batches.answered(job)
    if kind == "errors":
        lines = [_error(line, fault) for line, fault in answered if fault in ("error", "refused")]
        rest = job.lines[len(answered) :]
        expired = {"code": "batch_expired", "message": "not in time"}
        lines += [{"custom_id": line["custom_id"], "error": expired} for line in rest]
    else:
        good = [pair for pair in answered if pair[1] not in ("error", "refused")]
        lines = [_line(live, line, fault) for line, fault in reversed(good)]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    if job.fault == "broken":
        job.fault, data = "", data[:-10]
    return Reply(200, data)


def _line(live: Service, line: Line, fault: str) -> dict[str, Any]:
    asked = line["body"]
    assert line["url"] == "/v1/embeddings"
    text = Asked(asked["model"], [asked["input"]], None, asked.get("dimensions"))
    made = live.vectors(text, fault)
    encoded = base64.b64encode(np.array(made[0], np.float32).tobytes()).decode()
    tokens = count_tokens(asked["input"])
    body = {
        "object": "list", "model": asked["model"],
        "data": [{"object": "embedding", "index": 0, "embedding": encoded}],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }  # fmt: skip
    response = {"status_code": 200, "request_id": "1", "body": body}
    return {"id": "1", "custom_id": line["custom_id"], "response": response, "error": None}


def _error(line: Line, fault: str) -> dict[str, Any]:
    status = 400 if fault == "refused" else 500
    response = {"status_code": status, "request_id": "1", "body": {"error": {"code": "no"}}}
    return {"id": "1", "custom_id": line["custom_id"], "response": response, "error": None}


def texts_of(job: Job) -> list[str]:
    return [line["body"]["input"] for line in job.lines]


@contextmanager
def serving(dimension: int = 1536, **settings: Any) -> Iterator[tuple[Service, Batches]]:
    """Yields the live service and the batches; the base URL is the service's address and /v1."""
    live, batches = Service(dimension, **settings), Batches()
    also = partial(answer, live, batches)
    with service.serving(live, openai.read, openai.shape, openai.refuse, also=also):
        yield live, batches
