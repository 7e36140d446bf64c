"""One self-contained HTML file: style, scripts and figures inlined, no request to any host.

The content security policy refuses every load from anywhere, and every script whose hash it does
not name: a page that is opened from a disk is held to what was written.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import UserError, how_to_install
from pipeline.report.html import Markup, element, joined
from pipeline.results.jsonable import jsonable


def shell(title: str, body: Markup, payload: Mapping[str, Any]) -> str:
    """Return a whole page.

    Parameters
    ----------
    body : Markup
        With an element of class ``figure`` for every id in the payload.
    payload : mapping
        What `page.js` draws: `pipeline.report.payload.payload`.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    scripts = [plotly_js(), _own("page.js")]
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline';"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        # Without an icon of its own a browser may ask for one.
        Markup('<link rel="icon" href="data:,">'),
        element("style", Markup(_own("page.css"))),
    )
    data = element("script", embedded(payload), type="application/json", id="figures")
    drawing = joined(element("script", Markup(script)) for script in scripts)
    page = element("html", head, element("body", body, data, drawing), lang="en")
    return f"<!doctype html>\n{page}\n"


def embedded(value: Any) -> Markup:
    """Return JSON that cannot end the script element that it stands in."""
    text = json.dumps(jsonable(value), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c"))


def plotly_js() -> str:
    """Return the library that plotly's wheel carries for pages without a network.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    # The file alone is wanted: to import plotly would take longer than to write the page.
    found = find_spec("plotly")
    if found is None or found.origin is None:
        raise UserError(
            "A report needs plotly, which is not installed. Add it, then try again:"
            f" {how_to_install('report')}"
        )
    script = Path(found.origin).parent / "package_data" / "plotly.min.js"
    return script.read_text("utf-8")


def _own(name: str) -> str:
    return (files("pipeline.report") / name).read_text("utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
