import pytest

from ragkit.errors import PlanError
from ragkit.migration.plan import Plan
from ragkit.migration.plan.plan import file_path
from tests.conftest import ROOT, make_plan

TABLE = {"name": "docs", "key": "id", "content": "body"}
OLD = {"model": "wordllama-64", "column": "embedding"}
NEW = {"model": "wordllama-256", "column": "embedding_256"}
MINIMAL = {"table": TABLE, "old": OLD, "new": NEW}


def faults(sections, *overrides) -> list[str]:
    with pytest.raises(PlanError) as error:
        Plan.of(sections, overrides)
    return error.value.faults


def test_the_defaults_contain_nothing_of_the_sandbox():
    plan = Plan.of(MINIMAL)
    assert (plan.evaluation.questions, plan.evaluation.qrels) == ("", "")
    assert (plan.table.label, plan.table.category, plan.app.smoke_question) == ("", "", "")
    assert (plan.database.url, plan.app.target) == ("env", "manual")
    text = plan.model_dump_json(exclude={"table", "old", "new"})
    assert "sandbox" not in text
    assert "amenities" not in text


def test_the_table_and_both_models_are_required():
    assert faults({}) == ["table is required", "old is required", "new is required"]
    assert faults({**MINIMAL, "table": {"name": "docs"}}) == [
        "table.key is required", "table.content is required",
    ]  # fmt: skip
    assert faults({**MINIMAL, "new": {"model": "wordllama-64"}}) == ["new.column is required"]


def test_a_dot_is_in_the_name_of_a_table_only():
    plan = Plan.of({**MINIMAL, "table": {**TABLE, "name": "v2.docs"}})
    assert plan.table.qualified_name == "public.v2.docs"
    [fault] = faults({**MINIMAL, "table": {**TABLE, "schema": "my.docs"}})
    assert fault.startswith("table.schema: has a dot")


def test_all_faults_are_reported_together():
    sections = {**MINIMAL, "backfill": {"batch_size": "many"}, "evaluation": {"k": 0}, "gate": {}}
    messages = faults(sections, "gates.margn=1", "margin=1", "gates.margin=[")
    assert messages == [
        "set 'margin': expected section.field=value",
        "set 'gates.margin': the value is not YAML: expected the node content, but found "
        "'<stream end>' in line 1",
        "backfill.batch_size: Input should be a valid integer, got 'many'",
        "evaluation.k: Input should be greater than or equal to 1, got 0",
        "unknown field 'gates.margn' (did you mean gates.margin?)",
        "unknown field 'gate' (did you mean gates?)",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("backfill.batch_size='64'", "integer"),
        ("old.retire='yes'", "boolean"),
        ("gates.margin=1.5", "less than or equal to 1"),
        ("new.model=gecko", "text-embedding-005"),
        ("new.column=embedding", "new.column must differ"),
        ("new.placement=elsewhere", "'column' or 'side_table'"),
        ("table.name=", "at least 1 character"),
        ("table.name=" + "x" * 64, "at most 63"),
        ("table.distance=hamming", "'cosine'"),
        ("database.url=mysql", "postgresql"),
        ("app.target=local", "needs another target"),
        ("app.target=cloud", "set app.function"),
    ],
)
def test_a_fault_says_what_was_expected(override, message):
    assert message in faults(MINIMAL, override)[0]


@pytest.mark.parametrize("url", ["postgresql://u:canary@h/d", "postgresql://h/d?password=canary"])
def test_a_password_is_refused_and_not_repeated(url):
    messages = faults({**MINIMAL, "database": {"url": url}})
    assert "DB_PASS" in messages[0]
    assert "canary" not in str(messages)


@pytest.mark.parametrize("place", ["database.url", "app.port", "table.schema", "app"])
def test_a_malformed_url_is_not_repeated_wherever_it_is(place):
    messages = faults(MINIMAL, f"{place}=postgresql://u:canary@h:port:{'x' * 64}/d")
    assert place in messages[0]
    assert "canary" not in str(messages)


def test_faults_between_sections_are_reported_with_all_others():
    overrides = ["new.column=embedding", "app.target=local", "gates.margin=2", "index.type=tree"]
    places = ("index.type", "gates.margin", "new.column must differ", "app.target: local is")
    found = faults(MINIMAL, *overrides)
    assert len(found) == len(places)
    assert all(fault.startswith(place) for fault, place in zip(found, places, strict=True))


def test_judgements_need_the_questions_they_judge():
    assert "set evaluation.questions" in faults(MINIMAL, "evaluation.qrels=q.tsv")[0]
    assert faults({**MINIMAL, "table": {**TABLE, "schema_name": "x"}})[0].startswith("unknown")


def test_an_override_sets_any_field():
    plan = Plan.of(MINIMAL, ["gates.margin=0.001", "gates.override=it's late", "index.type=none"])
    assert (plan.gates.margin, plan.gates.override, plan.index.type) == (0.001, "it's late", "none")
    assert Plan.of(MINIMAL, ["gates.override="]).gates.override == ""
    assert Plan.of(MINIMAL, ["table.schema=other"]).table.qualified_name == "other.docs"


def test_a_reversed_plan_swaps_the_old_and_the_new_side():
    plan = make_plan().reversed()
    assert (plan.old.column, plan.new.column) == ("new vector", "embedding")
    assert plan.reversed().migration_id == make_plan().migration_id


@pytest.mark.parametrize("file", sorted((ROOT / "params").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_params_file_is_a_valid_plan(file):
    assert Plan.from_file(file).migration_id.startswith("public.amenities: ")


def test_relative_paths_start_at_the_checkout(tmp_path):
    assert file_path("params").is_dir()
    assert file_path(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    "override",
    [
        "database.url=postgresql://u:canary@h/d",
        "database.url=postgresql://u@h/d?password=canary",
        "database.url=postgresql://u:p@canary@h/d",
        "database.url=canary://u:canary@h:port/d",
        "database.direct=postgresql://u:canary@h/d",
        "database.direct=canary",
        "app.url=https://u:canary@search.example.com",
        "app.url=https://search.example.com?key=canary",
        "app.url=u:canary@search.example.com",
    ],
)
def test_a_url_with_a_secret_is_refused_without_it(override):
    with pytest.raises(PlanError) as error:
        Plan.of(MINIMAL, [override])
    assert "canary" not in repr(error.value)
    assert override.partition("=")[0] in str(error.value)


def test_a_side_table_is_ragkits_own_and_adopts_nothing():
    beside = {**MINIMAL, "new": {**NEW, "placement": "side_table", "adopt": True}}
    assert faults(beside) == [
        "new.adopt is for placement: column; a side table is ragkit's own, and new"
    ]


def test_the_way_back_keeps_both_placements():
    back = Plan.of({**MINIMAL, "new": {**NEW, "placement": "side_table"}}).reversed()
    assert (back.old.placement, back.new.placement) == ("side_table", "column")
