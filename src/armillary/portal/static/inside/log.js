// Adds to a console's log what is new in it, as text, and stays at its end unless its reader has scrolled up.
const EVERY = 1500, RESTING = 10000, KEPT = 400000;

for (const box of document.querySelectorAll("[data-log]")) {
  const log = box.querySelector(".log"), lines = box.querySelector("[data-lines]"), partial = box.querySelector("[data-partial]");
  const button = box.querySelector("[data-follow]");
  let anchor = box.dataset.anchor, follows = true, quiet = 0;

  const toEnd = () => { if (follows) log.scrollTop = log.scrollHeight; };
  const follow = (wanted) => {
    follows = wanted;
    button.setAttribute("aria-pressed", String(wanted));
    toEnd();
  };
  button.addEventListener("click", () => follow(!follows));
  log.addEventListener("scroll", () => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    if (atEnd !== follows && (atEnd || log.scrollHeight > log.clientHeight)) {
      follows = atEnd;
      button.setAttribute("aria-pressed", String(atEnd));
    }
  });
  toEnd();

  const look = async () => {
    if (!document.hidden && box.isConnected) {
      try {
        const reply = await fetch(`${box.dataset.log}?after=${encodeURIComponent(anchor)}`, { headers: { "hx-request": "true" } });
        if (reply.status === 204 || reply.status === 401) return;
        if (reply.ok) {
          const piece = await reply.json();
          const before = lines.textContent.length;
          if (piece.whole) lines.textContent = piece.text;
          else if (piece.text) lines.append(piece.text);
          if (lines.textContent.length > KEPT) lines.textContent = lines.textContent.slice(-KEPT / 2);
          quiet = lines.textContent.length === before && partial.textContent === piece.partial ? quiet + 1 : 0;
          partial.textContent = piece.partial;
          anchor = piece.anchor;
          toEnd();
        }
      } catch {
        quiet += 1; // the portal restarts, or this computer sleeps: looked again later
      }
    }
    if (box.isConnected) setTimeout(look, quiet > 20 ? RESTING : EVERY);
  };
  setTimeout(look, EVERY);
}
