// Keeps a list of jobs or series as the server shows it.

import { calmly, fetchAgain, listen } from "./live.js";
import { growAges } from "./page.js";

const refresh = calmly(async () => {
  const fresh = await fetchAgain();
  if (!fresh) return;
  for (const place of ["#listing", "#filters", "header.title"]) {
    const old = document.querySelector(place);
    // what is being read or filled in stays as it is
    if (old && !old.contains(document.activeElement) && !old.querySelector("details[open]")) {
      old.replaceWith(document.adoptNode(fresh.querySelector(place)));
    }
  }
  growAges();
}, 2000);

listen(refresh);
