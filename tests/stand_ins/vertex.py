"""A stand-in for Vertex AI's prediction service on loopback: real gRPC and REST on one port.

It enforces the limits of the service and refuses requests on demand. It answers recorded vectors
where it has them, else deterministic unit vectors made from the model's name and the text.
"""

import csv
import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
from google.cloud.aiplatform_v1.types import PredictRequest, PredictResponse
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Value

from tests.stand_ins import one_port, vertex_rest
from tests.stand_ins.embeddings.service import Answered

SERVICE = "google.cloud.aiplatform.v1.PredictionService"
MAX_TEXTS, MAX_TOKENS, MAX_TOKENS_PER_TEXT = 250, 20_000, 2048
BYTES_PER_TOKEN = 4
DIMENSIONS = {"gemini-embedding-001": 3072}


class Vertex:
    """`refuse`: the status codes of the next calls. `retired`: models that answer NOT_FOUND.
    `delay`: seconds before each answer. `wrong`: "count" or "dimension", what is wrong with the
    answers. `recorded`: vectors by model and text. `calls`: the model, the task types and the
    number of texts of each call that was answered. `endpoints`: the model's resource name of
    each call. `answered`: as in Service. `quota`: requests in any `quota_seconds`; None is no
    limit. `over_quota`: the task types of each call that was refused for it. `address` takes both
    protocols, `grpc_address` gRPC alone and without a detour."""

    def __init__(self):
        self.calls: list[tuple[str, set, int]] = []
        self.endpoints: list[str] = []
        self.answered: list[Answered] = []
        self.refuse: list[grpc.StatusCode] = []
        self.retired: set[str] = set()
        self.recorded: dict[tuple[str, str], list[float]] = {}
        self.delay, self.wrong = 0.0, ""
        self.address, self.grpc_address = "", ""
        self.quota: int | None = None
        self.quota_seconds = 60.0
        self.over_quota: list[set] = []
        self._admitted: deque[float] = deque()
        self._lock = threading.Lock()

    def record(self, model: str, file: Path) -> None:
        """Reads vectors from a CSV file with the columns content and embedding."""
        with file.open(newline="", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                self.recorded[model, row["content"]] = json.loads(row["embedding"])

    def predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        """Over gRPC."""
        instances = [dict(instance) for instance in request.instances]
        parameters = MessageToDict(request._pb.parameters) or {}
        try:
            answers = self.answer(request.endpoint, instances, parameters)
        except Refusal as refusal:
            context.abort(refusal.status, refusal.message)
        response = PredictResponse()
        response._pb.predictions.extend(ParseDict(answer, Value()) for answer in answers)
        return response

    def answer(self, endpoint: str, instances: list[dict], parameters: dict) -> list[dict]:
        """Over whatever protocol. Raises Refusal."""
        came_at = time.monotonic()
        time.sleep(self.delay)
        if self.refuse:
            raise Refusal(self.refuse.pop(0), "refused by the stand-in")
        self.endpoints.append(endpoint)
        tasks = {instance.get("task_type") for instance in instances}
        if not self._admit():
            self.over_quota.append(tasks)
            raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "the quota is used up")
        model = endpoint.rpartition("/")[2]
        if model in self.retired:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Publisher model {model} was not found")
        tokens = [count_tokens(instance["content"]) for instance in instances]
        max_texts = 1 if model.startswith("gemini") else MAX_TEXTS
        if len(instances) > max_texts or sum(tokens) > MAX_TOKENS or 0 in tokens:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "too much, or an empty text")
        self.calls.append((model, tasks, len(instances)))
        self.answered.append(Answered(came_at, sum(tokens), instances[0]["content"]))
        full = DIMENSIONS.get(model, 768)
        dimension = int(parameters.get("outputDimensionality", full)) - (self.wrong == "dimension")
        answers = []
        for instance, count in zip(instances, tokens, strict=True):
            vector = self.recorded.get((model, instance["content"]))
            answer = {
                "embeddings": {
                    "values": (vector or made(model, instance["content"], full))[:dimension],
                    "statistics": {"truncated": count > MAX_TOKENS_PER_TEXT, "token_count": count},
                }
            }
            answers.append(answer)
        return answers[1:] if self.wrong == "count" else answers

    def _admit(self) -> bool:
        """By a sliding window."""
        with self._lock:
            now = time.monotonic()
            while self._admitted and self._admitted[0] <= now - self.quota_seconds:
                self._admitted.popleft()
            if self.quota is not None and len(self._admitted) >= self.quota:
                return False
            self._admitted.append(now)
            return True


class Refusal(Exception):
    """An answer that is an error, by gRPC's status."""

    def __init__(self, status: grpc.StatusCode, message: str):
        self.status, self.message = status, message


def count_tokens(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def made(model: str, text: str, dimension: int = 768) -> list[float]:
    """A unit vector in a space of the model's own. Texts that share words have similar vectors."""
    vector = np.zeros(dimension)
    for word in text.lower().replace(".", " ").split():
        seed = int.from_bytes(hashlib.sha256(f"{model}\0{word}".encode()).digest()[:8], "big")
        vector += np.random.default_rng(seed).normal(size=dimension)
    return (vector / (np.linalg.norm(vector) or 1.0)).tolist()


@contextmanager
def serving(
    secure: bool = False, vertex: Vertex | None = None, also: vertex_rest.Also | None = None,
    services: Sequence[grpc.GenericRpcHandler] = (),
) -> Iterator[Vertex]:  # fmt: skip
    """`also` answers other requests of REST, `services` are others over gRPC."""
    vertex = vertex or Vertex()
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    handler = grpc.unary_unary_rpc_method_handler(
        vertex.predict, PredictRequest.deserialize, PredictResponse.serialize
    )
    generic = grpc.method_handlers_generic_handler(SERVICE, {"Predict": handler})
    server.add_generic_rpc_handlers((generic, *services))
    if secure:  # a channel that carries credentials requires it
        port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    vertex.grpc_address = f"127.0.0.1:{port}"
    server.start()
    try:
        with (
            vertex_rest.serving(vertex.answer, also) as rest,
            one_port.serving(rest, port) as shared,
        ):
            vertex.address = f"127.0.0.1:{shared}"
            yield vertex
    finally:
        server.stop(grace=None)
