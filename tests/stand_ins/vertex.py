"""A loopback stand-in for Vertex AI's prediction service, over real gRPC.

It answers deterministic 768-dimensional unit vectors by model and text, enforces the request
limits, and can be told to refuse.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
from google.cloud.aiplatform_v1.types import PredictRequest, PredictResponse
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

SERVICE = "google.cloud.aiplatform.v1.PredictionService"
MAX_TEXTS, MAX_TOKENS = 250, 2048


class Vertex:
    """`refuse`: a status for each of the next calls; `calls`: model, tasks and texts of each."""

    def __init__(self):
        self.calls: list[tuple[str, set, int]] = []
        self.refuse: list[grpc.StatusCode] = []
        self.address = ""

    def predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        if self.refuse:
            context.abort(self.refuse.pop(0), "refused by the stand-in")
        model = request.endpoint.rpartition("/")[2]
        instances = [dict(instance) for instance in request.instances]
        if len(instances) > MAX_TEXTS:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many instances")
        self.calls.append((model, {i.get("task_type") for i in instances}, len(instances)))
        answers = [_prediction(model, instance["content"]) for instance in instances]
        response = PredictResponse()
        response._pb.predictions.extend(ParseDict(answer, Value()) for answer in answers)
        return response


def _prediction(model: str, text: str) -> dict:
    seed = int.from_bytes(hashlib.sha256(f"{model}\0{text}".encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=768)
    statistics = {"truncated": len(text) > 4 * MAX_TOKENS, "token_count": len(text) // 4}
    values = (vector / np.linalg.norm(vector)).tolist()
    return {"embeddings": {"values": values, "statistics": statistics}}


@contextmanager
def serving() -> Iterator[Vertex]:
    vertex = Vertex()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    handler = grpc.unary_unary_rpc_method_handler(
        vertex.predict, PredictRequest.deserialize, PredictResponse.serialize
    )
    generic = grpc.method_handlers_generic_handler(SERVICE, {"Predict": handler})
    server.add_generic_rpc_handlers((generic,))
    vertex.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield vertex
    finally:
        server.stop(grace=None)
