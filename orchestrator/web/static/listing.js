// Keeps a list of jobs or series as the server shows it; what was opened stays open and the focus stays where it was.

import { calmly, fetchAgain, listen } from "./live.js";
import { growAges, writes } from "./page.js";

const PLACES = ["#listing", "#filters", "header.title"];

listen(calmly(refresh, 2000));

async function refresh() {
  const fresh = await fetchAgain();
  if (!fresh) return;
  const opened = [...document.querySelectorAll("details[id]")].map((each) => [each.id, each.open]);
  const focused = document.activeElement;
  for (const place of PLACES) {
    const old = document.querySelector(place);
    const now = fresh.querySelector(place);
    if (!old || !now || (writes(focused) && old.contains(focused))) continue;
    old.replaceWith(document.adoptNode(now));
  }
  for (const [id, open] of opened) document.getElementById(id)?.toggleAttribute("open", open);
  if (!focused.isConnected) alike(focused)?.focus({ preventScroll: true });
  growAges();
}

/** Return the element of the new page that stands for one of the old page. */
function alike(old) {
  const named = [old.getAttribute("href") && `a[href="${CSS.escape(old.getAttribute("href"))}"]`, old.dataset.copy && `[data-copy="${old.dataset.copy}"]`];
  const selector = named.find(Boolean) ?? (old.matches("summary") ? `#${CSS.escape(old.parentElement.id)} > summary` : null);
  return selector && document.querySelector(selector);
}
