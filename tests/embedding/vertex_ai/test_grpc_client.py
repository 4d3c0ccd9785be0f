"""The way of the rows: what only gRPC says."""

import grpc
import pytest
from google.auth.transport.grpc import secure_authorized_channel
from google.auth.transport.requests import Request
from google.cloud.aiplatform_v1.services.prediction_service import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports import (
    PredictionServiceGrpcTransport,
)
from google.oauth2 import service_account

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.vertex_ai.grpc_client import GrpcClient
from ragkit.embedding.vertex_ai.service import shape_instances
from ragkit.errors import ModelBusy, ModelUnavailable
from tests.stand_ins import credentials
from tests.stand_ins.vertex import serving


def test_expired_credentials_are_an_error_at_once(tmp_path):
    """A key of a deleted account, on a real channel: gRPC reports it as "unavailable"."""
    with (
        serving(secure=True) as vertex,
        credentials.serving(tmp_path / "gone.json", refuse=True) as env,
    ):
        deleted_account = service_account.Credentials.from_service_account_file(
            env["GOOGLE_APPLICATION_CREDENTIALS"], scopes=["cloud-platform"]
        )
        channel = secure_authorized_channel(
            deleted_account,
            Request(),
            vertex.grpc_address,
            ssl_credentials=grpc.local_channel_credentials(),
        )
        settings = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.grpc_address}
        client = GrpcClient(find_model("text-embedding-005"), settings, None)
        client._client = PredictionServiceClient(
            transport=PredictionServiceGrpcTransport(channel=channel)
        )
        with pytest.raises(ModelUnavailable, match="credentials do not work") as error:
            client.predict(shape_instances(["a"], None), {})
    assert not isinstance(error.value, ModelBusy)


def test_a_refusal_for_the_quota_is_told_and_not_asked_again(vertex):
    settings, told = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}, []
    client = GrpcClient(find_model("text-embedding-005"), settings, None)
    vertex.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED]
    with pytest.raises(ModelBusy):
        client.predict(shape_instances(["a"], None), {}, lambda: told.append(1))
    assert told == [1]
    assert client.predict(shape_instances(["a"], None), {}, lambda: told.append(1))
    assert told == [1]
