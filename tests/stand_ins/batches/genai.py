"""The Gemini API's files and :asyncBatchEmbedContent. Requests as of the stand-in of OpenAI's, but
for "errors": there is one file for all answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.stand_ins.batches.jobs import NOT_FOUND, Batches, Job, Line, reply
from tests.stand_ins.embeddings import genai, service
from tests.stand_ins.embeddings.service import Asked, Reply, Service, count_tokens


def answer(
    live: Service, batches: Batches, method: str, path: str, headers: Message, body: bytes
) -> Reply | None:
    place = unquote(urlsplit(path).path)
    name = place.rpartition("/")[2]
    if method == "POST" and place == "/upload/v1beta/files":
        batches.on("upload")
        return reply({}, X_Goog_Upload_URL=f"{live.address}/uploading")
    if place == "/uploading":
        assert headers["X-Goog-Upload-Command"] == "upload, finalize"
        shown = {"name": f"files/{batches.upload(body)}", "state": "ACTIVE"}
        final = reply({"file": shown}, X_Goog_Upload_Status="final")
        return replace(final, needs_key=False)  # its address is the secret
    if place.endswith(":asyncBatchEmbedContent"):
        batches.on("create")
        asked = json.loads(body)["batch"]
        source = asked["inputConfig"]
        file = source.get("fileName") or source["file_name"]
        job = batches.create(asked["displayName"], file.removeprefix("files/"))
        batches.on("created")
        return reply(_shown(job, "PENDING"))
    if method == "GET" and place == "/v1beta/batches":
        batches.on("list")
        known = [job for job in batches.jobs if job.fault != "lost"]
        return reply({"operations": [_shown(job, "RUNNING") for job in known]})
    if method == "GET" and place.startswith("/v1beta/batches/"):
        batches.on("look")
        if (found := batches.find(name)) is None:
            return NOT_FOUND
        ended = {"": "succeeded", "full": "failed"}.get(found.ended_as, found.ended_as).upper()
        return reply(_shown(found, ended if batches.has_ended(found) else "RUNNING"))
    if method == "GET" and place.endswith(":download"):
        batches.on("download")
        found = batches.find(name.partition(":")[0].removeprefix("answers-"))
        return _content(live, batches, found)
    return None


def _shown(job: Job, state: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"displayName": job.label, "state": f"BATCH_STATE_{state}"}
    shown: dict[str, Any] = {"name": f"batches/{job.id}", "metadata": metadata}
    if state not in ("PENDING", "RUNNING"):
        shown["done"] = True
        if job.fault in ("failed", "full"):
            shown["error"] = {"code": 13, "message": "no"}
        else:
            metadata["output"] = {"responsesFile": f"files/answers-{job.id}"}
    return shown


def _content(live: Service, batches: Batches, job: Job | None) -> Reply:
    if job is None or job.fault == "lost file":
        return NOT_FOUND
    lines = [_line(live, line, fault) for line, fault in batches.answered(job)]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    if job.fault == "broken":
        job.fault, data = "", data[:-10]
    return Reply(200, data)


def _line(live: Service, line: Line, fault: str) -> dict[str, Any]:
    if fault in ("error", "refused"):
        return {"key": line["key"], "error": {"code": 3 if fault == "refused" else 13}}
    asked = line["request"]
    text = genai.text_of(asked["content"])
    size = asked.get("outputDimensionality")
    made = live.vectors(Asked(asked["model"], [text], asked.get("taskType"), size), fault)
    response = {"embedding": {"values": made[0]}, "tokenCount": str(count_tokens(text))}
    return {"key": line["key"], "response": response}


def texts_of(job: Job) -> list[str]:
    return [genai.text_of(line["request"]["content"]) for line in job.lines]


@contextmanager
def serving(dimension: int = 3072, **settings: Any) -> Iterator[tuple[Service, Batches]]:
    """Yields the live service and the batches."""
    live, batches = genai.GenAi(dimension, **settings), Batches()
    live.statuses = {401: 400}
    also = partial(answer, live, batches)
    with service.serving(live, genai.read, genai.shape, genai.refuse, "x-goog-api-key", also=also):
        yield live, batches
