"""The pages name only what exists: links, make targets, commands, parameters, paths, variables."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import click
import pytest
import yaml
from packaging.requirements import Requirement

from ragkit import __version__
from ragkit.database.types import MAX_VECTOR_DIMENSION
from ragkit.deploy import probe
from ragkit.deploy.canary.limits import Limits
from ragkit.deploy.canary.needed import needed
from ragkit.embedding.catalogue import CATALOGUE
from ragkit.evaluation.gates import MAX_SHADOW_ERRORS
from ragkit.evaluation.judging.chance import SHARED
from ragkit.evaluation.metrics.significance import MIN_QUESTIONS, POWER
from ragkit.evaluation.questions import read_questions
from ragkit.evaluation.slices import MIN_SLICE_QUESTIONS
from ragkit.migration.backfill.writing.write_size import TARGET_SECONDS
from ragkit.migration.inspection.fidelity import FIDELITY_ROWS, MIN_FIDELITY_COSINE
from ragkit.migration.plan import Plan
from ragkit.migration.plan.app import AppSection, CanarySection
from ragkit.migration.plan.data import DatabaseSection
from ragkit.migration.plan.files.faults import FLAT_FIELDS
from ragkit.migration.plan.judging import JudgingSection
from ragkit.migration.plan.section import fields
from ragkit.migration.plan.steps import GatesSection
from ragkit.migration.plan.tables.choice import split_choice
from ragkit.migration.plan.tables.entries import TABLES
from ragkit.migration.plan.tables.load import plans_of
from ragkit.migration.serving.matching import MARGIN, MIN_SHARE
from ragkit.migration.serving.questions import QUESTIONS
from ragkit.runbook.cli.main import cli
from ragkit.sequential.betting import ERROR
from tests.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = "".join(
    file.read_text()
    for folder in ("ragkit", "function", "tests/chaos", "tests/bench", "tests/scale")
    for file in sorted((ROOT / folder).rglob("*.py"))
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIELDS = [path for path, _ in fields(Plan)]
SECTIONS = set(Plan.model_fields)
SHARED_OPTIONS = {"--params", "--table", "--set", "--run-dir"}
HELP_OPTIONS = {"-h", "--help"}
MINIMAL_PLAN = {
    "table": {"name": "t", "key": "id", "content": "body"},
    "old": {"model": "wordllama-256", "column": "embedding"},
    "new": {"model": "all-minilm-l6-v2", "column": "embedding_minilm"},
}
GENERATED = ("function/ragkit",)
USERS_OWN = {"params/yours.yaml", "params/questions.jsonl", "params/qrels.tsv"}
"""Files that a page tells its reader to write."""
INTERNAL_VARIABLES = {"DB_SOCKET", "PATH", "PYTHONPATH", "READY_FILE", "TERM"}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
RAGKIT = re.compile(r"(?:^|\s)(?:python -m )?ragkit(?= |$)([^|&;>#]*)")
MAKE = re.compile(r"(?:^|\s)make ([a-z-]+)((?: [A-Z]+=\S*)*)")
NOTEBOOK_SET = re.compile(r"\bset(?: =)? \"([^\"]+)\"")
FIELD = re.compile(r"([a-z_]+)\.([a-z_]+)(?:=.*|: .*)?")
PATH = re.compile(r"(?<![\w./-])(?:ragkit|tests|notebooks|params|function|docs|\.github)/[\w./-]*")
ROOT_FILE = re.compile(r"[\w-]+\.(?:py|toml|txt|md)|Makefile|LICENSE")
RUN_FILE = re.compile(r"[a-z]+\.(?:json|jsonl|png|html|yaml)")
VARIABLE = re.compile(r"[A-Z]+_[A-Z_]+")


@dataclass(frozen=True)
class Page:
    """A page of the documentation, and the code in it."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without fenced blocks."""
        return FENCE.sub("", self.text)

    @cached_property
    def spans(self) -> list[str]:
        return SPAN.findall(self.prose)

    def fences(self, *languages: str) -> list[str]:
        return [code for language, code in FENCE.findall(self.text) if language in languages]

    def commands(self) -> Iterator[str]:
        """Spans, and the lines of shell blocks with continued ones joined."""
        yield from self.spans
        for code in self.fences("bash"):
            yield from code.replace("\\\n", " ").splitlines()

    def section(self, title: str) -> str:
        """The prose below a heading, up to the next one of its level."""
        match = re.search(rf"^(#+) {re.escape(title)}$", self.prose, re.MULTILINE)
        assert match, f"{self.path.name} has no heading {title!r}"
        rest = self.prose[match.end() :]
        return re.split(rf"^#{{1,{len(match[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]

    def anchors(self) -> set[str]:
        """As GitHub makes them from the headings."""
        return {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in HEADING.findall(self.prose)
        }


README = Page(ROOT / "README.md")
CHANGELOG = Page(ROOT / "CHANGELOG.md")
REFERENCE = Page(ROOT / "docs" / "reference.md")
COMPARISON = Page(ROOT / "docs" / "comparison.md")
GUARANTEES = Page(ROOT / "docs" / "guarantees.md")
OWN_DATABASE = Page(ROOT / "docs" / "own-database.md")
SOLUTION = Page(ROOT / "docs" / "jump-start-solution.md")
FIRST_HOUR = Page(ROOT / "docs" / "first-hour.md")
WHAT_HAPPENS = Page(ROOT / "docs" / "what-happens.md")
BENCHMARKS = Page(ROOT / "docs" / "benchmarks.md")
PAGES = [
    README, CHANGELOG, Page(ROOT / "CONTRIBUTING.md"),
    REFERENCE, COMPARISON, GUARANTEES, OWN_DATABASE, SOLUTION, FIRST_HOUR, WHAT_HAPPENS,
    BENCHMARKS, Page(ROOT / "docs" / "fixed-column.md"), Page(ROOT / "docs" / "frameworks.md"),
    Page(ROOT / "docs" / "cloud-run-job.md"), Page(ROOT / "docs" / "many-workers.md"),
]  # fmt: skip

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)


def first_cells(section: str) -> str:
    """The first column of the tables of a section."""
    return "\n".join(re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE))


def leaf_commands(group: click.Group, path: str = "ragkit") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaf_commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def check_command(words: list[str]) -> list[str]:
    """Asserts that the words are a command with its options; returns the values of --set."""
    command: click.Command = cli
    overrides = []
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if word.startswith("-"):
            options = {name: p for p in command.params for name in p.opts}
            if option == "--":  # what follows is for JupyterLab
                break
            if option in HELP_OPTIONS:
                continue
            assert option in options, f"{command.name} has no option {option}"
            parameter = options[option]
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                may_be_absent = isinstance(parameter.flag_value, float)
                is_absent = may_be_absent and (not words or words[0].startswith("-"))
                value = value if equals or is_absent else words.pop(0)
                overrides += [value] if option == "--set" else []
        elif isinstance(command, click.Group):
            assert word in command.commands, f"there is no command {word!r}"
            command = command.commands[word]
        else:
            takes_argument = any(isinstance(p, click.Argument) for p in command.params)
            assert takes_argument, f"{command.name} takes no argument, got {word!r}"
    return [override for override in overrides if override != "SECTION.FIELD=VALUE"]


def test_every_page_is_checked():
    assert {page.path for page in PAGES} == {*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")}


def test_the_readme_is_short_and_leads_to_everything():
    assert len(README.text.splitlines()) <= 90
    targets = LINK.findall(README.prose)
    assert {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")} <= set(targets)
    assert {file.stem for file in NOTEBOOKS} <= set(README.spans)


@every_page
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.prose):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.path.parent / name).resolve() if name else page.path
        assert file.exists(), target
        if anchor:
            assert anchor in Page(file).anchors(), target


@every_page
def test_make_targets_and_their_variables_exist(page):
    for line in page.commands():
        for target, variables in MAKE.findall(line):
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), line
            for name in re.findall(r"([A-Z]+)=", variables):
                assert f"$({name})" in MAKEFILE, line


@every_page
def test_commands_and_their_options_exist(page):
    for line in page.commands():
        for arguments in RAGKIT.findall(line):
            overrides = check_command(shlex.split(arguments))
            Plan.of(MINIMAL_PLAN, overrides)


@every_page
def test_fields_that_a_notebook_sets_exist(page):
    for line in page.commands():
        _, fields_set = split_choice(NOTEBOOK_SET.findall(line))
        Plan.of(MINIMAL_PLAN, fields_set)


@every_page
def test_params_files_are_valid_plans(page):
    for block in page.fences("yaml"):
        sections = yaml.safe_load(block)
        minimal = {n: s for n, s in MINIMAL_PLAN.items() if n != "table" or TABLES not in sections}
        plans_of({**minimal, **sections})


@every_page
def test_fields_exist(page):
    for span in page.spans:
        match = FIELD.fullmatch(span)
        if match and match[1] in SECTIONS and not RUN_FILE.fullmatch(span):
            assert f"{match[1]}.{match[2]}" in FIELDS, span


@every_page
def test_paths_exist(page):
    code = [*page.spans, *page.fences("", "bash", "yaml", "sql")]
    named = {path for text in code for path in PATH.findall(text)}
    named |= {span for span in page.spans if ROOT_FILE.fullmatch(span)}
    named |= {
        f"notebooks/{span}.ipynb" for span in page.spans if re.fullmatch(r"\d\d_[a-z]+", span)
    }
    for path in named - USERS_OWN:
        assert path.startswith(GENERATED) or (ROOT / path).exists(), path


@every_page
def test_files_of_a_run_are_written_by_the_code(page):
    for span in page.spans:
        if RUN_FILE.fullmatch(span):
            assert f'"{span}"' in SOURCES, span


@every_page
def test_json_is_json(page):
    for block in page.fences("json"):
        json.loads(block)


@pytest.mark.parametrize("page", [README, SOLUTION], ids=["README", "jump start solution"])
def test_the_answer_has_the_fields_of_the_mission(page):
    answers = re.findall(r"^(?:# )?(\{\"results.*)$", page.text, re.MULTILINE)
    assert answers
    for answer in answers:
        rows = json.loads(answer)["results"]
        assert [set(row) for row in rows] == [{"name", "description"}] * 3


def test_the_formats_of_questions_and_judgements_are_read(tmp_path):
    questions, beir = OWN_DATABASE.fences("")
    trec = next(span for span in OWN_DATABASE.spans if re.fullmatch(r"q1 0 \d+ \d", span))
    files = {"questions.jsonl": questions, "beir.tsv": beir, "trec.txt": trec}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    judged = read_questions(tmp_path / "questions.jsonl", tmp_path / "beir.tsv")
    assert judged.qrels == {"q1": {"4711": 2, "4802": 0}, "q2": {"15": 1}}
    judged = read_questions(tmp_path / "questions.jsonl", tmp_path / "trec.txt")
    assert judged.qrels == {"q1": {"4711": 2}}


def test_the_reference_has_every_command_with_its_options():
    spans = set(REFERENCE.spans)
    for path, command in leaf_commands(cli):
        assert path in spans
        options = {name for p in command.params if isinstance(p, click.Option) for name in p.opts}
        for option in options - SHARED_OPTIONS:
            assert any(span.split()[0] == option for span in spans), f"{path} {option}"


def test_the_reference_has_every_make_target():
    targets = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split()
    documented = re.findall(r"`make ([a-z-]+)`", first_cells(REFERENCE.section("Make targets")))
    assert set(documented) == set(targets)


def test_the_reference_has_every_environment_variable():
    section = SPAN.findall(REFERENCE.section("Environment variables"))
    documented = {span for span in section if VARIABLE.fullmatch(span)}
    read = re.findall(r"\benv(?:iron)?(?:\.get\(|\[)\"([A-Z_]+)\"", SOURCES)
    assert set(read) - INTERNAL_VARIABLES <= documented
    assert {name for name in documented if f'"{name}"' not in SOURCES} == set()


def test_the_reference_has_the_parameters_of_every_notebook():
    section = REFERENCE.section("Parameters of the notebooks")
    rows = dict(re.findall(r"^\| `?(\w+)`? \| (.+) \|$", section, re.MULTILINE))
    for notebook in NOTEBOOKS:
        cells = json.loads(notebook.read_text())["cells"]
        (cell,) = (c for c in cells if "parameters" in c["metadata"].get("tags", []))
        names = re.findall(r"^(\w+):", "".join(cell["source"]), re.MULTILINE)
        documented = rows["all"] + rows.get(notebook.stem, "")
        assert [name for name in names if f"`{name}`" not in documented] == []


def test_the_reference_has_every_dependency():
    project = PYPROJECT["project"]
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {Requirement(line).name for line in lines} - {"ragkit"}
    cells = first_cells(REFERENCE.section("Dependencies")).replace("\n", ", ").split(", ")
    assert {cell for cell in cells if cell not in ("package", "")} == names


def test_the_reference_has_every_extra():
    extras = SPAN.findall(first_cells(REFERENCE.section("Installing the package")))
    assert extras == list(PYPROJECT["project"]["optional-dependencies"])


def test_the_changelog_has_this_version_and_every_old_field():
    versions = re.findall(r"^## \[(.+?)\]", CHANGELOG.prose, re.MULTILINE)
    released = versions[1:] if versions[0] == "Unreleased" else versions
    assert released[0] == __version__
    for old, new in FLAT_FIELDS.items():
        assert f"`{old}` → `{new}`" in CHANGELOG.prose


def test_the_comparison_has_every_limit():
    limits = {f"gates.{name}" for name in GatesSection.model_fields}
    assert limits <= {span.partition(":")[0] for span in COMPARISON.spans}


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (README, f"A probe sends {probe.RATE:g} requests a second"),
        (COMPARISON, f"fewer than {MIN_QUESTIONS} judged questions"),
        (COMPARISON, f"A slice has at least {MIN_SLICE_QUESTIONS} questions"),
        (COMPARISON, f"{FIDELITY_ROWS} rows are embedded again"),
        (COMPARISON, f"cosine of at least {MIN_FIDELITY_COSINE}"),
        (COMPARISON, f"| shadow: failed requests | at most {100 * MAX_SHADOW_ERRORS:g} %"),
        (COMPARISON, f"with {100 * POWER:g} % power"),
        (COMPARISON, f"worse by the margin, {GatesSection().margin:g}"),
        (COMPARISON, f"(`judging.rows`, {JudgingSection().rows} by default)"),
        (COMPARISON, f"1 question in {SHARED} is shown to each of them"),
        (COMPARISON, f"a wrong decision is at most {100 * ERROR:g} % in each direction"),
        (GUARANTEES, f"a write takes about {TARGET_SECONDS * 1000:g} ms"),
        (GUARANTEES, f"a `lock_timeout` of {DatabaseSection().lock_timeout_ms} ms"),
        (GUARANTEES, f"retried for {DatabaseSection().ddl_seconds:g} s"),
        (OWN_DATABASE, f"at least {100 * MIN_SHARE:g} % of its rows, and {100 * MARGIN:g} perc"),
        (OWN_DATABASE, f"makes up to {QUESTIONS} questions"),
        (OWN_DATABASE, f"for more than {MAX_VECTOR_DIMENSION:,} dimensions"),
        (SOLUTION, "{} and {} percent".format(*AppSection().canary)),
        (SOLUTION, f"less than {100 * CanarySection().errors:g} points more (`canary.errors`)"),
        (SOLUTION, f"less than {CanarySection().slower:g} times slower (`canary.slower`)"),
        (SOLUTION, f"less than {100 * CanarySection().empty:g} points more (`canary.empty`)"),
        (SOLUTION, f"| {round(needed(Limits(), 2).alike, -2)}: 8,000 requests at 5 %, 1,200 at"),
        (SOLUTION, f"fails 2 points more often | {round(needed(Limits(), 2).worse, -2)} |"),
        (SOLUTION, f"never answers | {needed(Limits(), 2).failing} |"),
        (SOLUTION, f"retired on {CATALOGUE['textembedding-gecko@001'].retires}"),
        (SOLUTION, f"retires on {CATALOGUE['text-embedding-005'].retires}"),
        (SOLUTION, f"up to {CATALOGUE['text-embedding-005'].max_texts} texts and "
                   f"{CATALOGUE['text-embedding-005'].max_tokens:,} tokens"),
    ],
)  # fmt: skip
def test_figures_are_those_of_the_code(page, sentence):
    assert sentence in page.prose


def test_every_message_that_is_explained_is_one_of_the_code():
    """Up to the values in it, and however the code wraps it."""
    wrapped = re.sub(r'"\s*\n\s*f?"', "", SOURCES)
    messages = SPAN.findall(first_cells(WHAT_HAPPENS.section("Messages")))
    assert len(messages) > 10
    for message in messages:
        for part in message.split("…"):
            assert part.strip() in wrapped, message
