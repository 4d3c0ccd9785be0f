"""A Cloud Function is deployed, gets its traffic in steps and goes back, by a recording gcloud."""

import os
import subprocess
import time

import pytest

from ragkit.deploy.cloud_run import CloudApp
from ragkit.deploy.smoke_test import run_smoke_test
from ragkit.errors import ConfigError, DeployError
from ragkit.migration.cutover import switch_traffic
from ragkit.runbook.deployment import deployment_from
from tests.conftest import PYTHON, changed, make_plan

OLD, NEW, FN = "textembedding-gecko@001", "text-embedding-005", "rag-fn"
ENV = {
    "DB_USER": "retrieval-service", "DB_NAME": "assistantdemo",
    "INSTANCE_CONNECTION_NAME": "acme:us-central1:jss", "GCP_LOCATION": "us-central1",
    "SERVICE_ACCOUNT": "fn@acme.iam", "DB_PASS_SECRET": "projects/1/secrets/jss-pass/versions/3",
    "DB_PASS": "canary-password",
}  # fmt: skip


WIDE = {"errors": 0.4, "slower": 20.0, "empty": 0.4, "per_second": 100.0, "minutes": 0.5}
"""Limits of a canary by which a few answers decide."""


def cloud_app(limits=WIDE, report=lambda look: None, **changes):
    """The app of a plan with other values in its section `app`, and limits of the canary."""
    settings = {"target": "cloud", "function": FN, "apply": True, **changes}
    plan = make_plan({f"app.{name}": value for name, value in settings.items()})
    limits = {f"canary.{name}": value for name, value in limits.items()}
    plan = changed(plan, {"table.name": "amenities", **limits})
    return CloudApp(deployment_from(plan, "restaurants", ENV), report=report)


@pytest.fixture
def old(cloud):
    """The revision of the old model, which has all traffic."""
    app = cloud_app()
    app.stage(OLD)
    (cloud.folder / "calls.jsonl").unlink()
    return app.serving()


def changing_commands(cloud):
    return [call for call in cloud.calls if "deploy" in call or "update-traffic" in call]


def test_a_cut_over_pins_the_traffic_deploys_and_moves_the_traffic_in_steps(cloud, old):
    app = cloud_app()
    new = app.stage(NEW)
    assert app.serving() == old
    with app.client(new) as client:
        assert client.headers["Authorization"] == "Bearer identity-token-canary"
        run_smoke_test(client, "restaurants", NEW)
    app.promote(new)
    app.discard(new)
    traffic = f"run services update-traffic {FN} --region=us-central1"
    pin, deploy, *rest = changing_commands(cloud)
    assert pin == f"{traffic} --to-revisions={old.name}=100"
    source = deploy.split("--source=")[1].split()[0]
    assert deploy.replace(source, "SOURCE") == (
        f"functions deploy {FN} --gen2 --region=us-central1 --runtime=python312 --source=SOURCE "
        "--entry-point=hello_http --trigger-http --service-account=fn@acme.iam "
        "--update-env-vars=DB_NAME=assistantdemo,DB_USER=retrieval-service,"
        f"EMBEDDING_MODEL={NEW},GCP_LOCATION=us-central1,"
        "INSTANCE_CONNECTION_NAME=acme:us-central1:jss --update-secrets=DB_PASS=jss-pass:latest"
    )
    assert rest == [
        f"{traffic} --update-tags=candidate={new.name},serving={old.name}",
        f"{traffic} --to-revisions={new.name}=5,{old.name}=95",
        f"{traffic} --to-revisions={new.name}=50,{old.name}=50",
        f"{traffic} --to-revisions={new.name}=100",
        f"{traffic} --remove-tags=candidate,serving",
    ]
    assert app.serving() == new
    assert "canary-password" not in " ".join(cloud.calls)


def test_settings_of_the_serving_revision_survive(cloud, old):
    """Those that the plan does not know: a cut-over would else change the fields of the answer."""
    state = cloud.read()
    state["revisions"][-1]["env"]["RESULT_COLUMNS"] = "title,price"
    cloud.write(revisions=state["revisions"])
    app = cloud_app(canary=[])
    app.promote(app.stage(NEW))
    app.release()
    assert [r["env"].get("RESULT_COLUMNS") for r in cloud.read()["revisions"]] == 3 * [
        "title,price"
    ]
    assert cloud.read()["revisions"][-1]["model"] == NEW


def test_the_uploaded_source_has_the_function_and_the_core(cloud, old):
    uploaded = cloud.folder / old.name
    assert {"main.py", "requirements.txt", ".gcloudignore", "ragkit"} <= {
        file.name for file in uploaded.iterdir()
    }
    assert (uploaded / "ragkit" / "embedding" / "providers" / "vertex.py").is_file()
    assert not (uploaded / "ragkit" / "migration").exists()


def test_a_rollback_moves_all_traffic_in_one_step(cloud, old):
    app = cloud_app(canary=[])
    new = app.stage(NEW)
    app.promote(new)
    (cloud.folder / "calls.jsonl").unlink()
    app.start(old)
    app.promote(old)
    assert changing_commands(cloud)[1:] == [
        f"run services update-traffic {FN} --region=us-central1 --to-revisions={old.name}=100"
    ]
    assert app.serving() == old


def test_a_revision_that_fails_in_the_canary_loses_its_traffic(cloud, old):
    app = cloud_app(canary=[50])
    new = app.stage(NEW)
    cloud.change(-1, ill=True)
    with pytest.raises(DeployError, match=f"errors [+]100.* all traffic is on {old.name} again"):
        app.promote(new)
    assert app.serving() == old
    assert cloud.read()["traffic"] == {old.name: 100}


def test_a_revision_that_fails_once_it_has_all_traffic_loses_it(cloud, old):
    app = cloud_app(canary=[])
    new = app.stage(NEW)
    cloud.change(-1, ill=True)
    with pytest.raises(DeployError, match=r"10 of 10 questions failed: status 503; all traffic is"):
        app.promote(new)
    assert cloud.read()["traffic"] == {old.name: 100}


def test_failures_of_the_old_revision_are_not_those_of_the_new_one(cloud, old):
    """A retired model may fail while it still has a share of the traffic."""
    app = cloud_app(canary=[50])
    new = app.stage(NEW)
    cloud.change(0, ill=True, well=1)
    app.promote(new)
    assert app.serving() == new
    assert any(f"{new.name}=50" in call for call in changing_commands(cloud))


@pytest.mark.parametrize("share", [50])
def test_a_canary_that_was_killed_leaves_the_old_revision_serving(cloud, old, share):
    """Whatever its share is; the next run begins with all traffic on it."""
    app = cloud_app(canary=[share], limits=WIDE | {"per_second": 0.0})
    new = app.stage(NEW)
    killed = subprocess.Popen([PYTHON, "-c", PROMOTE, new.name, str(share)], env=os.environ)
    deadline = time.monotonic() + 30
    while cloud.read()["traffic"] != {new.name: share, old.name: 100 - share}:
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    killed.kill()
    killed.wait()
    assert app.serving() == old
    assert app.is_split()
    again = cloud_app(canary=[])
    revision = again.stage(NEW)
    assert revision != new
    assert not again.is_split()
    assert cloud.read()["traffic"] == {old.name: 100}
    again.promote(revision)
    again.discard(revision)
    assert again.serving() == revision
    assert (cloud.read()["traffic"], cloud.read()["tags"]) == ({revision.name: 100}, {})


PROMOTE = """
import sys
from ragkit.deploy.app import Revision
from tests.deploy.test_cloud_run import NEW, WIDE, cloud_app
app = cloud_app(canary=[int(sys.argv[2])], limits=WIDE | {"per_second": 0.0})
app.promote(Revision(sys.argv[1], NEW))
"""


def test_a_rollback_ends_a_canary_that_was_killed(cloud, old):
    app = cloud_app()
    new = app.stage(NEW)
    cloud.write(traffic={new.name: 50, old.name: 50})
    switch = switch_traffic(app, OLD, "restaurants", reuse=True)
    assert (switch.revision, switch.already) == (old, False)
    assert cloud.read()["traffic"] == {old.name: 100}
    assert switch_traffic(app, OLD, "restaurants", reuse=True).already


def test_where_the_app_is_down_the_new_revision_gets_all_traffic_at_once(cloud, old):
    """A canary would leave most of it with what fails."""
    app = cloud_app()
    steps = app.commands(NEW)
    new = app.stage(NEW)
    state = cloud.read()
    state["revisions"][0]["ill"] = True
    cloud.write(revisions=state["revisions"])
    app.promote(new)
    splits = [call for call in changing_commands(cloud) if "--to-revisions" in call]
    assert [call.rpartition("=")[0].endswith(f"={new.name}") for call in splits[1:]] == [True]
    assert app.serving() == new
    cloud.write(traffic={old.name: 100})
    at_once = app.commands(NEW)
    assert [line for line in steps if line not in at_once] != []
    assert [line for line in at_once if "NEW=5," in line or "NEW=50," in line] == []


@pytest.mark.parametrize(
    "step", ["--to-revisions=rag-fn-00001-abc=100", "deploy", "--update-tags", "=5,", "=50,"]
)
def test_a_failing_gcloud_leaves_the_old_revision_serving(cloud, old, step):
    app = cloud_app(canary=[int(step[1:-1])] if step[0] == "=" else [])
    cloud.write(fail=[step])
    with pytest.raises(DeployError, match="refused by the stand-in"):
        app.promote(app.stage(NEW))
    assert app.serving() == old
    assert cloud.read()["traffic"] == {old.name: 100}
    app.promote(app.stage(NEW))  # the next run succeeds
    assert app.serving().model == NEW


def test_a_dry_run_shows_the_commands_and_changes_nothing(cloud, old):
    app = cloud_app(apply=False)
    lines = app.commands(NEW)
    with pytest.raises(DeployError, match="apply: true"):
        app.stage(NEW)
    assert changing_commands(cloud) == []
    *lines, told, limit = lines
    assert told.startswith("# canary: each step takes about ")
    assert limit.startswith("# canary: a revision that fails 40 points more often goes back after")
    assert lines[0].startswith("python -m ragkit vendor")
    assert "--to-revisions=OLD=100" in lines[1]
    assert "EMBEDDING_MODEL=text-embedding-005" in lines[2]
    assert [line.rpartition("--to-revisions=")[2] for line in lines[-3:]] == [
        "NEW=5,OLD=95", "NEW=50,OLD=50", "NEW=100",
    ]  # fmt: skip
    assert "allow-unauthenticated" not in " ".join(lines)


def test_public_access_is_a_setting_of_the_plan():
    assert "--allow-unauthenticated" in cloud_app(allow_unauthenticated=True).commands(NEW)[2]


def test_after_a_release_the_next_deployment_serves_at_once(cloud, old):
    app = cloud_app(canary=[])
    app.promote(app.stage(NEW))
    app.release()
    assert "--serve-all-traffic-latest-revision" in changing_commands(cloud)[-1]
    assert (app.serving().model, cloud.read()["pinned"]) == (NEW, False)
    commands = changing_commands(cloud)
    app.release()  # nothing is pinned any more
    assert changing_commands(cloud) == commands


def test_a_function_that_was_never_deployed_has_no_revision_and_no_url(cloud):
    assert cloud_app().serving() is None
    assert cloud_app().url == ""


def test_a_missing_gcloud_is_an_error_that_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeployError, match="gcloud is not installed"):
        cloud_app().stage(NEW)


class TestModelsOfOtherProviders:
    """OLD runs by a package of an extra; the new one also by a key."""

    def app(self, **variables):
        settings = {"app.target": "cloud", "app.function": FN, "app.apply": True,
                    "table.name": "amenities", "new.model": "text-embedding-3-small"}  # fmt: skip
        return CloudApp(deployment_from(make_plan(settings), "tea", {**ENV, **variables}))

    def test_a_deployment_without_its_key_is_refused_and_the_way_back_is_not(self, cloud, old):
        app = self.app()
        with pytest.raises(DeployError, match="set OPENAI_API_KEY_SECRET"):
            app.stage("text-embedding-3-small")
        app.promote(old)
        assert app.serving() == old

    def test_its_commands_say_what_the_source_needs(self, cloud, old):
        lines = self.app(OPENAI_API_KEY_SECRET="projects/p/secrets/oa").commands(NEW)
        assert "  # then add to function/requirements.txt: wordllama==" in lines[0]
        assert " openai==" in lines[0]
        assert any("OPENAI_API_KEY=oa:latest" in line for line in lines)


def test_a_missing_setting_of_the_deployment_is_named():
    env = {k: v for k, v in ENV.items() if k != "SERVICE_ACCOUNT"}
    with pytest.raises(ConfigError, match="SERVICE_ACCOUNT"):
        deployment_from(make_plan({"app.target": "cloud", "app.function": FN}), "tea", env)
