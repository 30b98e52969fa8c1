// A machine's screen: noVNC over a WebSocket to the place that the page's address names.
import RFB from "./novnc/core/rfb.js";

const state = document.getElementById("state");
const button = document.getElementById("secure-attention");
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
// only ever to where this page came from, whatever the address says
const path = (new URLSearchParams(location.search).get("path") ?? "").replace(/^\/+/, "");
const rfb = new RFB(document.getElementById("screen"), `${scheme}//${location.host}/${path}`, {
  wsProtocols: ["binary"],
});
rfb.scaleViewport = true;
rfb.background = "rgb(24 24 27)";

rfb.addEventListener("connect", () => {
  state.textContent = "Connected";
  button.disabled = false;
  rfb.focus();
});
rfb.addEventListener("desktopname", (event) => {
  document.title = event.detail.name;
});
rfb.addEventListener("disconnect", (event) => {
  state.textContent = event.detail.clean
    ? "Disconnected: the machine has ended."
    : "Disconnected. This address may have ended: ask for a new one.";
  button.disabled = true;
});
button.addEventListener("click", () => {
  rfb.sendCtrlAltDel();
  rfb.focus();
});
