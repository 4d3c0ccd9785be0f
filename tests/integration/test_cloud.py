"""A Cloud Function deployed, watched and taken back, by a gcloud that records what it is told."""

import pytest

from ragkit.app.cloud import CHECKS, CloudApp
from ragkit.app.grants import ROLES, SERVICES, checks
from ragkit.app.smoke import smoke
from ragkit.errors import ConfigError, DeployError
from ragkit.migration.plan import Plan
from ragkit.runbook.deployment import deployment
from tests.stand_ins.gcloud import Cloud

OLD, NEW, FN = "textembedding-gecko@001", "text-embedding-005", "rag-fn"
ENV = {
    "DB_USER": "retrieval-service", "DB_NAME": "assistantdemo",
    "INSTANCE_CONNECTION_NAME": "acme:us-central1:jss", "GCP_LOCATION": "us-central1",
    "SERVICE_ACCOUNT": "fn@acme.iam", "DB_PASS_SECRET": "projects/1/secrets/jss-pass/versions/3",
    "DB_PASS": "canary-password",
}  # fmt: skip


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    with Cloud(tmp_path / "cloud").serving() as found:
        for name, value in found.env.items():
            monkeypatch.setenv(name, value)
        yield found


def app(**changes):
    values = {"database": "env", "app": "cloud", "function": FN, "apply": True, **changes}
    return CloudApp(deployment(Plan(**values), ENV))


@pytest.fixture
def old(cloud):
    """The function as it serves before: one revision, of the old model."""
    app().stage(OLD)
    (cloud.folder / "calls.jsonl").unlink()
    return app().serving()


def changes(cloud):
    """The commands that change something."""
    return [c for c in cloud.calls if "deploy" in c or "update-traffic" in c]


def test_a_cut_over_pins_deploys_tries_and_moves_the_traffic_in_steps(cloud, old):
    found = app()
    new = found.stage(NEW)
    assert found.serving() == old
    with found.client(new) as client:
        assert client.headers["Authorization"] == "Bearer identity-token-canary"
        smoke(client, "restaurants", NEW)
    found.promote(new)
    found.discard(new)
    traffic = f"run services update-traffic {FN} --region=us-central1"
    pin, deploy, *rest = changes(cloud)
    assert pin == f"{traffic} --to-revisions={old.name}=100"
    source = deploy.split("--source=")[1].split()[0]
    assert deploy.replace(source, "SOURCE") == (
        f"functions deploy {FN} --gen2 --region=us-central1 --runtime=python312 --source=SOURCE "
        "--entry-point=hello_http --trigger-http --service-account=fn@acme.iam "
        "--set-env-vars=DB_NAME=assistantdemo,DB_USER=retrieval-service,"
        f"EMBEDDING_MODEL={NEW},GCP_LOCATION=us-central1,"
        "INSTANCE_CONNECTION_NAME=acme:us-central1:jss --set-secrets=DB_PASS=jss-pass:latest"
    )
    assert rest == [
        f"{traffic} --update-tags=candidate={new.name}",
        f"{traffic} --to-revisions={new.name}=5,{old.name}=95",
        f"{traffic} --to-revisions={new.name}=50,{old.name}=50",
        f"{traffic} --to-revisions={new.name}=100",
        f"{traffic} --remove-tags=candidate",
    ]
    assert found.serving() == new
    assert "canary-password" not in " ".join(cloud.calls)


def test_what_is_uploaded_is_whole(cloud, old):
    uploaded = cloud.folder / old.name
    assert {"main.py", "requirements.txt", ".gcloudignore", "ragkit"} <= {
        file.name for file in uploaded.iterdir()
    }
    assert (uploaded / "ragkit" / "embedders" / "vertex.py").is_file()
    assert not (uploaded / "ragkit" / "migration").exists()


def test_the_way_back_is_one_step(cloud, old):
    found = app()
    new = found.stage(NEW)
    found.promote(new)
    (cloud.folder / "calls.jsonl").unlink()
    found.start(old)
    found.promote(old)
    assert changes(cloud)[1:] == [
        f"run services update-traffic {FN} --region=us-central1 --to-revisions={old.name}=100"
    ]
    assert found.serving() == old


def test_a_revision_that_falls_ill_in_the_canary_is_taken_back(cloud, old):
    found = app(canary=[50])
    new = found.stage(NEW)
    state = cloud.read()
    state["revisions"][-1]["ill"] = True
    cloud.write(revisions=state["revisions"])
    with pytest.raises(DeployError, match=f"503 during the canary; all traffic is on {old.name}"):
        found.promote(new)
    assert found.serving() == old
    assert CHECKS >= 10  # half of the traffic is ill: one in a thousand would pass


@pytest.mark.parametrize(
    "step", ["--to-revisions=rag-fn-00001-abc=100", "deploy", "--update-tags", "=5,", "=50,"]
)
def test_gcloud_that_fails_half_way_leaves_the_old_one_serving(cloud, old, step):
    found = app()
    cloud.write(fail=[step])
    with pytest.raises(DeployError, match="refused by the stand-in"):
        found.promote(found.stage(NEW))
    assert found.serving() == old
    assert cloud.read()["traffic"] == {old.name: 100}
    found.promote(found.stage(NEW))  # run again, it ends well
    assert found.serving().model == NEW


def test_a_dry_run_shows_the_commands_and_changes_nothing(cloud, old):
    found = app(apply=False)
    lines = found.commands(NEW)
    with pytest.raises(DeployError, match="apply: true"):
        found.stage(NEW)
    assert changes(cloud) == []
    assert lines[0] == "python -m ragkit vendor"
    assert "--to-revisions=OLD=100" in lines[1]
    assert "EMBEDDING_MODEL=text-embedding-005" in lines[2]
    assert [line.rpartition("--to-revisions=")[2] for line in lines[-3:]] == [
        "NEW=5,OLD=95", "NEW=50,OLD=50", "NEW=100",
    ]  # fmt: skip
    assert "allow-unauthenticated" not in " ".join(lines)


def test_public_access_only_when_it_is_asked_for(cloud, old):
    assert "--allow-unauthenticated" in app(allow_unauthenticated=True).commands(NEW)[2]


def test_released_the_next_deployment_serves_at_once(cloud, old):
    found = app()
    found.promote(found.stage(NEW))
    found.release()
    assert "--serve-all-traffic-latest-revision" in changes(cloud)[-1]
    assert (found.serving().model, cloud.read()["pinned"]) == (NEW, False)
    deployed = len(changes(cloud))
    found.release()  # again: nothing is pinned any more
    assert len(changes(cloud)) == deployed


def test_nothing_is_deployed_yet(cloud):
    assert app().serving() is None
    assert app().url == ""


def test_without_gcloud(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeployError, match="gcloud is not installed"):
        app().stage(NEW)


def test_a_setting_that_is_missing_is_named():
    env = {k: v for k, v in ENV.items() if k != "SERVICE_ACCOUNT"}
    with pytest.raises(ConfigError, match="SERVICE_ACCOUNT"):
        deployment(Plan(database="env", app="cloud", function=FN), env)


def test_missing_apis_and_roles_come_with_the_line_that_gives_them(cloud):
    member = "serviceAccount:fn@acme.iam"
    cloud.write(services=list(SERVICES[1:]), bindings=[{"role": ROLES[0], "members": [member]}])
    missing = {c.name: c.way_out for c in checks("acme", "fn@acme.iam") if not c.passed}
    assert missing == {
        "API aiplatform.googleapis.com":
            "gcloud services enable aiplatform.googleapis.com --project=acme",
        **{
            f"{role} of the function's account":
                f"gcloud projects add-iam-policy-binding acme --member={member} --role={role}"
            for role in ROLES[1:]
        },
    }  # fmt: skip
