"""Text that is hard to read: its contrast with what lies behind it (WCAG 2.2, 1.4.3, level AA)."""

#: Every visible text whose contrast is below 4.5, or below 3 where it is large. Colours are blended
#: through their alpha and the opacity of what they lie in. Not looked at: what is disabled, and
#: text on the cells of a heatmap, whose ground is no element's background.
_POOR = r"""() => {
  const channels = (colour) => (colour.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const over = (top, below) => [0, 1, 2].map((i) => {
    const alpha = top[3] ?? 1;
    return alpha * top[i] + (1 - alpha) * below[i];
  });
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) =>
      v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const lineage = (element) => element ? [element, ...lineage(element.parentElement)] : [];
  const poor = new Set();
  let looked = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, said = texts.currentNode.data.trim();
    if (!said || element.closest('script, style, [disabled], .disabled')) continue;
    if (element.closest('.q-icon, .heatmap-label')) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    looked += 1;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const above = lineage(element).map((one) => getComputedStyle(one));
    const ground = above.reduceRight(
      (below, one) => over(channels(one.backgroundColor), below), [255, 255, 255]);
    const opacity = above.reduce((all, one) => all * Number(one.opacity), 1);
    const ink = over(channels(element.closest('svg') ? style.fill : style.color), ground);
    const [dark, bright] = [luminance(over([...ink, opacity], ground)), luminance(ground)].sort(
      (a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.add(`${element.tagName} "${said}" ${ratio.toFixed(2)}`);
  }
  return [looked, [...poor]];
}"""


def poor(page):
    """Return the texts of a page that are hard to read; it must show a dozen at least."""
    looked, found = page.evaluate(_POOR)
    assert looked >= 12
    return found
