"""Pages in a narrow window: every column of their tables can be come to."""

_CUT = """
() => {
  const wide = document.documentElement.scrollWidth;
  const cut = wide > innerWidth ? [`the page is ${wide} wide`] : [];
  for (const cell of document.querySelectorAll('th, td, figure')) {
    if (!cell.checkVisibility()) continue;
    const region = cell.closest('.scroll') ?? document.body;
    const place = region.getBoundingClientRect();
    const right = cell.getBoundingClientRect().right - place.left + region.scrollLeft;
    const scrolls = ['auto', 'scroll'].includes(getComputedStyle(region).overflowX);
    const reached = scrolls ? region.scrollWidth : region.clientWidth;
    if (right > reached + 1 || place.right > innerWidth + 1) cut.push(cell.innerText);
  }
  return cut;
}
"""


def cut_off(page):
    """What of a page lies to the right of all that can be scrolled to; the body must not scroll."""
    return page.evaluate(_CUT)


def on_a_phone(page):
    """Make an open page as narrow as a phone, and wait until its drawings have followed."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
