"""The page of an executed notebook."""

from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from traitlets.config import Config

HIDDEN = "hide-input"
PAGE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""
"""nbconvert's own page without the scripts that it fetches from elsewhere."""


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
