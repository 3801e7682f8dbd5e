// Keeps the worklist as the server orders it, without taking the reader's place away.

import { calmly, fetchAgain, listen } from "./live.js";
import { growAges, onLetter } from "./page.js";

const list = document.getElementById("worklist");
const announce = document.getElementById("announce");
const rows = () => [...list.children];

const ask = calmly(refresh, 1000);
listen(({ kinds, subjects }) => {
  // most events are about jobs that are no results yet
  const listed = new Set(rows().map((row) => row.dataset.key));
  if (kinds.some((kind) => kind === "review") || subjects.some((subject) => listed.has(subject))) ask();
}, { rests: false });

async function refresh() {
  const fresh = await fetchAgain();
  if (!fresh) return;
  const focused = document.activeElement?.closest(".row")?.dataset.key;
  const arrived = reconcile([...fresh.getElementById("worklist").children]);
  for (const id of ["filters", "beneath"]) replaceUnlessUsed(id, fresh);
  if (focused) rows().find((row) => row.dataset.key === focused)?.querySelector(".open").focus({ preventScroll: true });
  growAges();
  if (arrived.length) announce.textContent = tell(arrived);
}

/** Make the rows those of `wanted`, in its order; rows that look the same stay the same elements. */
function reconcile(wanted) {
  const known = new Map(rows().map((row) => [row.dataset.key, row]));
  const arrived = [];
  const shown = wanted.map((fresh) => {
    const old = known.get(fresh.dataset.key);
    if (!old) arrived.push(fresh);
    return old?.dataset.version === fresh.dataset.version ? old : document.adoptNode(fresh);
  });
  const kept = new Set(shown);
  for (const row of rows()) if (!kept.has(row)) row.remove();
  shown.forEach((row, place) => {
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  for (const row of arrived) row.classList.add("arrived");
  return arrived;
}

function replaceUnlessUsed(id, fresh) {
  const old = document.getElementById(id);
  if (!old.contains(document.activeElement)) old.replaceWith(document.adoptNode(fresh.getElementById(id)));
}

function tell(arrived) {
  if (arrived.length > 1) return `${arrived.length} new results`;
  const [row] = arrived;
  return `New result: ${row.querySelector(".open").textContent}. ${row.querySelector(".urgency").textContent}`;
}

function step(by) {
  const links = rows().map((row) => row.querySelector(".open"));
  const now = links.indexOf(document.activeElement);
  const next = now < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(now + by, 0), links.length - 1);
  links[next]?.focus();
}

onLetter("/", () => document.getElementById("urgency").focus());
onLetter("[", () => document.querySelector(".pages [rel=prev]")?.click());
onLetter("]", () => document.querySelector(".pages [rel=next]")?.click());
onLetter("j", () => step(1));
onLetter("k", () => step(-1));
