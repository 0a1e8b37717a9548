// A query as a picture of its steps: from its inputs on the left to its output on the right, with what is live at each.

import { bytes, element, number, rate } from "/page/words.js";

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, GAP_X, GAP_Y] = [176, 62, 34, 18];

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const short = (text, letters = 25) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

// How far each step is from the inputs; the output is behind all.
function layers(steps) {
  const depth = steps.map(() => 0);
  for (let round = 0; round < steps.length; round += 1) {
    let moved = false;
    steps.forEach((step, from) => step.to.forEach((to) => {
      if (to != null && depth[to] <= depth[from] && depth[from] < steps.length) { depth[to] = depth[from] + 1; moved = true; }
    }));
    if (!moved) break;
  }
  return depth;
}

export class Picture {
  constructor(sheet) {
    this.sheet = sheet;
    this.live = [];
    this.said = element("p", { class: "shown", "aria-live": "polite" }, "Choose a step to see what it does.");
    const nodes = sheet.steps.map((step) => ({ kind: step.kind, name: step.name, shown: step.shown }));
    const output = sheet.output;
    nodes.push({ kind: "write", name: output.table, shown: `write ${output.connector} ${output.table}`, end: true });
    const depth = layers(sheet.steps);
    depth.push(Math.max(0, ...depth) + 1);
    const rows = {};
    const places = depth.map((layer) => {
      rows[layer] = (rows[layer] ?? -1) + 1;
      return [4 + layer * (WIDTH + GAP_X), 4 + rows[layer] * (HEIGHT + GAP_Y)];
    });
    const width = Math.max(...places.map(([x]) => x)) + WIDTH + 4;
    const height = Math.max(...places.map(([, y]) => y)) + HEIGHT + 4;
    const lines = sheet.steps.flatMap((step, from) => step.to.map((to) => {
      const [[x, y], [u, v]] = [places[from], places[to ?? nodes.length - 1]];
      const [a, b, c, d] = [x + WIDTH, y + HEIGHT / 2, u, v + HEIGHT / 2];
      return svg("path", { d: `M${a} ${b}C${a + GAP_X / 2} ${b} ${c - GAP_X / 2} ${d} ${c} ${d}` });
    }));
    const boxes = nodes.map((node, place) => this.node(node, places[place]));
    this.box = element("div", {}, element("h3", {}, "Steps"),
      element("div", { class: "wide picture" }, svg("svg", {
        width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `The steps of ${sheet.query}`,
      }, ...lines, ...boxes)), this.said);
  }

  node(node, [x, y]) {
    const live = svg("text", { x: 10, y: 52, class: "live" });
    this.live.push(live);
    const group = svg("g", {
      transform: `translate(${x} ${y})`, tabindex: 0, role: "button", "aria-pressed": "false", "aria-label": node.shown,
      ...(node.end ? { class: "end" } : {}),
    }, svg("rect", { width: WIDTH, height: HEIGHT, rx: 7 }),
    svg("text", { x: 10, y: 18, class: "kind" }), svg("text", { x: 10, y: 35 }), live);
    group.children[1].textContent = node.kind;
    group.children[2].textContent = short(node.name);
    const choose = () => {
      group.parentNode.querySelectorAll("[aria-pressed=true]").forEach((other) => other.setAttribute("aria-pressed", "false"));
      group.setAttribute("aria-pressed", "true");
      this.said.textContent = node.shown;
    };
    group.addEventListener("click", choose);
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
    });
    return group;
  }

  show(board) {
    const inputs = this.sheet.steps.filter((step) => step.kind === "read").length;
    const state = new Map(board.state.map((of) => [of.step, of]));
    this.sheet.steps.forEach((step, place) => {
      const kept = state.get(step.name);
      let text = "";
      if (kept) text = `${number(kept.keys)} keys, ${bytes(kept.bytes)}`;
      else if (step.kind === "read") {
        const lags = board.partitions.filter((of) => of.input === step.name && of.lag != null);
        const lag = lags.reduce((sum, of) => sum + of.lag, 0);
        const words = inputs === 1 ? [rate(board.rates.recordsIn)] : [];
        if (lags.length) words.push(`lag ${number(lag)}`);
        text = words.join(", ");
      }
      this.live[place].textContent = short(text, 27);
    });
    this.live.at(-1).textContent = rate(board.rates.recordsOut);
  }
}
