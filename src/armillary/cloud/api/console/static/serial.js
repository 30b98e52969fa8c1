// A machine's serial line in a terminal. The page's address holds the ticket.
import { Terminal } from "./xterm/xterm.mjs";
import { FitAddon } from "./xterm/addon-fit.mjs";

const state = document.getElementById("state");
const token = new URLSearchParams(location.search).get("token") ?? "";
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const terminal = new Terminal({ cursorBlink: true, scrollback: 5000 });
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(document.getElementById("screen"));
fit.fit();
addEventListener("resize", () => fit.fit());

const line = new WebSocket(
  new URL(`serial?token=${encodeURIComponent(token)}`, `${scheme}//${location.host}${location.pathname}`),
  ["binary"],
);
line.binaryType = "arraybuffer";
line.addEventListener("open", () => {
  state.textContent = "Connected. Press Enter if nothing shows.";
  terminal.focus();
});
line.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
line.addEventListener("close", () => {
  state.textContent = "Disconnected: the machine has ended, somebody else took the line, or this address has ended.";
});
const encoder = new TextEncoder();
terminal.onData((text) => {
  if (line.readyState === WebSocket.OPEN) line.send(encoder.encode(text));
});
