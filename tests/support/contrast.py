"""Text that is hard to read: its contrast with what lies behind it (WCAG 2.2, 1.4.3, level AA)."""

#: Every visible text whose contrast is below 4.5, or below 3 where it is large. Colours are blended
#: through their alpha and the opacity of what they lie in. The ground of a text that ECharts
#: draws is what shapes before it fill below its middle; on the cells of a heatmap of plotly's it is
#: the picture's own. Not looked at: what is disabled.
_POOR = r"""async () => {
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
  // Cells of a heatmap are one picture: its colour below a point of the page. All are decoded
  // before the first text is looked at: nothing is drawn anew between a text and its ground.
  const pictures = new Map();
  const source = (picture) => picture.getAttribute('href') ?? picture.getAttribute('xlink:href');
  const next = () => [...document.querySelectorAll('.hm image')].map(source)
    .find((href) => !pictures.has(href));
  for (let href = next(); href !== undefined; href = next()) {
    const loaded = new Image();
    loaded.src = href;
    await loaded.decode();
    const canvas = new OffscreenCanvas(loaded.width, loaded.height);
    canvas.getContext('2d', {willReadFrequently: true}).drawImage(loaded, 0, 0);
    pictures.set(href, canvas);
  }
  const cell = (element, rectangle) => {
    const picture = element.closest('.hm').querySelector('image');
    const canvas = pictures.get(source(picture)), place = picture.getBoundingClientRect();
    const x = (rectangle.left + rectangle.width / 2 - place.left) / place.width * canvas.width;
    const y = (rectangle.top + rectangle.height / 2 - place.top) / place.height * canvas.height;
    const pixel = canvas.getContext('2d').getImageData(Math.floor(x), Math.floor(y), 1, 1).data;
    return [pixel[0], pixel[1], pixel[2], pixel[3] / 255];
  };
  // What the shapes of a drawing that come before a text fill below its middle.
  const below = (element, ground) => {
    const box = element.getBoundingClientRect();
    const point = new DOMPoint(box.left + box.width / 2, box.top + box.height / 2);
    for (const shape of element.closest('svg').querySelectorAll('path, rect')) {
      const style = getComputedStyle(shape);
      if (!/^rgb/.test(style.fill) || !shape.checkVisibility()) continue;
      if (!(shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
      if (!shape.isPointInFill(point.matrixTransform(shape.getScreenCTM().inverse()))) continue;
      const [r, g, b, alpha = 1] = channels(style.fill);
      ground = over([r, g, b, alpha * style.fillOpacity * style.opacity], ground);
    }
    return ground;
  };
  const poor = new Set();
  let looked = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, said = texts.currentNode.data.trim();
    if (!said || element.closest('script, style, [disabled], .disabled')) continue;
    if (element.closest('.q-icon')) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    looked += 1;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const above = lineage(element).map((one) => getComputedStyle(one));
    let ground = above.reduceRight(
      (below, one) => over(channels(one.backgroundColor), below), [255, 255, 255]);
    if (element.closest('.nicegui-echart svg')) ground = below(element, ground);
    if (element.closest('.heatmap-label')) {
      ground = over(cell(element, element.getBoundingClientRect()), ground);
    }
    const opacity = above.reduce((all, one) => all * Number(one.opacity), 1);
    const ink = over(channels(element.closest('svg') ? style.fill : style.color), ground);
    const [dark, bright] = [luminance(over([...ink, opacity], ground)), luminance(ground)].sort(
      (a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.add(`${element.tagName} "${said}" ${ratio.toFixed(2)}`);
  }
  return [looked, [...poor]];
}"""


#: Before it is connected a page of the Studio looks as if it were disabled, which it is.
_CONNECTED = "!document.querySelector('.bar') || document.querySelector('html.ready')"


def poor(page):
    """Return the texts of a page that are hard to read; it must show a dozen at least."""
    page.wait_for_function(_CONNECTED)
    looked, found = page.evaluate(_POOR)
    assert looked >= 12
    return found
