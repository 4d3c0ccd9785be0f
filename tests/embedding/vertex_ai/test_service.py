import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.embedding.vertex_ai.service import resource_name, service_host
from ragkit.errors import ConfigError

MODEL = find_model("text-embedding-005")


def test_the_project_of_the_instance_is_the_default(vertex):
    env = {"INSTANCE_CONNECTION_NAME": "acme.com:shop:us-central1:db"}
    name = resource_name(MODEL, env)
    assert name.startswith("projects/acme.com:shop/locations/us-central1/")
    VertexEmbedder(MODEL, env | {"VERTEX_ENDPOINT": vertex.address}).embed_query("a")
    assert vertex.endpoints == [name]


def test_a_missing_project_is_an_error_that_names_its_setting():
    with pytest.raises(ConfigError, match="GCP_PROJECT_ID"):
        VertexEmbedder(MODEL, {})


def test_a_location_that_is_no_region_is_refused():
    with pytest.raises(ConfigError, match="us-central1"):
        VertexEmbedder(MODEL, {"GCP_PROJECT_ID": "p", "GCP_LOCATION": "Iowa"})


@pytest.mark.parametrize(
    ("location", "host"),
    [("europe-west4", "europe-west4-aiplatform.googleapis.com"),
     ("global", "aiplatform.googleapis.com"), ("", "us-central1-aiplatform.googleapis.com")],
)  # fmt: skip
def test_each_region_has_its_server(location, host):
    assert service_host({"GCP_LOCATION": location}) == host
