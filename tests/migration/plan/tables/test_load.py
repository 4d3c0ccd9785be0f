"""A params file of several tables, and what is wrong with one."""

import pytest

from ragkit.errors import PlanError
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.plan.tables.load import load_plans, plans_of

SHARED = {
    "old": {"model": "wordllama-64", "column": "embedding"},
    "new": {"model": "wordllama-256", "column": "embedding_256"},
    "evaluation": {"k": 5, "seed": 3},
}
A, P = ({"table": {"name": name, "key": "id", "content": "body"}} for name in "ap")


def faults(*entries, overrides=(), **shared):
    with pytest.raises(PlanError) as error:
        plans_of({**SHARED, **shared, "tables": list(entries)}, overrides)
    return error.value.faults


def plans(*entries, overrides=()):
    return plans_of({**SHARED, "tables": list(entries)}, overrides)


def table(**fields):
    return {"table": {**A["table"], **fields}}


def test_each_table_is_a_plan_that_knows_the_others(tmp_path):
    file = tmp_path / "two.yaml"
    own = {**P, "evaluation": {"k": 7, "seed": None}, "new": {"column": "other"}}
    file.write_text(dump_yaml({**SHARED, "tables": [A, own]}))
    first, second = load_plans(file)
    assert (first.name, first.number, second.name, second.number) == ("a", 1, "p", 2)
    assert [sibling.migration_id for sibling in first.siblings] == [second.migration_id]
    assert [sibling.name for sibling in second.siblings] == ["a"]
    assert (first.evaluation.k, first.evaluation.seed) == (5, 3)
    assert (second.evaluation.k, second.evaluation.seed, second.new.column) == (7, 1, "other")
    [back] = second.reversed().siblings
    assert back.migration_id == first.reversed().migration_id
    copied = first.model_copy(update={"gates": first.gates})
    assert copied.siblings == first.siblings
    assert "siblings" not in first.model_dump_json()


def test_a_file_of_one_table_is_as_before():
    [plan] = plans_of({**SHARED, **A}, ["gates.margin=0.5"])
    assert (plan.siblings, plan.name, plan.gates.margin) == ((), "public.a", 0.5)
    assert plans_of({**SHARED, **A}, ["tables=a"]) == plans_of({**SHARED, **A})


def test_one_table_in_a_list_may_be_swapped():
    swap = {"app": {"way": "swap", "target": "manual"}}
    [plan] = plans_of({**SHARED, **swap, "tables": [A]})
    assert plan.app.way == "swap"
    assert any("view for several tables" in fault for fault in faults(A, P, **swap))


def test_overrides_are_set_in_every_table():
    assert [p.gates.margin for p in plans(A, P, overrides=["gates.margin=0.5"])] == [0.5, 0.5]


@pytest.mark.parametrize("chosen", ["p", "public.p", "2", "public.p: embedding -> embedding_256"])
def test_a_table_is_chosen_by_any_of_its_names(chosen):
    [plan] = plans(A, P, overrides=[f"tables={chosen}"])
    assert plan.table.name == "p"
    assert len(plan.siblings) == 1


def test_a_name_of_several_tables_is_refused_with_the_names_that_choose():
    same = (table(schema="x"), table(schema="y"), table(schema="y", where="kind = 'b'"))
    assert faults(*same, overrides=["tables=a"]) == [
        "several are called 'a': choose one of 1 (x.a), 2 (y.a: embedding -> embedding_256), "
        "3 (a where kind = 'b')"
    ]
    assert faults(A, P, overrides=["tables=q"]) == [
        "there is no table 'q': choose one of 1 (a), 2 (p)"
    ]
    [plan] = plans(*same, overrides=["tables=a where kind = 'b'"])
    assert plan.number == 3


@pytest.mark.parametrize(
    ("entries", "shared", "messages"),
    [
        ([], {}, ["tables: expected a list of tables, got an empty list"]),
        ([A, 7], {}, ["tables, entry 2: expected sections, such as table and old, got int"]),
        ([A], P, ["table beside tables: say each table in its own entry of tables"]),
        ([A, P, A], {}, ["tables, entries 1 and 3 are the same migration: remove one of them"]),
        (
            [A, {"table": {"name": "p"}, "gate": {}}], {},
            ["tables, entry 2 (p): table.key is required",
             "tables, entry 2 (p): table.content is required",
             "tables, entry 2 (p): unknown field 'gate' (did you mean gates?)"],
        ),
        ([A, P], {"evaluation": {"k": 0}},
         ["evaluation.k: Input should be greater than or equal to 1, got 0"]),
        ([A, P], {"app": {"target": "cloud", "function": "f"}},
         ["app.target: cloud is ragkit's own function, which searches one table: write a params "
          "file for each table"]),
    ],
)  # fmt: skip
def test_all_faults_are_told_with_their_entry(entries, shared, messages):
    assert faults(*entries, **shared) == messages


def test_what_one_app_and_one_budget_share_is_the_same_in_each_entry():
    other = {
        "database": {"url": "postgresql://secret.example/x"}, "app": {"url": "http://b"},
        "backfill": {"budget_usd": 3.0}, "new": {"model": "all-minilm-l6-v2"},
    }  # fmt: skip
    told = faults(A, {**P, **other})
    assert [line.split(" is another")[0] for line in told] == [
        f"tables, entry 2: {name}"
        for name in ("new.model", "backfill.budget_usd", "database.url", "app.url")
    ]
    assert "secret" not in "".join(told)
    first, second = plans(A, {**P, "app": {"smoke_question": "refunds"}})
    assert (first.app.smoke_question, second.app.smoke_question) == ("", "refunds")
