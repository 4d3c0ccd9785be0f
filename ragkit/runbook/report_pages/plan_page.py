"""The preview of a migration as a page, for a reviewer who has no terminal."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from ragkit.migration.preview.preview import Preview
from ragkit.report import words


def write_plan_page(preview: Preview, page: Path) -> Path:
    """One file, which fetches nothing. Raises OSError."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    old, new = preview.plan["old"], preview.plan["new"]
    facts = {
        "database": preview.database,
        "table": f"{preview.plan['table']['schema']}.{preview.plan['table']['name']}",
        "model": f"{old['model']} → {new['model']}",
        "column": f"{old['column']} → {new['column']}",
        "made": preview.made_at,
        **words.facts(preview.figures),
        **{f"texts: {name}": text for name, text in words.facts(preview.texts).items()},
    }
    body = environment.get_template("plan.html").render(
        preview=preview, facts=facts, summary=words.summary(preview.findings).capitalize()
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(body, encoding="utf-8")
    return page
