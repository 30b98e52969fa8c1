// Uploads by tus 1.0: in pieces with a checksum each, so that what breaks off goes on where it stopped, also after a
// reload of the page, and nothing is taken for right that was damaged on its way.
const PIECE = 8 * 1024 * 1024;
const AT_ONCE = 2;
const LONGEST_REST = 30_000;
const MOST_STUCK = 20;
const TUS = { "Tus-Resumable": "1.0.0" };

const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const inBase64 = (text) => base64(new TextEncoder().encode(text));
const rest = (milliseconds) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
});
const encoded = (path) => path.split("/").map(encodeURIComponent).join("/");

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// Answers at once for what the service refuses for good; what may pass by itself is tried again.
async function ask(address, options, say) {
  for (let failures = 0; ; failures += 1) {
    try {
      const answer = await fetch(address, { ...options, headers: { ...TUS, ...options.headers } });
      const passing = answer.status >= 500 || [423, 429].includes(answer.status);
      if (!passing || failures > 40) return answer;
    } catch (error) {
      if (failures > 200) throw error;
    }
    say();
    await rest(Math.min(LONGEST_REST, 500 * 2 ** Math.min(failures, 6)));
  }
}

async function refusal(answer) {
  const text = await answer.text();
  return new Refused(answer.status, text.trim().split("\n")[0].slice(0, 300));
}

class Upload {
  constructor(section, file, path) {
    this.section = section;
    this.file = file;
    this.path = path;
    this.address = `${section.dataset.upload}/${encoded(path)}`;
    this.key = `upload ${this.address} ${file.size} ${file.lastModified}`;
    this.line = document.createElement("li");
    const name = document.createElement("bdi");
    name.textContent = path;
    this.bar = document.createElement("progress");
    this.bar.max = Math.max(1, file.size);
    this.bar.value = 0;
    this.bar.setAttribute("aria-label", path);
    this.told = document.createElement("span");
    this.line.append(name, this.bar, this.told);
    this.say("waiting");
  }

  say(key, detail = "", kind = "") {
    const words = this.section.dataset[`say${key[0].toUpperCase()}${key.slice(1)}`] ?? key;
    this.told.textContent = detail ? `${words}: ${detail}` : words;
    this.told.className = kind;
  }

  shown(offset) {
    this.bar.value = this.file.size ? offset : 1;
    this.told.textContent = `${Math.floor((100 * offset) / Math.max(1, this.file.size))} %`;
    this.told.className = "";
  }

  async run(replace) {
    try {
      await this.send(replace);
      localStorage.removeItem(this.key);
      this.bar.value = this.bar.max;
      this.say("done", "", "good");
      return true;
    } catch (error) {
      localStorage.removeItem(this.key);
      this.say(error.status === 412 || error.status === 409 ? "exists" : "failed", error.status === 412 ? "" : error.message, "bad");
      return false;
    }
  }

  async send(replace) {
    const again = () => this.say("again");
    let address = localStorage.getItem(this.key);
    let offset = address ? await this.offset(address) : null;
    if (offset === null) {
      const metadata = `filename ${inBase64(this.path.split("/").pop())}`;
      const headers = { "Upload-Length": String(this.file.size), "Upload-Metadata": metadata };
      if (!replace) headers["If-None-Match"] = "*";
      const made = await ask(this.address, { method: "POST", headers }, again);
      if (made.status !== 201) throw await refusal(made);
      address = made.headers.get("Location").replace(/^[a-z]+:\/\/[^/]+/, "");
      offset = Number(made.headers.get("Upload-Offset"));
      localStorage.setItem(this.key, address);
    } else {
      this.say("resumed");
    }
    let stuck = 0;
    while (offset < this.file.size) {
      this.shown(offset);
      const next = await this.piece(address, offset);
      stuck = next > offset ? 0 : stuck + 1;
      // something on the way damages each piece: to send it again and again helps nobody
      if (stuck > MOST_STUCK) throw new Refused(460, "");
      if (stuck) await rest(Math.min(LONGEST_REST, 250 * 2 ** stuck));
      offset = next;
    }
  }

  async offset(address) {
    const answer = await ask(address, { method: "HEAD" }, () => this.say("again"));
    return answer.ok ? Number(answer.headers.get("Upload-Offset")) : null;
  }

  // Sends one piece and returns how far the upload has come; after a break the service says that.
  async piece(address, offset) {
    const body = await this.file.slice(offset, offset + PIECE).arrayBuffer();
    const headers = { ...TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) };
    if (crypto.subtle) headers["Upload-Checksum"] = `sha256 ${base64(await crypto.subtle.digest("SHA-256", body))}`;
    let answer = null;
    try {
      answer = await fetch(address, { method: "PATCH", headers, body });
      if (answer.status === 204) return Number(answer.headers.get("Upload-Offset"));
    } catch {
      this.say("again");
      await rest(500);
    }
    // 409: our count is wrong; 460: the piece was damaged on its way; 423: the broken one is still being let go
    if (answer && ![409, 423, 460].includes(answer.status) && answer.status < 500) throw await refusal(answer);
    const now = await this.offset(address);
    if (now === null) throw new Refused(404, "");
    return now;
  }
}

// All files of what was dropped, folders gone through, with their paths.
async function dropped(items) {
  const found = [];
  const walk = async (entry, above) => {
    const path = above ? `${above}/${entry.name}` : entry.name;
    if (entry.isFile) {
      found.push([await new Promise((resolve, reject) => entry.file(resolve, reject)), path]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const one of some) await walk(one, path);
    }
  };
  // all at once: after the first pause what was dropped is gone
  const taken = Array.from(items, (item) => [item.webkitGetAsEntry?.(), item.kind === "file" ? item.getAsFile() : null]);
  for (const [entry, file] of taken) {
    if (entry) await walk(entry, "");
    else if (file) found.push([file, file.name]);
  }
  return found;
}

for (const section of document.querySelectorAll("[data-upload]")) {
  const form = section.querySelector("form");
  const list = section.querySelector("[data-uploads]");
  const made = new Set();

  const folder = async (path) => {
    if (!path || made.has(path)) return;
    const body = new FormData();
    body.set("csrf", form.elements.csrf.value);
    body.set("action", "mkdir");
    body.set("tree", "1");
    body.set("name", path);
    await fetch(section.dataset.here, { method: "POST", body });
    made.add(path);
  };

  const take = async (files) => {
    const replace = form.elements.replace.checked;
    const waiting = files.map(([file, path]) => new Upload(section, file, path));
    list.replaceChildren(...waiting.map((upload) => upload.line));
    let good = true;
    const work = async () => {
      for (let upload = waiting.shift(); upload; upload = waiting.shift()) {
        await folder(upload.path.split("/").slice(0, -1).join("/"));
        good = (await upload.run(replace)) && good;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    section.dataset.state = good ? "done" : "failed";
    if (good && files.length) location.assign(location.pathname + location.search);
  };

  for (const input of form.querySelectorAll("input[type=file]")) {
    const chosen = () => {
      const files = Array.from(input.files, (file) => [file, file.webkitRelativePath || file.name]);
      input.value = "";
      take(files);
    };
    input.addEventListener("change", chosen);
    if (input.files.length) chosen(); // chosen before this script was there
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  section.addEventListener("dragover", (event) => {
    event.preventDefault();
    section.classList.add("over");
  });
  section.addEventListener("dragleave", () => section.classList.remove("over"));
  section.addEventListener("drop", async (event) => {
    event.preventDefault();
    section.classList.remove("over");
    take(await dropped(event.dataTransfer.items));
  });
}
