// One result: says when it changed elsewhere, and the keys of the verdict.

import { listen } from "./live.js";
import { onLetter } from "./page.js";
import "./viewer.js";

const result = document.getElementById("result");
const form = document.getElementById("verdict-form");
const fault = document.getElementById("verdict-fault");

listen(({ subjects }) => {
  if (subjects.includes(result.dataset.key)) document.getElementById("changed").hidden = false;
});

onLetter("j", () => document.getElementById("following").click());
onLetter("w", () => document.getElementById("back").click());

const correct = document.getElementById("correct");

if (form) {
  onLetter("a", () => document.getElementById("accept")?.focus());
  onLetter("r", () => form.querySelector("[name=reason]")?.focus());
  if (correct) onLetter("c", openCorrection);
  form.addEventListener("submit", check);
  form.addEventListener("change", () => (fault.textContent = ""));
}

function check(event) {
  const rejects = event.submitter?.value === "rejected";
  if (rejects && !form.querySelector("[name=reason]:checked")) {
    event.preventDefault();
    fault.textContent = "Please choose why the result is rejected.";
    form.querySelector("[name=reason]").focus();
    return;
  }
  const typed = [...form.querySelectorAll("[name=after]")].filter((each) => each.value.trim());
  const keep = event.submitter?.value === "corrected";
  if (keep ? !typed.length && !("confirms" in event.submitter.dataset) : typed.length) {
    event.preventDefault();
    openCorrection(typed[0]);
    fault.textContent = keep
      ? "You changed no value. To agree with the model, accept the result."
      : "You entered new values. Save them as a correction, or clear the fields.";
    return;
  }
  if (form.dataset.sent) event.preventDefault(); // a double click gives one verdict
  form.dataset.sent = "yes";
}

function openCorrection(field) {
  correct.open = true;
  (field ?? form.querySelector("[name=after]") ?? document.getElementById("keep")).focus();
}
