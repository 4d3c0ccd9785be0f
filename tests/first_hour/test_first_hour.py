"""From a table on a server of one's own to the report, as a stranger would do it."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.conftest import PYTHON, ROOT, environment, free_port
from tests.first_hour.cookbook import APP, OPERATOR, PASSWORDS, ROWS, WAITER, make_cookbook
from tests.first_hour.server import older_server
from tests.first_hour.terminal import Person, grants, shortened

PAGE = ROOT / "docs" / "first-hour.md"
MINE = """
check:
  method: GET
  path: /find
  body: '{"text": "{question}"}'
  rows: items
  field: slug
evaluation:
  questions: known-items
gates:
  override: first try; there are no judged questions yet
"""
"""What is added to the file that init wrote: how the app is asked, and what decides."""


class App:
    """The stranger's app as a process; a restart makes it serve another column."""

    def __init__(self, superuser: sa.URL):
        self.port, self._url = (
            free_port(),
            superuser.set(username=WAITER, password=PASSWORDS[WAITER]),
        )
        self._process: subprocess.Popen | None = None

    def serve(self, column: str, dimension: int) -> None:
        self.stop()
        env = environment(
            COOKBOOK=self._url.render_as_string(hide_password=False),
            COLUMN=column, DIMENSION=str(dimension),
        )  # fmt: skip
        self._process = subprocess.Popen([PYTHON, str(APP), str(self.port)], env=env)
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/find", params={"text": "tea"})
                return
            except httpx.HTTPError:
                time.sleep(0.1)
        pytest.fail("the app did not start")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)


@pytest.fixture(scope="module")
def superuser():
    with older_server() as server:
        yield make_cookbook(server)


@pytest.fixture(scope="module")
def app(superuser):
    app = App(superuser)
    app.serve("vec", 64)
    yield app
    app.stop()


@pytest.fixture(scope="module")
def person():
    clean = {k: v for k, v in environment().items() if not k.startswith(("GCP_", "INSTANCE_"))}
    return Person({**clean, "DB_PASS": PASSWORDS[OPERATOR]})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Names as a person would type them; the folder is in the checkout, and goes at the end."""
    folder = ROOT / "runs" / f"first-hour-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.fixture(scope="module")
def hour(superuser, app, person, files):
    """Everything that is done, in order. A role is given exactly what is printed."""
    url = f"postgresql+pg8000://{OPERATOR}@127.0.0.1:{superuser.port}/cookbook"
    place = shortened(files)  # a checkout's own path may hold a space
    params, plan = f"{place}/recipe.yaml", f"{place}/plan.json"
    init = f"python -m ragkit init --url {url} --output {params} --force"
    answers = {
        "which model is to serve": "wordllama-256",
        "the address of the app": f"http://127.0.0.1:{app.port}",
    }
    granted, dba = [], sa.create_engine(superuser)
    for command in (init, f"python -m ragkit plan --params {params}"):
        while True:
            text = person.types(command, answers if command == init else None)
            if person.exit_code == 0:
                break
            lines = grants(text)
            assert lines and lines not in granted, text
            granted.append(lines)
            with dba.begin() as connection:
                for line in lines:
                    connection.exec_driver_sql(line)
            assert len(granted) < 5
    dba.dispose()
    person.seen.clear()
    person.answered.clear()
    start = time.monotonic()
    person.types(init, answers)
    written = files / "recipe.yaml"
    written.write_text(written.read_text() + MINE)
    person.types(f"python -m ragkit plan --params {params} -o {plan}")
    run = f"python -m ragkit run --params {plan} --runs {place}"
    person.types(run)
    app.serve("embedding_wordllama_256", 256)
    person.types(run)
    return {"granted": granted, "plan": json.loads((files / "plan.json").read_text()),
            "minutes": (time.monotonic() - start) / 60}  # fmt: skip


def newest(files: Path) -> Path:
    return sorted(path for path in files.iterdir() if path.is_dir())[-1]


def test_four_commands_and_two_questions_lead_to_the_report(hour, person, files):
    assert [code for *_, code, _ in person.seen] == [0, 0, 1, 0], person.seen[-1][1]
    assert len(person.answered) == 2
    assert (newest(files) / "index.html").is_file()
    assert hour["minutes"] < 10


def test_exactly_the_printed_rights_are_enough(hour, superuser):
    printed = [line for lines in hour["granted"] for line in lines]
    assert any(line.startswith("GRANT SELECT ON kitchen") for line in printed)
    assert any(line.startswith("GRANT chef TO") for line in printed)
    with sa.create_engine(superuser).connect() as connection:
        query = sa.text("select rolsuper, rolcreatedb, rolbypassrls from pg_roles where rolname = "
                        ":role")  # fmt: skip
        assert connection.execute(query, {"role": OPERATOR}).one() == (False, False, False)


def test_the_first_run_stops_where_a_person_must_switch_the_app(person):
    _, text, *_ = person.seen[2]
    assert "04_cutover stopped" in text
    assert "it continues once the app serves wordllama-256; now it serves wordllama-64" in text


def test_the_second_run_recognises_the_app_by_its_answers(person, files):
    _, text, *_ = person.seen[3]
    assert "FAULT" not in text
    summary = json.loads((newest(files) / "summary.json").read_text())
    assert summary["probe"]["requests"] > 0
    assert summary["probe"]["failed"] == 0
    answer = json.loads((newest(files) / "verdict.json").read_text())["answer"]
    assert set(answer["items"][0]) == {"link", "slug", "title"}


def test_the_plan_is_what_happened(hour, superuser, files):
    figures = hour["plan"]["figures"]
    with sa.create_engine(superuser).connect() as connection:
        query = 'select count(embedding_wordllama_256) from kitchen."Recipe"'
        assert connection.exec_driver_sql(query).scalar() == figures["rows"] == ROWS
        size = sa.text("select pg_relation_size('kitchen.\"Recipe_embedding_wordllama_256_hnsw\"')")
        assert connection.scalar(size) == pytest.approx(figures["index_bytes"], rel=0.2)


def test_no_password_is_in_anything_that_was_written_or_printed(hour, person, files):
    secret = PASSWORDS[OPERATOR]
    assert all(secret not in text for _, text, *_ in person.seen)
    for path in files.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_the_page_shows_this_hour(hour, person, files):
    """RAGKIT_WRITE_TRANSCRIPT=1 writes the page; else its commands and answers are compared."""
    transcript = render(hour, person, files)
    if os.environ.get("RAGKIT_WRITE_TRANSCRIPT"):
        text = PAGE.read_text()
        head, begin, rest = text.partition("<!-- begin: transcript -->\n")
        _, end, tail = rest.partition("<!-- end: transcript -->")
        PAGE.write_text(f"{head}{begin}\n{transcript}\n{end}{tail}")
    shown = PAGE.read_text().partition("<!-- begin: transcript -->")[2].partition("<!-- end")[0]
    assert shape(transcript) == shape(shown)


def render(hour, person, files) -> str:
    """Paths and ports as a reader would have them."""
    parts = []
    for number, (line, text, code, seconds) in enumerate(person.seen):
        command = line.replace(shortened(files) + "/", "").replace(" --force", "")
        command = re.sub(r" --output \S+| --runs \S+", "", command)
        body = text.replace(f"{files}/", "").replace(f"{shortened(files)}/", "")
        parts.append(f"```console\n$ {command}\n{body}\n```\n")
        parts.append(f"It took {seconds:.0f} s and ended with exit code {code}.\n")
        if number == 0:
            parts.append(f"Added to the file by hand:\n\n```yaml\n{MINE.strip()}\n```\n")
        if number == 2:
            parts.append("The app is restarted with the new model and the new column.\n")
    text = "\n".join(parts)
    text = re.sub(r"127\.0\.0\.1:\d+/cookbook", "db.example.com:5432/cookbook", text)
    text = re.sub(r"cookbook at 127\.0\.0\.1:\d+", "cookbook at db.example.com:5432", text)
    text = re.sub(r"http://127\.0\.0\.1:\d+", "http://search.example.com", text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def shape(text: str) -> list[str]:
    """The commands, and the exit codes: what was printed differs in times and rates."""
    return re.findall(r"^\$ .*|exit code \d", text, re.MULTILINE)
