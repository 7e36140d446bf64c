"use strict";
// Prints the figures of a page light and as wide as A4 between its margins, as those of a report.
import("nicegui-plotly").then(({ Plotly }) => {
  const PAPER = 700; // CSS pixels, as in pipeline/report/page.js
  const templates = new Map();
  addEventListener("beforeprint", () => {
    for (const plot of document.querySelectorAll(".js-plotly-plot:has(.main-svg)")) {
      templates.set(plot, plot.layout.template);
      Plotly.relayout(plot, { template: LIGHT, width: PAPER });
    }
  });
  addEventListener("afterprint", () => {
    templates.forEach((template, plot) => Plotly.relayout(plot, { template, width: undefined, autosize: true }));
    templates.clear();
  });
});
