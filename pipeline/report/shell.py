"""Write a page as one self-contained HTML file: style, scripts and figures inlined.

The content security policy refuses every load from anywhere, and every script whose hash it does
not name: a page that is opened from a disk is held to what was written.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.errors import UserError, how_to_install
from pipeline.results.jsonable import jsonable


def templates_of(package: str) -> Environment:
    """Load templates in which every text is escaped, and nothing missing passes for empty."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


TEMPLATES = templates_of("pipeline.report")


def render(template: str, title: str, figures: Mapping[str, Any], **content: Any) -> str:
    """Return a whole page.

    Parameters
    ----------
    template : str
        One that extends `page.jinja`, with an element of class ``figure`` for every id among the
        figures.
    figures : mapping
        What `page.js` draws, as of `pipeline.report.theme.themed`.
    content : Any
        What the template shows.

    Raises
    ------
    UserError
        When plotly is not installed.
    """
    scripts = [plotly_js(), _own("page.js")]
    digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()) for one in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline';"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return TEMPLATES.get_template(template).render(
        policy=policy,
        title=title,
        style=Markup(_own("page.css")),
        figures=embedded(figures),
        scripts=[Markup(script) for script in scripts],
        **content,
    )


def compile_templates() -> None:
    """Compile what `macro` reads, so that nobody waits for it later."""
    for template in TEMPLATES.list_templates(("jinja",)):
        TEMPLATES.get_template(template)


def macro(template: str, name: str, *given: Any) -> Markup:
    """Return the part of a page that a macro makes, in which every text is escaped."""
    return Markup(bound(getattr(TEMPLATES.get_template(template).module, name)(*given)))


def bound(said: str) -> str:
    """Bind each number to the percent sign behind it: a page ends no line between the two."""
    return re.sub(r"(?<=\d) %", "\u00a0%", said)


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
    package = find_spec("plotly")
    if package is None or package.origin is None:
        raise UserError(
            "A page with figures needs plotly, which is not installed. Add it, then try again:"
            f" {how_to_install('report')}"
        )
    script = Path(package.origin).parent / "package_data" / "plotly.min.js"
    return script.read_text("utf-8")


def _own(name: str) -> str:
    return (files("pipeline.report") / name).read_text("utf-8")
