// What every page has: ages that grow, copying, the list of keys, and keys that are letters.

document.documentElement.classList.add("script");

const dialog = document.getElementById("keys");

document.getElementById("show-keys").addEventListener("click", () => dialog.showModal());

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.submit();
});

const letters = new Map([["?", () => dialog.showModal()]]);

/** Call an action when its letter is pressed outside of fields; without Ctrl, Alt or Meta. */
export function onLetter(letter, action) {
  letters.set(letter, action);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || dialog.open || writes(event.target)) return;
  const action = letters.get(event.key);
  if (!action) return;
  event.preventDefault();
  action();
});

/** Whether keys belong to the element itself. */
export function writes(element) {
  return element.matches("textarea, select, input:not([type=range], [type=checkbox], [type=radio]), [contenteditable]");
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  } catch {
    button.previousElementSibling.textContent = button.dataset.copy; // the browser forbids it: show it to be selected
  }
}

/** Rewrite every age in the words of the server (wording.py). */
export function growAges() {
  for (const time of document.querySelectorAll("time[data-age]")) time.textContent = age(new Date(time.dateTime));
}

function age(since) {
  const minutes = Math.floor((Date.now() - since) / 60000);
  if (minutes < 1) return "under 1 min";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 7 ? `${days} d ${hours % 24} h` : `${days} d`;
}

setInterval(growAges, 20000);
