// Tables sort by the column whose head is pressed; what has no value stays last. Without scripts they are plain tables.
"use strict";
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const falls = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      sort(table.tBodies[0], column, head.classList.contains("number"), falls);
    });
  });
}
function sort(body, column, numeric, falls) {
  const rows = [...body.rows].map((row) => {
    const text = row.cells[column].dataset.value ?? row.cells[column].textContent;
    return { row, text, value: numeric ? parseFloat(text) : text, missing: text === "" };
  });
  rows.sort((a, b) => {
    if (a.missing || b.missing) return a.missing - b.missing;
    const order = numeric ? (a.value > b.value) - (a.value < b.value) : a.text.localeCompare(b.text, "en", { numeric: true });
    return falls ? -order : order;
  });
  body.append(...rows.map((each) => each.row));
}
