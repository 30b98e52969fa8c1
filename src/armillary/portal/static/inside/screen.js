// A screen over a WebSocket: noVNC, with a ticket for each connection.
import RFB from "/static/terminals/novnc/core/rfb.js";
import { closed, onAgain, say, ticket } from "./door.js";

const place = document.getElementById("window");
const attention = document.getElementById("secure-attention");
let rfb = null;

const connect = async () => {
  const address = await ticket();
  if (!address) return;
  // noVNC tells of a clean end or not; the code and the reason are the socket's own
  const socket = new WebSocket(address, ["binary"]);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("close", (event) => {
    attention.disabled = true;
    closed(event.code, event.reason);
  });
  rfb = new RFB(place, socket);
  rfb.scaleViewport = true;
  rfb.resizeSession = place.classList.contains("desktop");
  rfb.background = "rgb(24 24 27)";
  rfb.addEventListener("connect", () => {
    say("open");
    attention.disabled = false;
    rfb.focus();
  });
};
attention.addEventListener("click", () => {
  rfb?.sendCtrlAltDel();
  rfb?.focus();
});
onAgain(connect);
connect();
