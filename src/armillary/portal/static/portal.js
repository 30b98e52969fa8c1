// What every page does with a script: copy, submit a choice at once, close menus, follow the end of a log, and leave
// people what they chose while parts of the page look again.
const FIELDS = "select, textarea, input:not([type=hidden], [type=file], [type=password])";
// Whether a field is otherwise than the page came with: by somebody's hand, or the browser's after a reload.
const isChanged = (field) => {
  if (field.matches("select")) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected));
  return ["checkbox", "radio"].includes(field.type) ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
};

const copied = (button) => {
  const label = button.textContent;
  button.textContent = "✓";
  setTimeout(() => { button.textContent = label; }, 1500);
};

// Forms that are filled in from their address: what was typed goes along, but no passwords, and nothing that is too long.
const LONGEST = 6000;
const asTyped = (address) => {
  const there = new URL(address, location.origin);
  const asItWas = there.pathname + there.search;
  for (const form of document.querySelectorAll("form[data-prefilled]")) {
    const fields = [...form.elements].filter((one) => one.name && !["hidden", "password", "file", "submit"].includes(one.type));
    for (const field of fields) there.searchParams.delete(field.name);
    for (const field of fields) {
      const chosen = !["checkbox", "radio"].includes(field.type) || field.checked;
      if (chosen && field.value) there.searchParams.append(field.name, field.value);
    }
  }
  return there.search.length > LONGEST ? asItWas : there.pathname + there.search;
};

document.addEventListener("submit", (event) => {
  const to = event.target.matches("[data-returns]") && event.target.elements.to;
  if (to) to.value = asTyped(to.value);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    // [data-copy] alone copies the code beside it; [data-copy="#id"] what is named
    const source = button.dataset.copy ? document.querySelector(button.dataset.copy) : button.parentElement.querySelector("code");
    await navigator.clipboard.writeText(source.textContent);
    copied(button);
    return;
  }
  const address = event.target.closest("[data-copy-address]");
  if (address && !event.ctrlKey && !event.metaKey && navigator.clipboard) {
    event.preventDefault();
    const here = location.origin + asTyped(address.href) + location.hash;
    await navigator.clipboard.writeText(here);
    copied(address);
    return;
  }
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// What was chosen before this script was there counts as chosen now.
const early = document.querySelector("[data-submit]");
if (early && isChanged(early)) early.form.requestSubmit();

// A part that looks again by itself takes nothing away from who is at it: what was chosen in it is chosen again, what was
// opened is open, and the focus is where it was. A field that has the focus is left alone: its list may be open.
const left = new WeakMap();
const markOf = (it) => [it.tagName, it.id, it.name, it.getAttribute("href") ?? it.form?.getAttribute("action"), it.matches("a, button, summary") ? it.textContent.trim() : it.ariaLabel].join(" ");
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const part = detail.target;
  const at = part.contains(document.activeElement) ? document.activeElement : null;
  if (at?.matches(FIELDS)) {
    detail.shouldSwap = false;
    return;
  }
  left.set(detail.xhr, {
    at: at && markOf(at),
    open: [...part.querySelectorAll("details[open] > summary")].map(markOf),
    chosen: [...part.querySelectorAll(FIELDS)].filter(isChanged).map((field) => [markOf(field), field.value, field.checked]),
  });
});
document.addEventListener("htmx:afterSwap", ({ target, detail }) => {
  const kept = left.get(detail.xhr);
  if (!kept) return;
  const find = (what, mark) => [...target.querySelectorAll(what)].find((one) => markOf(one) === mark);
  for (const mark of kept.open) find("details > summary", mark)?.parentElement.setAttribute("open", "");
  for (const [mark, value, checked] of kept.chosen) {
    const field = find(FIELDS, mark);
    if (field) [field.value, field.checked] = [value, checked];
  }
  const at = kept.at && !target.contains(document.activeElement) && find("a, button, summary, [tabindex]", kept.at);
  if (at) at.focus({ preventScroll: true });
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

// A row of places or tabs that is wider than the screen begins where one is.
for (const here of document.querySelectorAll(".places [aria-current], .tabs [aria-current]")) {
  const row = here.parentElement;
  if (row.scrollWidth > row.clientWidth) row.scrollLeft = here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
}

// What was waited for is there: go to it, once. A page that asked on meanwhile would begin a slow way anew each time.
document.addEventListener("htmx:load", ({ target }) => {
  // what looks ahead while a form is filled in missed what was typed before it was there
  if (target === document.body) {
    for (const form of document.querySelectorAll("form[data-prefilled]")) {
      if ([...form.querySelectorAll(FIELDS)].some(isChanged)) form.dispatchEvent(new Event("change"));
    }
  }
  const way = target === document.body ? null : target.querySelector("[data-go]");
  if (way) location.assign(way.href);
});
