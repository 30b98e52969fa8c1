// Draws the table of use by day. The table is the truth: whoever sees no picture reads it.
import uPlot from "../uplot/uPlot.esm.js";

function rowsOf(body) {
  const number = (text) => (text === "–" ? null : Number(text));
  const rows = [...body.rows].reverse().map((row) => [
    Date.parse(`${row.cells[0].textContent.trim()}T00:00:00Z`) / 1000,
    number(row.cells[1].textContent.trim()),
    number(row.cells[2].textContent.trim()),
  ]);
  return [0, 1, 2].map((column) => rows.map((row) => row[column]));
}

function draw(place) {
  const body = document.getElementById(place.dataset.usagePlot);
  if (!body) return;
  const heads = [...body.closest("table").tHead.rows[0].cells].map((cell) => cell.textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const day = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short", timeZone: "UTC" });
  const days = { values: (_plot, stamps) => stamps.map((stamp) => day.format(stamp * 1000)), space: 70 };
  // colours are read anew each time: they change with the theme
  const axis = () => ({ stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--grid") } });
  const plot = () => new uPlot({
    width: place.clientWidth, height: 220, tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), "UTC"),
    series: [
      { label: heads[0], value: "{YYYY}-{MM}-{DD}" },
      { label: heads[1], stroke: colour("--plot-1"), fill: `${colour("--plot-1")}33`, paths: uPlot.paths.bars({ size: [0.7] }), points: { show: false } },
      { label: heads[2], stroke: colour("--plot-2"), width: 2, scale: "stored", spanGaps: true },
    ],
    axes: [{ ...axis(), ...days }, { ...axis(), size: 55 }, { ...axis(), side: 1, scale: "stored", size: 55, grid: { show: false } }],
  }, rowsOf(body), place);
  let shown = plot();
  const again = () => { shown.destroy(); shown = plot(); };
  new ResizeObserver(() => shown.setSize({ width: place.clientWidth, height: 220 })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
}

document.querySelectorAll("[data-usage-plot]").forEach(draw);
