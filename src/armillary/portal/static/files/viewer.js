// The page around the viewer: fetches the pixels, hands them to the frame, and shows what a click meets.
const viewer = document.querySelector("[data-viewer]");
const frame = viewer.querySelector("iframe");
const told = viewer.querySelector("[data-state]");
const picked = viewer.querySelector("[data-picked]");
const { sayLoading, sayFailed, sayNoWorld } = viewer.dataset;

// The frame has no origin of its own, so a message to it cannot name one; it is reached by its window.
const tell = (message, hand = []) => frame.contentWindow.postMessage(message, "*", hand);

const tellOf = (control) => tell({ [control.dataset.tell]: control.type === "checkbox" ? control.checked : control.value });

async function load() {
  told.textContent = sayLoading;
  const answer = await fetch(viewer.dataset.viewer);
  if (!answer.ok) {
    told.textContent = `${sayFailed} ${(await answer.text()).split("\n")[0].slice(0, 300)}`;
    return;
  }
  const bytes = await answer.arrayBuffer();
  tell({ bytes }, [bytes]);
}

const sexagesimal = (degrees, perUnit, digits) => {
  const sign = degrees < 0 ? "−" : "";
  let rest = Math.round(Math.abs(degrees / perUnit) * 3600 * 10 ** digits);
  const seconds = rest % (60 * 10 ** digits);
  rest = (rest - seconds) / (60 * 10 ** digits);
  const two = (number) => String(number).padStart(2, "0");
  return `${sign}${two(Math.floor(rest / 60))}:${two(rest % 60)}:${(seconds / 10 ** digits).toFixed(digits).padStart(3 + digits, "0")}`;
};

function show({ x, y, value, ra, dec, system }) {
  const step = Number(viewer.dataset.step);
  // a pixel of a reduced image is the middle one of its square in the whole image, as SUB=[*:n] takes each nth from the first
  const whole = (at) => (at - 1) * step + 1;
  picked.querySelector("[data-pixel]").textContent = `${whole(x).toFixed(1)}, ${whole(y).toFixed(1)}`;
  picked.querySelector("[data-value]").textContent = value === null ? "–" : String(Number(value.toPrecision(7)));
  const sky = picked.querySelector("[data-sky]");
  sky.textContent = ra === null ? sayNoWorld : `${ra.toFixed(5)}, ${dec.toFixed(5)}`;
  sky.dataset.ra = ra ?? "";
  sky.dataset.dec = dec ?? "";
  picked.querySelector("[data-hours]").textContent = ra === null ? "" : `${sexagesimal(ra, 15, 2)} ${sexagesimal(dec, 1, 1)} ${system}`;
  picked.hidden = false;
}

addEventListener("message", (event) => {
  if (event.source !== frame.contentWindow) return;
  const said = event.data;
  if (said.ready) load();
  if (said.loaded) {
    told.textContent = `${said.loaded.width} × ${said.loaded.height}`;
    // what was chosen before the image was there, or the browser kept over a reload
    for (const control of viewer.querySelectorAll("[data-tell]")) if (control.checked || control.selectedIndex > 0) tellOf(control);
    viewer.dataset.state = "shown";
  }
  if (said.picked) show(said.picked);
});

viewer.addEventListener("change", ({ target }) => {
  if (target.matches("[data-tell]")) tellOf(target);
});
viewer.addEventListener("click", ({ target }) => {
  if (target.matches("button[data-zoom]")) tell({ zoom: target.dataset.zoom });
});
viewer.querySelector("[data-read]").addEventListener("submit", (event) => {
  event.preventDefault();
  const step = Number(viewer.dataset.step);
  const [x, y] = ["x", "y"].map((name) => (Number(event.target.elements[name].value) - 1) / step + 1);
  tell({ read: { x, y } });
});
frame.src = frame.dataset.src;
