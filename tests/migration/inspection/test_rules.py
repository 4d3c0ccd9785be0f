import re

import pytest

from ragkit.deploy.project_checks import Check
from ragkit.migration.inspection.rules import RULES, findings
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("check", "rule", "severity"),
    [
        (Check("new model", "retired", False), "RK020", "problem"),
        (Check("old vectors", "2 foreign", False, "embed them"), "RK022", "problem"),
        (Check("old vectors: length", "64", None), "RK023", "note"),
        (Check("whose old vectors", "wordllama-64", None, "set old.model"), "RK024", "warning"),
        (Check("text-embedding-005 retires", "2027", True, "plan"), "RK025", "warning"),
        (Check("role app", "reads", None, "GRANT"), "RK041", "warning"),
        (Check("API run.googleapis.com", "not enabled", False, "gcloud"), "RK060", "problem"),
        (Check("something new", "?", None), "RK099", "note"),
    ],
)
def test_a_check_has_a_rule_and_a_severity(check, rule, severity):
    (finding,) = findings([check])
    assert (finding.rule, finding.severity, finding.observed) == (rule, severity, check.observed)


def test_what_passed_is_no_finding():
    assert findings([Check("pgvector", "0.8.5", True)]) == []


def test_ids_are_of_one_form_and_in_order():
    assert all(re.fullmatch(r"RK\d{3}", rule) for rule in RULES)
    assert list(RULES) == sorted(RULES)


def test_the_documentation_lists_every_rule():
    page = (ROOT / "docs" / "reference.md").read_text()
    documented = re.findall(r"^\| `(RK\d{3})` \| (.+) \|$", page, re.MULTILINE)
    assert documented == [(rule, meaning) for rule, (_, meaning) in RULES.items()]
