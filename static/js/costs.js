// The pages of costs: an own period when a day is chosen, and names for the fields that complete what is typed.
"use strict";

document.addEventListener("change", (event) => {
  const field = event.target.closest(".costs-form input[type=date]");
  if (field && field.form.elements.period) field.form.elements.period.value = "custom";
});

// The completing field points to its own, empty, text as its name; the label of the field is its name.
const nameCompletingFields = () => {
  document.querySelectorAll(".select2-container [aria-labelledby]").forEach((part) => {
    const select = part.closest(".select2-container").previousElementSibling;
    const name = select?.labels?.[0]?.textContent.replace("*", "").trim();
    if (!name) return;
    [part, ...part.querySelectorAll("[role=textbox]")].forEach((field) => {
      field.removeAttribute("aria-labelledby");
      field.setAttribute("aria-label", name);
    });
  });
};
document.addEventListener("DOMContentLoaded", () => {
  nameCompletingFields();
  new MutationObserver(nameCompletingFields).observe(document.body, { childList: true, subtree: true });
});
