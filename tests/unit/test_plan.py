import pytest

from ragkit.errors import PlanError
from ragkit.migration.plan import ROOT, Plan


def faults(**values) -> list[str]:
    with pytest.raises(PlanError) as caught:
        Plan.of(values)
    return caught.value.faults


def test_the_defaults_are_the_sandbox():
    """But for the category, a column that other tables do not have."""
    assert Plan.of({}).database == "sandbox"
    assert Plan.of({"category": "category"}) == Plan.from_file(ROOT / "params" / "sandbox.yaml")


def test_all_faults_come_at_once():
    found = faults(new_modle="x", batch_size="many", k=0)
    assert len(found) == 3
    assert any("new_modle" in f and "did you mean new_model" in f for f in found)
    assert any(f.startswith("batch_size") and "'many'" in f for f in found)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"batch_size": "64"}, "integer"),
        ({"retire": "yes"}, "boolean"),
        ({"gate_margin": 1.5}, "less than or equal to 1"),
        ({"new_model": "gecko"}, "text-embedding-005"),
        ({"new_column": "embedding"}, "new_column must differ"),
        ({"table": ""}, "at least 1 character"),
        ({"table": "x" * 64}, "at most 63"),
        ({"distance": "hamming"}, "'cosine'"),
        ({"database": "mysql"}, "postgresql"),
        ({"database": "env"}, "app: manual"),
    ],
)
def test_a_fault_says_what_was_expected(values, says):
    assert says in faults(**values)[0]


def test_a_password_is_refused_and_not_repeated():
    found = faults(database="postgresql://u:canary@h/d")
    assert "DB_PASS" in found[0]
    assert "canary" not in str(found)


class TestNames:
    def test_imports_and_private_names_are_no_parameters(self):
        names = {"table": "t", "_x": 1, "In": [], "Out": {}, "pytest": pytest, "Plan": Plan}
        assert Plan.from_names(names).table == "t"

    def test_a_misspelt_parameter_is_refused(self):
        with pytest.raises(PlanError, match="did you mean table"):
            Plan.from_names({"tabel": "t"})

    def test_an_import_that_hides_a_parameter_is_refused(self):
        with pytest.raises(PlanError, match="retire"):
            Plan.from_names({"retire": pytest})


class TestFile:
    @pytest.mark.parametrize(
        ("text", "says"),
        [("table: [", "not YAML at line"), ("- a\n- b\n", "name: value"), ("tabel: x\n", "tabel")],
    )
    def test_faults(self, tmp_path, text, says):
        file = tmp_path / "p.yaml"
        file.write_text(text)
        with pytest.raises(PlanError, match=says):
            Plan.from_file(file)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(PlanError, match="there is no file"):
            Plan.from_file(tmp_path / "none.yaml")


def test_relative_files_lie_in_the_checkout(tmp_path):
    assert Plan().path("params").is_dir()
    assert Plan().path(str(tmp_path)) == tmp_path
