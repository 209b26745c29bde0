// Tables that sort and can be searched (DataTables), and everything of them on paper.
import DataTable from "tables";

const FEW_ROWS = 12; // these need no search
const MANY_ROWS = 200; // these are shown in pages
const ROWS_PER_PAGE = 100;

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
dark.addEventListener("change", follow);
follow();

const paged = [];
for (const figure of document.querySelectorAll("figure.table")) {
  const rows = figure.querySelectorAll("tbody tr").length;
  const caption = figure.querySelector("figcaption").textContent;
  const few = rows <= FEW_ROWS;
  const table = new DataTable(figure.querySelector("table"), {
    autoWidth: false,
    order: [],
    paging: rows > MANY_ROWS,
    pageLength: ROWS_PER_PAGE,
    language: {
      search: "Search",
      info: "Rows: _TOTAL_",
      infoEmpty: "Rows: 0",
      infoFiltered: "of _MAX_",
      zeroRecords: "No row has this.",
      emptyTable: "No rows.",
    },
    layout: {
      topStart: null,
      topEnd: null,
      bottomStart: few ? null : "info",
      bottomEnd: rows > MANY_ROWS ? "paging" : null,
      top2Start: few ? null : "search",
    },
  });
  // Beside the part that scrolls, not in it.
  const scroll = figure.querySelector(".scroll");
  for (const part of figure.querySelectorAll(".dt-search")) scroll.before(part);
  for (const part of figure.querySelectorAll(".dt-info, .dt-paging")) scroll.after(part);
  figure.querySelector("input[type=search]")?.setAttribute("aria-label", `Search: ${caption}`);
  for (const choice of figure.querySelectorAll(".choice select")) {
    choice.addEventListener("change", () => {
      table.column(choice.dataset.column).search(choice.value, { exact: true }).draw();
    });
  }
  if (rows > MANY_ROWS) paged.push(table);
}

addEventListener("beforeprint", () => {
  paged.forEach((table) => table.page.len(-1).draw());
  document.querySelectorAll("details").forEach((part) => (part.open = true));
});
addEventListener("afterprint", () => paged.forEach((table) => table.page.len(ROWS_PER_PAGE).draw()));
