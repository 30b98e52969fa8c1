// Follows what jobs print: the bytes from where the page ends, until no more will come.
const MOST = 512 * 1024; // characters that stay on the page

for (const log of document.querySelectorAll("[data-log]")) follow(log);

function follow(log) {
  const pre = log.querySelector("pre");
  const letters = new TextDecoder();
  let next = Number(log.dataset.next);
  let wait = 1000;
  log.scrollTop = log.scrollHeight;

  async function look() {
    const query = new URLSearchParams({ offset: next });
    if (log.dataset.attempt) query.set("attempt", log.dataset.attempt);
    try {
      const reply = await fetch(`${log.dataset.log}?${query}`);
      if (!reply.ok) return;
      const bytes = await reply.arrayBuffer();
      next = Number(reply.headers.get("x-log-next"));
      if (bytes.byteLength) add(letters.decode(bytes, { stream: true }));
      if (reply.headers.get("x-log-over")) return;
      wait = bytes.byteLength ? 500 : Math.min(wait * 1.5, 5000);
    } catch {
      wait = 5000; // the platform restarts, or the network is away
    }
    setTimeout(look, document.hidden ? 10000 : wait);
  }

  function add(text) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const whole = pre.textContent + text;
    pre.textContent = whole.length > MOST ? whole.slice(-MOST) : whole;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  look();
}
