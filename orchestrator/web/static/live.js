// Listens to what changed; says so in the bar when it cannot.

const SILENT_MS = 45000; // three heartbeats of the server
const status = document.getElementById("live");

/** Call `changed({ kinds, subjects })` for each batch of events after the one the page shows. A page that `rests` stops listening while it is hidden. */
export function listen(changed, { rests = true } = {}) {
  let last = status.dataset.after;
  let source = null;
  let alarm = null;

  const heard = (event) => {
    if (event.lastEventId) last = event.lastEventId;
    clearTimeout(alarm);
    alarm = setTimeout(() => open(), SILENT_MS); // a connection can die without a word
    say("on", "Live");
  };

  const open = () => {
    close();
    source = new EventSource(`/events?after=${encodeURIComponent(last)}`);
    source.addEventListener("open", heard);
    source.addEventListener("heartbeat", heard);
    source.addEventListener("change", (event) => {
      heard(event);
      changed(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      say("off", "No live updates. ", true);
      if (source.readyState === EventSource.CLOSED) alarm = setTimeout(open, 5000);
    });
  };

  const close = () => {
    clearTimeout(alarm);
    source?.close();
  };

  // a browser opens six connections to one server: hidden pages must not use them up
  if (rests) document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}

function say(state, words, link = false) {
  if (status.dataset.state === state) return;
  status.dataset.state = state;
  status.replaceChildren(words);
  if (!link) return;
  const reload = document.createElement("a");
  reload.href = location.href;
  reload.textContent = "Reload";
  status.append(reload);
}

/** Return this page as the server shows it now, or null when it does not answer. */
export async function fetchAgain() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null;
  }
}

/** Return a function that runs `work` soon, never twice at once, and once more when asked meanwhile. */
export function calmly(work, pauseMs) {
  let running = false;
  let asked = false;
  return async function ask() {
    asked = true;
    if (running) return;
    running = true;
    while (asked) {
      asked = false;
      await work();
      await new Promise((go) => setTimeout(go, pauseMs));
    }
    running = false;
  };
}
