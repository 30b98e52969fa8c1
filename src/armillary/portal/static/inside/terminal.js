// A terminal over a WebSocket: keys and output as bytes, the window's size as JSON.
import { Terminal } from "/static/terminals/xterm/xterm.mjs";
import { FitAddon } from "/static/terminals/xterm/addon-fit.mjs";
import { closed, onAgain, say, ticket } from "./door.js";

const PIECE = 32768;
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();
const terminal = new Terminal({
  cursorBlink: true,
  scrollback: 5000,
  fontFamily: colour("--mono"),
  screenReaderMode: true,
  theme: { background: colour("--code"), foreground: colour("--code-ink") },
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(document.getElementById("window"));
fit.fit();

let line = null;
const encoder = new TextEncoder();
const sizeTold = () => {
  if (line?.readyState === WebSocket.OPEN) line.send(JSON.stringify({ rows: terminal.rows, cols: terminal.cols }));
};
const typed = (bytes) => {
  for (let at = 0; at < bytes.length && line?.readyState === WebSocket.OPEN; at += PIECE) line.send(bytes.subarray(at, at + PIECE));
};
terminal.onData((text) => typed(encoder.encode(text)));
terminal.onBinary((text) => typed(Uint8Array.from(text, (char) => char.charCodeAt(0))));
terminal.onResize(sizeTold);
addEventListener("resize", () => fit.fit());

const connect = async () => {
  const address = await ticket();
  if (!address) return;
  line = new WebSocket(address);
  line.binaryType = "arraybuffer";
  line.addEventListener("open", () => {
    say("open");
    fit.fit();
    sizeTold();
    terminal.focus();
  });
  line.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
  line.addEventListener("close", (event) => closed(event.code, event.reason));
};
onAgain(connect);
connect();
