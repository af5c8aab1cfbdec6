// The page is whole without this: it only adds a filter for the events and buttons that open and close all folded parts.
"use strict";
const box = document.getElementById("filter");
const rows = Array.from(document.querySelectorAll("#event-rows tr"));
const count = document.getElementById("filter-count");
if (box && rows.length) {
  document.getElementById("filter-line").hidden = false;
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${rows.length}` : "";
  });
}
for (const button of document.querySelectorAll("button[data-fold]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const parts = Array.from(document.getElementById(button.dataset.fold).querySelectorAll("details"));
    const open = parts.some((part) => !part.open);
    for (const part of parts) part.open = open;
  });
}
