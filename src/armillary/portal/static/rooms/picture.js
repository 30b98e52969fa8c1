// Jobs as one picture: a canvas of cells by state. The whole comes once, run-length encoded; then only what changed.
const NAMES = { i: "idle", c: "claimed", r: "running", d: "completed", f: "failed", h: "held", x: "removed" };
const MARKS = { f: "cross", h: "bar", r: "dot", x: "empty" }; // states are told apart by form as well as by colour
const EVERY = 2000;

const room = document.querySelector("[data-picture]");
const canvas = room.querySelector("canvas");
const said = room.querySelector("#picture-said");
const words = JSON.parse(room.dataset.words);
const count = Number(room.dataset.count);
let cells = []; // of each cell its letter, or a map of letter → jobs where a cell stands for several
let width = 1;
let seq = null;
let chosen = -1;
let colours = {};
let columns = 1;
let size = 8;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  colours = Object.fromEntries(Object.entries(NAMES).map(([letter, name]) => [letter, of(`--cell-${name}`)]));
  colours["-"] = of("--line");
  colours.ink = of("--ink");
  colours.card = of("--card");
}

function unpack(text, put) {
  for (const [, letter, times] of text.matchAll(/([a-z.-])(\d+)/g)) put(letter, Number(times));
}

function take(told) {
  seq = told.seq;
  width = told.width || 1;
  if (told.whole) {
    cells = [];
    unpack(told.cells, (letter, times) => { for (let n = 0; n < times; n += 1) cells.push(letter); });
  }
  for (const [number, text] of Object.entries(told.changes)) {
    if (width === 1) { cells[number] = text; continue; }
    const parts = {};
    unpack(text, (letter, times) => { parts[letter] = times; });
    cells[number] = parts;
  }
  draw();
  return (told.states.idle || 0) + (told.states.claimed || 0) + (told.states.running || 0) > 0;
}

function layout() {
  const room = canvas.clientWidth || canvas.parentElement.clientWidth;
  const most = 544; // pixels of height
  size = Math.max(3, Math.min(18, Math.floor(Math.sqrt((room * most) / Math.max(1, cells.length)))));
  columns = Math.max(1, Math.floor(room / size));
  const scale = window.devicePixelRatio || 1;
  const height = Math.ceil(cells.length / columns) * size;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(room * scale);
  canvas.height = Math.round(height * scale);
  const paint = canvas.getContext("2d");
  paint.setTransform(scale, 0, 0, scale, 0, 0);
  return paint;
}

function draw() {
  const paint = layout();
  const gap = size > 5 ? 1 : 0;
  cells.forEach((cell, number) => {
    if (!cell || cell === ".") return;
    const x = (number % columns) * size;
    const y = Math.floor(number / columns) * size;
    const side = size - gap;
    if (typeof cell === "string") one(paint, cell, x, y, side);
    else several(paint, cell, x, y, side);
  });
  if (chosen >= 0 && chosen < cells.length) {
    paint.strokeStyle = colours.ink;
    paint.lineWidth = 2;
    paint.strokeRect((chosen % columns) * size, Math.floor(chosen / columns) * size, size - gap, size - gap);
  }
}

function one(paint, letter, x, y, side) {
  paint.fillStyle = colours[letter];
  paint.fillRect(x, y, side, side);
  if (side < 6) return;
  paint.strokeStyle = colours.card;
  paint.fillStyle = colours.card;
  paint.lineWidth = Math.max(1, side / 9);
  paint.beginPath();
  switch (MARKS[letter]) {
    case "cross":
      paint.moveTo(x + side * 0.25, y + side * 0.25); paint.lineTo(x + side * 0.75, y + side * 0.75);
      paint.moveTo(x + side * 0.75, y + side * 0.25); paint.lineTo(x + side * 0.25, y + side * 0.75);
      paint.stroke();
      break;
    case "bar":
      paint.fillRect(x + side * 0.2, y + side * 0.42, side * 0.6, Math.max(1, side * 0.18));
      break;
    case "dot":
      paint.arc(x + side / 2, y + side / 2, side * 0.17, 0, 7);
      paint.fill();
      break;
    case "empty":
      paint.fillRect(x + side * 0.25, y + side * 0.25, side * 0.5, side * 0.5);
      break;
  }
}

function several(paint, parts, x, y, side) {
  const all = Object.values(parts).reduce((sum, each) => sum + each, 0);
  let from = y;
  for (const letter of ["f", "h", "r", "c", "i", "d", "x", "-"]) { // troubles on top, and never thinner than a pixel
    if (!parts[letter]) continue;
    const tall = Math.max(1, (parts[letter] / all) * side);
    paint.fillStyle = colours[letter];
    paint.fillRect(x, from, side, Math.min(tall, y + side - from));
    from += tall;
  }
}

function tell(number) {
  const cell = cells[number];
  if (cell === undefined) return;
  if (typeof cell === "string") {
    said.textContent = `${words.job} ${room.dataset.jobs.split("/").at(-2)}.${number}: ${words[cell] || ""}`;
    return;
  }
  const from = number * width;
  const parts = Object.entries(cell).map(([letter, times]) => `${times} ${words[letter]}`).join(", ");
  said.textContent = `${words.jobs} ${from}–${Math.min(from + width, count) - 1}: ${parts}`;
}

function choose(number) {
  if (!cells.length) return;
  chosen = Math.max(0, Math.min(cells.length - 1, number));
  draw();
  tell(chosen);
}

function open(number) {
  if (cells[number] !== undefined) window.location.assign(room.dataset.jobs + number * width);
}

function under(event) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left) / size);
  return column < columns ? Math.floor((event.clientY - box.top) / size) * columns + column : -1;
}

canvas.addEventListener("keydown", (event) => {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: columns * 10, PageUp: -columns * 10 };
  if (event.key in steps) choose(chosen < 0 ? 0 : chosen + steps[event.key]);
  else if (event.key === "Home") choose(0);
  else if (event.key === "End") choose(cells.length - 1);
  else if (event.key === "Enter" && chosen >= 0) open(chosen);
  else return;
  event.preventDefault();
});
canvas.addEventListener("pointermove", (event) => tell(under(event)));
canvas.addEventListener("click", (event) => open(under(event)));
canvas.addEventListener("focus", () => { if (chosen < 0) choose(0); });

async function look() {
  const query = new URLSearchParams(room.dataset.filter);
  if (seq !== null) query.set("since", seq);
  let moving = true;
  try {
    const reply = await fetch(`${room.dataset.picture}?${query}`, { headers: { accept: "application/json" } });
    if (reply.ok) moving = take(await reply.json());
    room.dataset.shown = cells.length; // for whoever waits for it
  } catch {
    moving = true; // the platform restarts, or the network is away: ask again
  }
  setTimeout(look, document.hidden ? EVERY * 5 : moving ? EVERY : EVERY * 5);
}

canvas.hidden = false;
readColours();
new ResizeObserver(draw).observe(room);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
look();
