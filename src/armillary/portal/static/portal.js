// Copies a line to the clipboard, and follows the end of a log unless its reader has scrolled up.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
  const label = button.textContent;
  button.textContent = "✓";
  setTimeout(() => { button.textContent = label; }, 1500);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

const atEnd = new WeakMap();
document.addEventListener("htmx:beforeSwap", (event) => {
  const log = event.target.closest(".log");
  if (log) atEnd.set(log, log.scrollHeight - log.scrollTop - log.clientHeight < 40);
});
document.addEventListener("htmx:afterSwap", (event) => {
  const log = event.target.closest(".log");
  if (log && atEnd.get(log) !== false) log.scrollTop = log.scrollHeight;
});
