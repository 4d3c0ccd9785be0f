"""The gcloud commands of a deployment, without running them."""

from dataclasses import replace
from pathlib import Path

from ragkit.deploy.deployment import Deployment

DEPLOYMENT = Deployment(
    function="rag-fn",
    region="us-central1",
    service_account="fn@acme.iam",
    secret="jss-pass",
    environment={"DB_USER": "retrieval-service", "DB_NAME": "assistantdemo"},
    canary=(5, 50),
)
TRAFFIC = "run services update-traffic rag-fn --region=us-central1"


def test_a_function_is_deployed_with_its_environment_and_its_secret():
    command = DEPLOYMENT.deploy("text-embedding-005", Path("source"))
    assert " ".join(command) == (
        "functions deploy rag-fn --gen2 --region=us-central1 --runtime=python312 --source=source "
        "--entry-point=hello_http --trigger-http --service-account=fn@acme.iam "
        "--update-env-vars=DB_NAME=assistantdemo,DB_USER=retrieval-service,"
        "EMBEDDING_MODEL=text-embedding-005 --update-secrets=DB_PASS=jss-pass:latest"
    )


def test_the_keys_of_its_models_are_secrets_too():
    deployment = replace(DEPLOYMENT, keys={"OPENAI_API_KEY": "openai", "CO_API_KEY": "co"})
    assert deployment.deploy("text-embedding-3-small", Path("source"))[-1] == (
        "--update-secrets=DB_PASS=jss-pass:latest,OPENAI_API_KEY=openai:latest,CO_API_KEY=co:latest"
    )


def test_traffic_is_divided_by_revision():
    assert " ".join(DEPLOYMENT.move_traffic({"new": 5, "old": 95})) == (
        f"{TRAFFIC} --to-revisions=new=5,old=95"
    )


def test_a_tag_gives_a_revision_its_own_address():
    assert " ".join(DEPLOYMENT.tag("new", None)) == f"{TRAFFIC} --update-tags=candidate=new"
    assert " ".join(DEPLOYMENT.remove_tags(["candidate"])) == f"{TRAFFIC} --remove-tags=candidate"


def test_a_cut_over_pins_the_traffic_before_it_deploys():
    pin, deploy, revisions, tag, *canary = map(
        " ".join, DEPLOYMENT.cut_over("text-embedding-005", DEPLOYMENT.canary)
    )
    assert pin == f"{TRAFFIC} --to-revisions=OLD=100"
    assert "--source=function" in deploy
    assert revisions == "run revisions list --service=rag-fn --region=us-central1"
    assert tag == f"{TRAFFIC} --update-tags=candidate=NEW,serving=OLD"
    assert [command.partition("--to-revisions=")[2] for command in canary] == [
        "NEW=5,OLD=95", "NEW=50,OLD=50", "NEW=100",
    ]  # fmt: skip
