// Numbers and names as people read them, and elements whose text is only ever text.

export const $ = (id) => document.getElementById(id);

// An element with attributes and children. A string becomes a text node, so that nothing a record or a name holds is markup.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export function number(value, digits = 0) {
  if (value == null) return "–";
  return value.toLocaleString("en-US", { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

export const rate = (value) => (value == null ? "–" : `${number(value, value < 10 ? 1 : 0)}/s`);

export function bytes(value) {
  if (value == null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${number(value, unit ? 1 : 0)} ${units[unit]}`;
}

export function micros(value) {
  if (value == null) return "–";
  if (value < 1000) return `${number(value)} µs`;
  if (value < 1e6) return `${number(value / 1e3, 2)} ms`;
  return `${number(value / 1e6, 2)} s`;
}

export function seconds(value) {
  if (value == null) return "–";
  if (value < 120) return `${value} s`;
  if (value < 7200) return `${Math.floor(value / 60)} min`;
  if (value < 172800) return `${Math.floor(value / 3600)} h`;
  return `${Math.floor(value / 86400)} days`;
}

// A table; a column is [title, cell of a row, whether it is a number].
export function table(columns, rows, empty) {
  if (!rows.length) return element("p", { class: "faint" }, empty);
  const head = columns.map(([title, , isNumber]) => element("th", { scope: "col", class: isNumber ? "n" : "" }, title));
  const lines = rows.map((row) => element("tr", {}, ...columns.map(([, cell, isNumber]) =>
    element("td", { class: isNumber ? "n" : "" }, cell(row)))));
  return element("div", { class: "wide" },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines)));
}

const STAGES = {
  received: "timestamp to taken", decode: "decoding", steps: "steps", write: "encoding", processed: "taken to written",
  acknowledged: "written to acknowledged", total: "taken to acknowledged",
};
export const stageName = (stage) => STAGES[stage] ?? stage;

const PARTS = {
  before: "before it was taken", decode: "decoding", write: "encoding", steps: "the steps", deliver: "delivery",
};
export const partName = (part) => (part.stage === "step" ? `the step ${part.step}` : PARTS[part.stage] ?? part.stage);

const DOINGS = {
  cut: "the cut of an epoch", saving: "state was written", epoch: "an epoch was open", merging: "state was merged",
  sinkFull: "the output was full", fetchGap: "nothing came from the input", emitting: "results were emitted",
  housekeeping: "old state was removed", away: "a broker or the checkpoints did not answer", restart: "between two runs",
  warmUp: "state was built from older records", tables: "joined tables were read", newPartition: "a partition was opened",
  paused: "paused by hand", rebalance: "the partition moved here from another process", modelLoad: "a model was loaded", tableLoad: "a static table was read",
};
export const doingName = (doing) => DOINGS[doing] ?? doing;
