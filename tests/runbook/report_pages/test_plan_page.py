import re

import pytest

from ragkit.deploy.project_checks import Check
from ragkit.migration.preview.figures import measure
from ragkit.migration.preview.preview import make_preview
from ragkit.runbook.report_pages.plan_page import write_plan_page


@pytest.fixture
def page(migration, new_embedder, tmp_path):
    checks = [Check("new model", "<script>retired</script>", False, "another & one")]
    preview = make_preview(migration, measure(migration, new_embedder), checks)
    return write_plan_page(preview, tmp_path / "plan.html").read_text(), preview


def test_it_says_what_will_happen_in_the_order_in_which_it_will(page):
    text, preview = page
    assert "<h1>What will happen</h1>\n<p>1 problem. Nothing was changed.</p>" in text
    assert text.count("<section>") == len(preview.statements) + len(preview.findings)
    assert text.index("create schema") < text.index("create index concurrently")


def test_what_comes_from_the_database_is_text(page):
    text, _ = page
    assert "<script>" not in text
    assert "&lt;script&gt;retired&lt;/script&gt;" in text
    assert "another &amp; one" in text


def test_it_fetches_nothing(page):
    text, _ = page
    assert re.findall(r"(?:src|href|url)\s*[=(]", text) == []
