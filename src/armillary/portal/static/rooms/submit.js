// Tells what a submit would do while its form is filled in: names and sizes of the chosen files go along, not their bytes.
const form = document.querySelector("[data-submit-form]");
const look = form.querySelector("[data-look]");
const files = form.querySelector("[data-files]");
const table = form.querySelector("[data-table]");
let due = 0;

function later() {
  clearTimeout(due);
  due = setTimeout(() => {
    const filled = form.elements.way.value === "form" ? form.elements.executable.value : form.elements.submit_text.value;
    if (filled.trim() && !form.elements.submit_file?.files.length) look.dispatchEvent(new Event("look"));
  }, 700);
}

function tellFiles() {
  form.elements.chosen.value = JSON.stringify(Object.fromEntries([...files.files].map((file) => [file.name, file.size])));
  const program = form.elements.executable;
  if (program && !program.value && files.files.length === 1) program.value = files.files[0].name;
}

files.addEventListener("change", tellFiles);
const fillRows = async () => {
  if (table?.files.length) form.elements.rows.value = await table.files[0].text();
};
table?.addEventListener("change", fillRows);
form.addEventListener("input", later);
form.addEventListener("change", later);
tellFiles(); // of files that were chosen before this script was there; the browser may have kept the names alone
if (!form.elements.rows?.value) fillRows();
later();
