"use strict";
// The shapes of a candle chart (`pipeline/report/candle_chart.py`), one call of ECharts a row of
// data. Colours are names of the page's style, so that they follow its theme, and paper.
window.candleChart ??= (() => {
  const at = (api, x, y) => api.coord([api.value(x), api.value(y)]);
  const line = (points, style) => ({ type: "polyline", shape: { points }, style: { fill: "none", ...style } });
  const words = (text, x, y, more) => ({
    type: "text",
    style: { text, x, y, fontSize: 12, fill: "var(--ink)", stroke: "var(--paper)", lineWidth: 4, ...more },
  });

  // From its open to its close in time, hollow where it rose, full where it fell.
  function candle(params, api) {
    const [left, top] = at(api, 0, 3), [right, bottom] = at(api, 1, 4);
    const opened = at(api, 0, 2)[1], closed = at(api, 0, 5)[1];
    const gap = Math.min((right - left) * 0.12, 2), middle = (left + right) / 2;
    const x = left + gap, width = Math.max(right - left - 2 * gap, 0.6);
    const high = Math.min(opened, closed), low = Math.max(opened, closed);
    const style = { stroke: "var(--soft)", lineWidth: 1, fill: closed <= opened ? "var(--paper)" : "var(--soft)" };
    const wick = [[middle, top], [middle, high]], tail = [[middle, low], [middle, bottom]];
    return {
      type: "group",
      children: [
        line(wick, { stroke: "var(--soft)" }),
        line(tail, { stroke: "var(--soft)" }),
        { type: "rect", shape: { x, y: high, width, height: Math.max(low - high, 0.5) }, style },
      ],
    };
  }

  function volume(params, api) {
    const [left, top] = at(api, 0, 6), [right] = at(api, 1, 6);
    const ground = api.coord([api.value(0), 0])[1], gap = Math.min((right - left) * 0.12, 2);
    const shape = { x: left + gap, y: top, width: Math.max(right - left - 2 * gap, 0.6), height: ground - top };
    return { type: "rect", shape, style: { fill: "var(--soft)", opacity: 0.6 } };
  }

  // A triangle where it was entered: up for a long, down for a short. Its line is whole and ends in
  // a disc where it gained; it is dotted and ends in a cross where it lost.
  function trade(params, api) {
    const [x, y] = at(api, 0, 1), [u, v] = at(api, 2, 3);
    const long = api.value(4) > 0, gained = api.value(5) > 0, chosen = api.value(7) > 0;
    const color = gained ? "var(--good)" : "var(--bad)", size = chosen ? 8 : 5.5, r = chosen ? 6 : 4.5;
    const tip = long ? 1 : -1; // under the entry of a long, over that of a short
    const points = [[x, y + tip * 2], [x - size, y + tip * (2 + 2 * size)], [x + size, y + tip * (2 + 2 * size)]];
    const dash = gained ? null : [2, 3];
    const end = gained
      ? [{ type: "circle", shape: { cx: u, cy: v, r: r - 1 }, style: { fill: color } }]
      : [[-1, -1, 1, 1], [-1, 1, 1, -1]].map(([a, b, c, d]) =>
          line([[u + a * r, v + b * r], [u + c * r, v + d * r]], { stroke: color, lineWidth: 2.5 }));
    const head = words(`${api.value(6)}`, x, y + tip * (4 + 2 * size), {
      align: "center", verticalAlign: long ? "top" : "bottom", fontWeight: "bold" });
    return {
      type: "group",
      children: [
        line([[x, y], [u, v]], { stroke: color, lineWidth: chosen ? 3 : 2, lineDash: dash }),
        { type: "polygon", shape: { points }, style: { fill: color, stroke: "var(--paper)", lineWidth: 1 } },
        ...end,
        ...(chosen ? [head] : []),
      ],
    };
  }

  const dashes = { target: [8, 4], stop: null, "first stop": [2, 3] };

  function level(params, api) {
    const from = at(api, 0, 1), to = at(api, 2, 3), name = api.value(4), text = api.value(5);
    const color = name === "target" ? "var(--good)" : name.endsWith("stop") ? "var(--bad)" : "var(--mark)";
    const style = { stroke: color, lineWidth: 1.6, lineDash: name in dashes ? dashes[name] : [10, 3, 2, 3] };
    const right = params.coordSys.x + params.coordSys.width;
    const children = [line([from, to], style)];
    if (text && name.endsWith("level")) { // before it, where neither stop nor target is written
      const room = from[0] > params.coordSys.x + 130;
      children.push(words(text, room ? from[0] - 6 : from[0], from[1], {
        align: room ? "right" : "left", verticalAlign: room ? "middle" : "bottom" }));
    } else if (text) {
      const near = to[0] > right - 110;
      children.push(words(text, near ? right - 4 : to[0] + 6, to[1], {
        align: near ? "right" : "left", verticalAlign: near ? "bottom" : "middle" }));
    }
    return { type: "group", children };
  }

  const number = (value) => Number(value).toLocaleString("en-US", { maximumSignificantDigits: 7 });
  const moment = (value) => new Date(value).toISOString().slice(0, 16).replace("T", " ");
  const short = (value) => Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 }).format(value);

  const when = ({ value }) => `${moment(value)} UTC`;

  const tip = (quote, base) => (items) => {
    const own = (id) => items.filter((item) => item.seriesId === id).map((item) => item.value);
    const lines = own("candles").map(([begin, end, open, high, low, close, size, bars]) => [
      `<b>${moment(begin)} to ${moment(end)} UTC</b>`,
      `open ${number(open)}, close ${number(close)} ${quote}`,
      `high ${number(high)}, low ${number(low)} ${quote}`,
      `volume ${number(size)} ${base}${bars > 1 ? `, ${number(bars)} candles joined` : ""}`,
    ]);
    return lines.flat().join("<br>");
  };

  return { candle, volume, trade, level, short, tip, when };
})();
