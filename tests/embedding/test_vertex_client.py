import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.vertex import VertexEmbedder
from ragkit.embedding.vertex_client import model_endpoint
from ragkit.errors import ConfigError

MODEL = find_model("text-embedding-005")


def test_the_project_of_the_instance_is_the_default():
    env = {"INSTANCE_CONNECTION_NAME": "acme.com:shop:us-central1:db", "VERTEX_ENDPOINT": "x:1"}
    endpoint = model_endpoint(MODEL, env)
    assert endpoint.startswith("projects/acme.com:shop/locations/us-central1/")
    assert VertexEmbedder(MODEL, env)._endpoint == endpoint


def test_a_missing_project_is_an_error_that_names_its_setting():
    with pytest.raises(ConfigError, match="GCP_PROJECT_ID"):
        VertexEmbedder(MODEL, {})


def test_a_location_that_is_no_region_is_refused():
    with pytest.raises(ConfigError, match="us-central1"):
        VertexEmbedder(MODEL, {"GCP_PROJECT_ID": "p", "GCP_LOCATION": "Iowa"})
