// Sorts a table by the column whose header is clicked: numbers as numbers, then the other way round.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const header = button.closest("th");
    const table = header.closest("table");
    const column = [...header.parentNode.children].indexOf(header);
    const isNumber = header.classList.contains("number");
    const order = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", order);
    const key = row => {
      const text = row.cells[column].textContent.trim();
      if (!isNumber) return text;
      const units = { d: 86400, h: 3600, m: 60, s: 1 };
      const parts = [...text.matchAll(/([\d.]+)([dhms])/g)];
      if (parts.length) return parts.reduce((sum, [, n, unit]) => sum + n * units[unit], 0);
      const number = parseFloat(text.replaceAll(",", ""));
      return Number.isNaN(number) ? -Infinity : number;
    };
    const body = table.tBodies[0];
    const rows = [...body.rows].map(row => [key(row), row]);
    rows.sort(([a], [b]) => isNumber ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    if (order === "descending") rows.reverse();
    body.append(...rows.map(([, row]) => row));
  });
}
