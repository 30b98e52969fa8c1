// Load of the clouds over time: of each one the cores that are there, and those that are busy.
import uPlot from "../uplot/uPlot.esm.js";
import { moment, ticks, tzDate } from "./clock.js";

const room = document.querySelector("[data-load]");
const words = JSON.parse(room.dataset.words);
const place = room.querySelector("[data-plots]");
const EVERY = 60_000;
let drawn = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function plot(cloud, times, lines) {
  const figure = document.createElement("figure");
  const title = document.createElement("figcaption");
  const last = lines.busy.length - 1;
  title.textContent = `${cloud}: ${lines.busy[last] ?? 0} / ${lines.cores[last] ?? 0} ${words.cores}`;
  figure.append(title);
  place.append(figure);
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--grid"), width: 1 } };
  const options = {
    width: Math.max(240, place.clientWidth),
    height: 180,
    tzDate,
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [{ ...axis, values: ticks, space: 55 }, axis],
    series: [
      { label: words.time, value: (_plot, stamp) => (stamp === null ? "–" : moment(stamp)) },
      { label: words.cores, stroke: colour("--plot-2"), width: 2, dash: [6, 4] },
      { label: words.busy, stroke: colour("--plot-1"), width: 2, fill: `${colour("--plot-1")}33` },
      { label: words.workers, stroke: colour("--plot-3"), width: 1 },
    ],
  };
  drawn.push(new uPlot(options, [times, lines.cores, lines.busy, lines.workers], figure));
}

async function look() {
  try {
    const reply = await fetch(room.dataset.load);
    if (reply.ok) {
      const told = await reply.json();
      drawn.forEach((one) => one.destroy());
      drawn = [];
      place.replaceChildren();
      if (!told.times.length) place.textContent = words.none;
      for (const [cloud, lines] of Object.entries(told.clouds)) plot(cloud, told.times, lines);
    }
  } catch {
    // the platform restarts, or the network is away: look again
  }
  setTimeout(look, EVERY);
}

new ResizeObserver(() => drawn.forEach((one) => one.setSize({ width: Math.max(240, place.clientWidth), height: 180 }))).observe(place);
look();
