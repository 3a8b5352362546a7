// The pages of costs: an own period when a day is chosen.
"use strict";

document.addEventListener("change", (event) => {
  const field = event.target.closest(".costs-form input[type=date]");
  if (field && field.form.elements.period) field.form.elements.period.value = "custom";
});
