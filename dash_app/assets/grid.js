/* Tables of AG Grid: `grid.show("sql", { columns, rows, key })` puts rows into the place that pages/grid.py has made. The scripts are
   loaded by the first page that shows one. A row is known by its `id`: rows that come anew replace what has changed, and what is
   chosen, sorted, filtered or scrolled to stays. Which columns are shown is kept in this browser.

   columns: [{ field, title, hint?, width?, flex?, isNumber?, hasFilter?, draw? }]; draw(row) gives what is in the cell, text or an element
   rows:    [{ id, ... }]
   key:     columns are set anew when it changes
   open:    called with the id of a row that is clicked, or that Enter is pressed on
   chosen:  id of the row that is open */
(function () {
  "use strict";
  const SCRIPT = "/_dash-component-suites/dash_ag_grid/dash_ag_grid.min.js";
  const ROWS_IN_VIEW = 14, ROW_PX = 30, HEAD_PX = 78;
  const tables = new Map(); /* place -> { name, api, key, shown, chosen, wanted } */
  let loading = null;

  const placeOf = (name) => document.querySelector(`[data-grid="${name}"]`);
  function loaded() {
    loading = loading || new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, { src: SCRIPT, onload: resolve, onerror: () => { loading = null; reject(new Error("the table's script was not served")); } });
      document.head.append(script);
    });
    return loading;
  }

  class Cell {
    init(params) { this.gui = document.createElement("span"); this.refresh(params); }
    getGui() { return this.gui; }
    refresh({ data, colDef }) { this.gui.replaceChildren(...[colDef.context.draw(data)].flat().filter((each) => each !== null && each !== undefined)); return true; }
  }
  /* What is not known stands last, whichever way. */
  function byNumber(one, other, _, __, isDescending) {
    if (one !== null && other !== null) return Number(one) - Number(other);
    return ((one === null) - (other === null)) * (isDescending ? -1 : 1);
  }
  function definition({ field, title, hint, width, flex, isNumber, hasFilter = true, draw }) {
    const own = draw ? { cellRenderer: Cell, context: { draw } } : {};
    return {
      field, headerName: title, headerTooltip: hint || undefined, width, flex, minWidth: flex ? width || 120 : undefined, sortable: true, resizable: true,
      filter: !hasFilter ? false : isNumber ? "agNumberColumnFilter" : "agTextColumnFilter", floatingFilter: hasFilter, suppressHeaderMenuButton: true, suppressFloatingFilterButton: true,
      cellClass: isNumber ? "number" : "", comparator: isNumber ? byNumber : undefined, tooltipField: draw ? undefined : field, valueFormatter: ({ value }) => (value === null || value === undefined ? "" : String(value)), ...own,
    };
  }

  async function show(name, wanted) {
    const place = placeOf(name);
    if (!place) return;
    place.hidden = false;
    place.lastChild.style.height = `${HEAD_PX + ROW_PX * Math.max(2, Math.min(ROWS_IN_VIEW, wanted.rows.length))}px`;
    place.setAttribute("aria-label", place.dataset.title);
    const held = tables.get(place);
    if (held) {
      held.wanted = wanted;
      if (held.api) put(held);
      return;
    }
    const table = { name, api: null, key: null, shown: null, chosen: null, wanted };
    tables.clear();
    tables.set(place, table);
    try {
      await loaded();
      table.api = await made(name);
      place.firstChild.replaceChildren(...bar(name, table));
      listen(table);
      put(table);
    } catch (error) {
      place.firstChild.replaceChildren(window.tidegate.make.element("p", "is-unknown", `The table can\u2019t be shown: ${error.message}. Load the page again.`));
    }
  }
  async function made(name) {
    const id = `grid-${name}-table`;
    const options = { rowHeight: ROW_PX, headerHeight: 32, floatingFiltersHeight: 34, animateRows: false, enableCellTextSelection: true, ensureDomOrder: true, suppressDragLeaveHidesColumns: true, localeText: { noRowsToShow: "None that fit." } };
    const props = { id, columnDefs: [], rowData: [], getRowId: "params.data.id", dashGridOptions: options, style: { height: "100%", width: "100%" } };
    window.dash_clientside.set_props(`grid-${name}`, { children: { type: "AgGrid", namespace: "dash_ag_grid", props } });
    return window.dash_ag_grid.getApiAsync(id);
  }
  function put(table) {
    const { api } = table, { columns, rows, key, chosen = null } = table.wanted, said = JSON.stringify([rows, chosen]);
    if (table.key !== key) {
      api.setGridOption("columnDefs", columns.map((each) => ({ ...definition(each), hide: hidden(table.name).includes(each.field) })));
      api.setGridOption("rowClassRules", { "is-chosen": ({ data }) => data.id === table.wanted.chosen });
      table.listColumns();
    }
    if (table.key !== key || table.shown !== said) {
      api.setGridOption("rowData", rows);
      if (table.chosen !== chosen) api.redrawRows();
    }
    Object.assign(table, { key, shown: said, chosen });
  }
  function listen(table) {
    const opens = ({ data }) => { if (data && table.wanted.open) table.wanted.open(data.id); };
    table.api.addEventListener("rowClicked", (event) => { if (!String(window.getSelection())) opens(event); });
    table.api.addEventListener("cellKeyDown", (event) => { if (event.event.key === "Enter") opens(event); });
  }

  /* Above a table: which columns are shown, and all of its rows as a file. */
  const kept = (name) => `tidegate-hidden-${name}`;
  function hidden(name) {
    try { return JSON.parse(localStorage.getItem(kept(name))) || []; } catch { return []; }
  }
  function bar(name, table) {
    const { element } = window.tidegate.make, columns = element("details", "grid-columns"), file = element("button", "copy", "As CSV"), list = element("div", "grid-list");
    columns.append(element("summary", "copy", "Columns"), list);
    file.type = "button";
    file.title = "The rows that are shown, as they are filtered and sorted";
    file.addEventListener("click", () => table.api.exportDataAsCsv({ fileName: `${name}.csv` }));
    table.listColumns = () => list.replaceChildren(...table.wanted.columns.map((each) => choice(name, table, each)));
    return [columns, file];
  }
  function choice(name, table, { field, title }) {
    const { element } = window.tidegate.make, label = element("label"), box = label.appendChild(element("input"));
    Object.assign(box, { type: "checkbox", checked: !hidden(name).includes(field) });
    label.append(` ${title}`);
    box.addEventListener("change", () => {
      localStorage.setItem(kept(name), JSON.stringify([...hidden(name).filter((each) => each !== field), ...(box.checked ? [] : [field])]));
      table.api.setColumnsVisible([field], box.checked);
    });
    return label;
  }
  function hide(name) {
    const place = placeOf(name);
    if (place) place.hidden = true;
  }
  /* How many rows are left by its filters; null: nothing is shown yet. */
  function count(name) {
    const table = tables.get(placeOf(name));
    return table && table.shown !== null ? table.api.getDisplayedRowCount() : null;
  }
  window.tidegate.grid = { show, hide, count };
})();
