// Gets a one-time ticket from the form on the page, opens the WebSocket that takes it, and says how it stands.
const state = document.getElementById("state");
const again = document.getElementById("again");
const serial = document.getElementById("serial-instead");
const WITHOUT_SSH = ["ssh_unreachable", "ssh_refused", "host_key_changed", "no_ssh_address"];

export const say = (name, otherwise = "closed") => {
  state.textContent = state.dataset[name] ?? state.dataset[otherwise] ?? "";
};

// Resolves to the WebSocket's address; without one it has said why.
export const ticket = async () => {
  again.hidden = true;
  say("opening");
  const form = document.getElementById("ticket");
  const reply = await fetch(form.action, { method: "POST", body: new FormData(form) }).catch(() => null);
  if (reply?.status === 201) {
    const { socket } = await reply.json();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    return `${scheme}//${location.host}${socket}`;
  }
  const told = reply?.headers.get("content-type")?.startsWith("application/json") ? await reply.json() : null;
  if (told) state.textContent = `${told.message} ${told.remedy}`;
  else say(reply ? "4401" : "1012");
  again.hidden = false;
  return null;
};

export const closed = (code, reason) => {
  say(reason in state.dataset ? reason : String(code));
  again.hidden = false;
  serial.hidden = !WITHOUT_SSH.includes(reason);
  again.focus();
};

export const onAgain = (act) => again.addEventListener("click", act);
