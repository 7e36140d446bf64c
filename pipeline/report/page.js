"use strict";
// Draws the figures that the page carries, and draws them anew when the theme or a choice changes.
const page = JSON.parse(document.getElementById("figures").textContent);
const darkness = matchMedia("(prefers-color-scheme: dark)");
const touch = matchMedia("(pointer: coarse)").matches;
const config = { responsive: true, displaylogo: false, displayModeBar: touch ? false : "hover" };

// A figure that is narrower has its rows' names in several lines beside it, each of them whole.
const NARROW = 550;

// The width of A4 between its margins, in CSS pixels: a drawing does not shrink with the paper.
const PAPER = 700;

function draw(id, figure, theme = darkness.matches ? "dark" : "light", width = undefined) {
  const layout = structuredClone(figure.layout);
  layout.width = width;
  layout.template = page.templates[theme];
  const rows = layout.yaxis?.categoryarray;
  if (rows && (width ?? document.getElementById(id).clientWidth) < NARROW) {
    const ticktext = rows.map((name) => name.replaceAll(" ", "<br>"));
    Object.assign(layout.yaxis, { tickvals: rows, ticktext, tickfont: { size: 10 }, title: "" });
  }
  if (touch) layout.dragmode = false; // a finger scrolls the page
  return Plotly.react(id, structuredClone(figure.data), layout, config);
}

const transposed = (table) => table[0].map((_, column) => table.map((row) => row[column]));

// Colour, mark and written score of every cell. Where nothing was lost the score is infinite: it has
// the best colour and a mark.
function cells(table, [lossless, written]) {
  const numbers = table.flat().filter(Number.isFinite);
  const bestColour = numbers.length ? Math.max(...numbers) : 1;
  const each = (make) => table.map((row) => row.map(make));
  return {
    z: each((score) => (score === lossless ? bestColour : score)),
    text: each((score) => (score === lossless ? lossless : "")),
    customdata: each((score) => (score === lossless ? written : `${Number(score?.toPrecision(4))}`)),
  };
}

// The figure of the two chosen parameters: pairs are stored once, in the order of the grid.
function heatmap(choice) {
  const { names, labels, chosen, best, slice, lossless, figure } = page.heatmap;
  const [x, y] = [choice.x.value, choice.y.value];
  const pairs = choice.mode?.value === "slice" ? slice : best;
  const ordered = names.indexOf(x) < names.indexOf(y);
  const stored = pairs[ordered ? `${x}|${y}` : `${y}|${x}`];
  const made = structuredClone(figure);
  const table = cells(ordered ? transposed(stored) : stored, lossless);
  Object.assign(made.data[0], { x: labels[x], y: labels[y], ...table });
  made.data[0].hovertemplate = `${x} %{x}<br>${y} %{y}<br>score %{customdata}<extra></extra>`;
  if (made.data[1]) Object.assign(made.data[1], { x: [chosen[x]], y: [chosen[y]] });
  made.layout.xaxis.title.text = x;
  made.layout.yaxis.title.text = y;
  return made;
}

const drawn = new Map(Object.entries(page.figures).map(([id, figure]) => [id, () => figure]));

if (page.heatmap) {
  const controls = ["x", "y", "mode"].map((name) => [name, document.getElementById(`heatmap-${name}`)]);
  const choice = Object.fromEntries(controls.filter(([, control]) => control)); // no mode without slices
  let before = { x: choice.x.value, y: choice.y.value };
  drawn.set("heatmap", () => heatmap(choice));
  for (const [name, control] of Object.entries(choice)) {
    control.addEventListener("change", () => {
      // The same parameter on both axes: the axes change places.
      if (choice.x.value === choice.y.value) choice[name === "x" ? "y" : "x"].value = before[name];
      before = { x: choice.x.value, y: choice.y.value };
      draw("heatmap", heatmap(choice));
    });
  }
}

if (page.trades) {
  const choice = document.getElementById("trades-choice");
  drawn.set("trades", () => page.trades[Number(choice.value)]);
  choice.addEventListener("change", () => draw("trades", page.trades[Number(choice.value)]));
}

const drawAll = (...how) => drawn.forEach((figure, id) => draw(id, figure(), ...how));
drawAll();
darkness.addEventListener("change", () => drawAll());
addEventListener("beforeprint", () => drawAll("light", PAPER));
// Plotly takes a figure's old width for the page's until it is told to look again.
addEventListener("afterprint", () => {
  drawAll();
  drawn.forEach((_, id) => Plotly.Plots.resize(id));
});
for (const fold of document.querySelectorAll("details")) {
  fold.addEventListener("toggle", () => dispatchEvent(new Event("resize")));
}
