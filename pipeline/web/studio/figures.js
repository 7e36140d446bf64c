"use strict";
// Shapes and words of figures (`pipeline/report/echart.py`), and how figures of all kinds are printed:
// light, and as wide as A4 between its margins, as those of a report.
window.studioFigures ??= (() => {
  const PAPER = 700; // CSS pixels, as in pipeline/report/page.js
  const inPlace = (resize) => {
    import("nicegui-echart").then(({ echarts }) => {
      for (const place of document.querySelectorAll("[_echarts_instance_]")) {
        resize(echarts.getInstanceByDom(place));
      }
    });
  };
  addEventListener("beforeprint", () => inPlace((chart) => chart?.resize({ width: PAPER })));
  addEventListener("afterprint", () => inPlace((chart) => chart?.resize({ width: "auto" })));

  // Rectangles from and to the columns `place` on: x, x, y, y.
  const rectangle = (place, { color, borderColor, opacity = 1 }) => (params, api) => {
    const values = [0, 1, 2, 3].map((i) => api.value(place + i));
    if (values.some(Number.isNaN)) return null;
    const [x, y] = api.coord([values[0], values[3]]), [u, v] = api.coord([values[1], values[2]]);
    const shape = { x, y: Math.min(y, v), width: Math.max(u - x, 0.5), height: Math.abs(v - y) };
    return { type: "rect", shape, style: { fill: color, stroke: borderColor, lineWidth: borderColor ? 1 : 0, opacity } };
  };

  // A value that is wider than its cell is left to colour, axis and pointer; its marks stay, as large as fits.
  const inCell = (words, width) => {
    const fits = (text) => 7 * text.length + 2 <= width;
    if (fits(words)) return { text: words, fontSize: 12 };
    const marks = words.replace(/[^▲▼≠]/gu, "");
    return { text: marks, fontSize: Math.max(4, Math.min(12, Math.floor((width + 2) / Math.max(1, marks.length)))) };
  };

  const cell = (ink) => (params, api) => {
    const [x, y] = api.coord([api.value(0), api.value(1)]), [width, height] = api.size([1, 1]);
    const shape = { x: x - width / 2 + 1, y: y - height / 2 + 1, width: width - 2, height: height - 2 };
    const text = { ...inCell(`${api.value(4)}`, shape.width), fill: ink };
    return { type: "rect", shape, style: { fill: api.value(3) }, textContent: { style: text }, textConfig: { position: "inside" } };
  };

  // Words of plotly's templates: `.2%`, `.3g`, `.2f`, `,`.
  function number(value, spec) {
    const digits = Number(/\.(\d+)/.exec(spec)?.[1] ?? 7), comma = spec.includes(",");
    if (value === null || value === undefined || Number.isNaN(value)) return "";
    const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: comma };
    if (spec.endsWith("%")) return `${(100 * value).toLocaleString("en-US", fixed)} %`;
    if (spec.endsWith("f")) return value.toFixed(digits);
    return Number(value).toLocaleString("en-US", { maximumSignificantDigits: digits, useGrouping: comma });
  }
  const day = (value) => new Date(value).toISOString().slice(0, 16).replace("T00:00", "").replace("T", " ");
  const told = (value, spec) => {
    if (spec) return number(value, spec);
    return typeof value === "number" && value > 1e11 ? day(value) : `${value}`;
  };
  const escaped = (words) => words.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

  const tip = (templates, unified) => (items) => {
    const lines = [items].flat().map(({ seriesIndex, seriesName, value }) => {
      const [template, columns] = templates[seriesIndex];
      const bare = template.replace("<extra></extra>", "").replace(/^%\{x\}: /, unified ? "" : "%{x}: ");
      if (!bare || value[1] === null) return "";
      const words = bare.replace(/%\{(\w+)(?::([^}]*))?\}/g, (_, name, spec) => told(value[columns.indexOf(name)], spec));
      return escaped(template.includes("<extra>") || !seriesName ? words : `${seriesName} ${words}`);
    }).filter(Boolean);
    const at = unified ? items[0]?.value[0] : null;
    const head = at > 1e11 ? [`<b>${day(at)}</b>`] : []; // of a moment
    return [...head, ...lines].join("<br>");
  };

  // A million in full would push one panel aside of the others.
  const large = { notation: "compact", maximumSignificantDigits: 4 }, small = { maximumSignificantDigits: 7 };
  const tick = (format, suffix) => (value) =>
    (format ? number(value, format) : value.toLocaleString("en-US", Math.abs(value) >= 1e5 ? large : small)) + suffix;

  // The words of whichever place a label stands at.
  const named = (places, words) => (value) => words[places.findIndex((place) => Math.abs(place - value) < 1e-6)] ?? "";

  return { rectangle, cell, tip, tick, named };
})();
