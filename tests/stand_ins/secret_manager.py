"""A stand-in for Google's Secret Manager on loopback, over real gRPC."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from google.cloud.secretmanager_v1.types import (
    AccessSecretVersionRequest,
    AccessSecretVersionResponse,
)

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"


@contextmanager
def serving(secrets: dict[str, str]) -> Iterator[str]:
    """Yields host:port. `secrets`: values by the full names of their versions."""

    def access(request: AccessSecretVersionRequest, context: grpc.ServicerContext):
        if request.name not in secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, "refused by the stand-in")
        payload = {"data": secrets[request.name].encode()}
        return AccessSecretVersionResponse(name=request.name, payload=payload)

    handler = grpc.unary_unary_rpc_method_handler(
        access, AccessSecretVersionRequest.deserialize, AccessSecretVersionResponse.serialize
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"AccessSecretVersion": handler}),)
    )
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield address
    finally:
        server.stop(grace=None)
