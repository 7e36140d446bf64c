"""Run a notebook's cells in order, as Jupyter does, without Jupyter.

``python -m support.notebooks FILE`` runs it and stores what its cells show.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from support.chromium import FLAGS


def cells(path):
    """Yield every code cell's text."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"])


def run(path):
    """Run all cells in one namespace; yield what each prints and its last expression's value."""
    namespace = {"__name__": "notebook"}
    for number, text in enumerate(cells(path), 1):
        *body, last = ast.parse(text).body
        shown = isinstance(last, ast.Expr)
        printed, name, value = io.StringIO(), f"cell {number}", None
        with contextlib.redirect_stdout(printed):
            module = ast.Module(body if shown else [*body, last], type_ignores=[])
            exec(compile(module, name, "exec"), namespace)
            if shown:
                value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
        yield printed.getvalue(), value


def outputs(printed, value, number, picture):
    """Return a cell's outputs as a notebook file has them; ``picture`` draws a plotly figure."""
    made = []
    if printed:
        made.append({"output_type": "stream", "name": "stdout", "text": lines(printed)})
    if value is None:
        return made
    if hasattr(value, "to_plotly_json"):
        data = {"image/png": base64.b64encode(picture(value)).decode(), "text/plain": ["Figure"]}
    else:
        data = {"text/plain": lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = lines(value._repr_html_())
    result = {"output_type": "execute_result", "execution_count": number, "metadata": {}}
    return [*made, {**result, "data": data}]


def lines(text):
    return text.splitlines(keepends=True)


def store(path):
    """Run a notebook and write its outputs, figures as pictures."""
    results = list(run(path))
    with sync_playwright() as started:
        program = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        chromium = started.chromium.launch(executable_path=program, args=FLAGS)
        page = chromium.new_page(viewport={"width": 760, "height": 420})

        def picture(figure):
            page.set_content(figure.to_html(include_plotlyjs=True, default_height="400px"))
            page.wait_for_selector(".plotly .main-svg")
            return page.screenshot()

        made = [outputs(*result, n, picture) for n, result in enumerate(results, 1)]
        chromium.close()
    notebook = json.loads(path.read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, (cell, shown) in enumerate(zip(code, made, strict=True), 1):
        cell.update(execution_count=number, outputs=shown)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    store(Path(sys.argv[1]))
