// The past hour of a machine in four plots, drawn again every ten seconds while the page is looked at.
import uPlot from "../uplot/uPlot.esm.js";
import { ticks, tzDate } from "./clock.js";

const place = document.querySelector("[data-figures]");
const words = place ? place.dataset : {};
const UNITS = (words.units ?? "B KiB MiB GiB").split(" ");
const PLOTS = [
  { title: words.cpu, columns: [["cpu", words.used]], unit: "%", scale: 100, top: () => 100 },
  { title: words.memory, columns: [["memory_used", words.used]], unit: UNITS[2], scale: 1, top: (told) => told.memory },
  { title: words.disk, columns: [["disk_read", words.read], ["disk_written", words.written]], unit: "B/s", scale: 1 },
  { title: words.net, columns: [["net_in", words.in], ["net_out", words.out]], unit: "B/s", scale: 1 },
];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const reduced = (value, unit) => {
  if (value === null || value === undefined) return "–";
  if (unit === "B/s") {
    const step = value > 0 ? Math.min(3, Math.floor(Math.log2(value) / 10)) : 0;
    return `${(value / 1024 ** Math.max(0, step)).toFixed(step > 0 ? 1 : 0)} ${UNITS[Math.max(0, step)]}/s`;
  }
  return `${Math.round(value)} ${unit}`;
};

const HEIGHT = 160;
const widthIn = (figure) => {
  const style = getComputedStyle(figure);
  return Math.max(120, figure.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
};

let drawn = [];
function draw(told) {
  for (const plot of drawn) plot.destroy();
  drawn = [];
  place.replaceChildren();
  if (told.t.length < 2) {
    const note = document.createElement("p");
    note.className = "hint";
    note.textContent = words.none;
    place.append(note);
    return;
  }
  const grid = document.createElement("div");
  grid.className = "plots";
  place.append(grid);
  // all cards first: a plot takes the width that its card has beside the others
  const cards = PLOTS.map((plot) => [plot, grid.appendChild(document.createElement("figure"))]);
  for (const [{ title, columns, unit, scale, top }, figure] of cards) {
    const caption = document.createElement("figcaption");
    const last = columns.map(([name, label]) => `${label} ${reduced((told[name].at(-1) ?? null) === null ? null : told[name].at(-1) * scale, unit)}`);
    caption.textContent = `${title}: ${last.join(", ")}`;
    figure.append(caption);
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--grid") || colour("--line") }, ticks: { stroke: colour("--line") } };
    const options = {
      width: widthIn(figure),
      height: HEIGHT,
      tzDate,
      legend: { show: columns.length > 1, live: false },
      cursor: { y: false },
      scales: { y: { range: (_plot, _low, high) => [0, top ? top(told) : Math.max(high ?? 0, 1024)] } },
      axes: [{ ...axis, values: ticks, space: 55 }, { ...axis, size: 88, values: (_plot, marks) => marks.map((mark) => reduced(mark, unit)) }],
      series: [{}, ...columns.map(([, label], n) => ({ label, stroke: colour(`--plot-${n + 1}`) || colour("--accent"), width: 2, points: { show: false }, spanGaps: true }))],
    };
    const data = [told.t, ...columns.map(([name]) => told[name].map((value) => (value === null ? null : value * scale)))];
    drawn.push(new uPlot(options, data, figure));
  }
}

let told = null;
async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(words.figures, { headers: { accept: "application/json" } });
    if (!answer.ok) return;
    told = await answer.json();
  } catch {
    return; // the platform restarts, or the network is away: look again
  }
  draw(told);
}
if (place) {
  look();
  setInterval(look, 10000);
  const again = () => told && draw(told);
  const fit = () => drawn.forEach((plot) => plot.setSize({ width: widthIn(plot.root.parentElement), height: HEIGHT }));
  new ResizeObserver(fit).observe(place.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
