"""A deployment by scripts: what runs, in which order, and what a failure leaves."""

from dataclasses import replace

import pytest

from ragkit.deploy.own_app import command as module
from ragkit.deploy.own_app.command import CommandApp, Scripts
from ragkit.errors import AppNotRecognised, DatabaseError, DeployError
from tests.stand_ins import app as stand_in

SETTINGS = {
    name: {"EMBEDDING_MODEL": name, "RAGKIT_COLUMN": f"{name} column"} for name in ("old", "new")
}
TELL = 'echo "$RAGKIT_DIRECTION $EMBEDDING_MODEL $RAGKIT_COLUMN" >> '


@pytest.fixture
def url():
    """Of an app whose /healthz names the old model."""
    with stand_in.serving("old") as url:
        yield url


@pytest.fixture
def app(tmp_path, url, monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    log = tmp_path / "log"
    log.touch()

    def make(deploy="", roll_back="", seconds=10.0, url=url):
        lines = [f"""sh -c '{TELL} "$0"; {then}' '{log}'""" for then in (deploy, roll_back)]
        return CommandApp(url, Scripts(*lines, SETTINGS, seconds))

    make.log = log
    return make


def runs(app):
    return app.log.read_text().splitlines()


def passes(revision):
    assert revision is None
    return "the answer"


def test_a_switch_runs_the_script_and_returns_the_answer(app):
    revision, answer = app().switch("new", passes, reuse=False)
    assert (revision.model, answer) == ("new", "the answer")
    revision, _ = app().switch("old", passes, reuse=True)
    assert revision.model == "old"
    assert runs(app) == ["cut-over new new column", "rollback old old column"]


def test_an_app_that_still_restarts_is_waited_for(app):
    tries = []

    def restarts(revision):
        tries.append(revision)
        if len(tries) < 4:
            raise AppNotRecognised("the app cannot be reached")
        return "the answer"

    assert app().switch("new", restarts, reuse=False)[1] == "the answer"
    assert runs(app) == ["cut-over new new column"]


def never(error):
    def test(revision):
        raise error

    return test


@pytest.mark.parametrize(
    ("deploy", "error", "message"),
    [
        ("echo no image; exit 1", AppNotRecognised("-"), "app.deploy failed .*: no image"),
        ("", AppNotRecognised("it serves old"), r"0\.5 s after app\.deploy ended: it serves old"),
        ("", DeployError("the results lack name"), "the results lack name"),
    ],
)
def test_a_deployment_that_fails_is_rolled_back(app, deploy, error, message):
    with pytest.raises(DeployError, match=f"{message}; app.roll_back has put old back"):
        app(deploy, seconds=0.5).switch("new", never(error), reuse=False)
    assert runs(app) == ["cut-over new new column", "rollback old old column"]


def test_a_way_back_that_fails_too_is_told(app):
    with pytest.raises(DeployError, match=r"no image; and the way back failed: .*: gone; roll"):
        app("echo no image; exit 1", "echo gone; exit 1").switch("new", passes, reuse=False)
    with pytest.raises(DeployError, match=r"no image; .*roll_back ended: the app serves nothing"):
        app("echo no image; exit 1", seconds=0.5, url="http://127.0.0.1:9").switch(
            "new", passes, reuse=False
        )


def test_a_roll_back_that_fails_deploys_nothing(app):
    with pytest.raises(DeployError, match=r"0\.5 s after app\.roll_back ended: it serves new$"):
        app(seconds=0.5).switch("old", never(AppNotRecognised("it serves new")), reuse=True)
    assert runs(app) == ["rollback old old column"]


def test_its_command_is_what_a_shell_would_run(app):
    scripts = Scripts("kubectl rollout restart 'deployment/a b'", "x", SETTINGS)
    assert CommandApp("http://x", scripts).commands("new") == [
        "EMBEDDING_MODEL=new 'RAGKIT_COLUMN=new column' RAGKIT_DIRECTION=cut-over "
        "kubectl rollout restart 'deployment/a b'"
    ]


def test_a_stop_comes_before_the_database_is_put_back_and_the_app_rolled_back(app, tmp_path):
    done = app("exit 1")
    log = app.log
    scripts = replace(
        done._scripts, stop=f"sh -c 'echo stop $EMBEDDING_MODEL >> \"$0\"' '{log}'",
        orders={"new": "say this first"},
    )  # fmt: skip

    def put_back():
        with log.open("a") as file:
            file.write("put back\n")

    stopping = CommandApp(done.url, scripts, before_way_back=put_back)
    first, second, third = stopping.commands("new")
    assert (first, "cut-over" in second, "cut-over" in third) == (
        "# say this first", False, True,
    )  # fmt: skip
    assert stopping.stop("new") is True
    with pytest.raises(DeployError, match="has put old back"):
        stopping.switch("new", passes, reuse=False)
    assert runs(app) == [
        "stop new", "cut-over new new column", "stop old", "put back", "rollback old old column",
    ]  # fmt: skip


def test_a_database_that_cannot_be_put_back_is_told(app):
    def put_back():
        raise DatabaseError("the table was locked")

    failing = CommandApp(app().url, app("exit 1")._scripts, before_way_back=put_back)
    with pytest.raises(DeployError, match="and the way back failed: the table was locked; roll"):
        failing.switch("new", passes, reuse=False)


def test_without_a_command_it_is_stopped_when_nothing_listens(app):
    assert app().stop("new") is False
    assert app(url="http://127.0.0.1:9").stop("new") is True
