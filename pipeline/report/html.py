"""HTML of escaped parts: text becomes markup in `element` alone."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

#: Elements that have no content and no end.
_VOID = frozenset(("meta", "br", "hr"))


class Markup(str):
    """Text that is HTML already; any other string is escaped when it becomes part of a page."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | bool | None) -> Markup:
    """Return an element.

    Parameters
    ----------
    children : str
        Escaped, unless they are `Markup`.
    attributes : str, bool or None
        ``class_`` is ``class`` and ``aria_label`` is ``aria-label``; True has no value, False and
        None leave it out.
    """
    given = "".join(
        f" {_name(name)}" + ("" if value is True else f'="{html.escape(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{joined(children)}</{tag}>")


def joined(parts: Iterable[str]) -> Markup:
    """Return parts one after the other, escaped unless they are `Markup`."""
    return Markup("".join(p if isinstance(p, Markup) else html.escape(p) for p in parts))


def listed(sentences: Iterable[str]) -> Markup:
    """Return a list of sentences."""
    return element("ul", *(element("li", sentence) for sentence in sentences))


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False
) -> Markup:
    """Return a table whose first column heads its rows; wider than a phone it scrolls by itself.

    ``words`` says that its cells are sentences or names, to be wrapped, and no figures; on a phone
    they are put below each other, and each says whose it is.
    """
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(
                element("td", cell, data_label=column if words else None)
                for cell, column in zip(row[1:], columns[1:], strict=True)
            ),
        )
        for row in rows
    ]
    inner = element(
        "table", element("caption", caption), element("thead", head), element("tbody", *body)
    )
    return scrolling(inner, caption, "words" if words else "numbers")


def scrolling(inner: Markup, label: str, style: str = "") -> Markup:
    """Return a region that scrolls sideways, by keys too."""
    style = f"scroll {style}".rstrip()
    return element("div", inner, class_=style, tabindex="0", role="region", aria_label=label)


def _name(attribute: str) -> str:
    return attribute.rstrip("_").replace("_", "-")
