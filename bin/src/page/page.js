// The page: one section for each query, models, settings; renewed each second from /api/v1/events.

import { ask, askToken, follow } from "/page/access.js";
import { charts, redraw } from "/page/charts.js";
import { Picture } from "/page/picture.js";
import { $, bytes, doingName, element, micros, number, partName, rate, seconds, stageName, table } from "/page/words.js";

const queries = new Map();

// Replaces what is in a place, unless it would be the same: a selection stays, and readers of screens are not disturbed.
function put(place, known, make) {
  const now = JSON.stringify(known);
  if (place.dataset.known === now) return;
  place.dataset.known = now;
  place.replaceChildren(...[make()].flat());
}

function numbers(...pairs) {
  return element("dl", { class: "numbers" }, ...pairs.map(([name, value, kind]) =>
    element("div", {}, element("dt", {}, name), element("dd", { class: kind ?? "" }, value))));
}

async function press(button, said, doing) {
  button.disabled = true;
  said.textContent = "";
  try { said.textContent = (await doing()) ?? ""; } catch (error) { said.textContent = error.message; }
  button.disabled = false;
}

class QuerySection {
  constructor(sheet) {
    this.sheet = sheet;
    this.picture = new Picture(sheet);
    this.charts = charts();
    this.badge = element("span", { class: "badge", role: "status" });
    this.since = element("span", { class: "faint" });
    this.said = element("output");
    this.button = element("button", { type: "button", class: "main" }, "Pause");
    this.button.addEventListener("click", () => press(this.button, this.said, async () => {
      const way = this.paused ? "resume" : "pause";
      await ask(`/api/v1/queries/${encodeURIComponent(sheet.query)}/${way}`, { method: "POST" });
    }));
    const place = () => element("div");
    [this.why, this.numbers, this.latency, this.partitions, this.epochs, this.state, this.slow] = Array.from({ length: 7 }, place);
    const title = element("h2", { id: `query-${sheet.query}` }, sheet.query);
    this.box = element("section", { "aria-labelledby": title.id, id: `section-${sheet.query}` },
      element("div", { class: "head" }, title, this.badge, this.since, this.button, this.said),
      this.why, this.numbers, this.picture.box,
      element("div", { class: "columns" }, this.charts.rates.box, this.charts.latency.box, this.charts.lag.box,
        element("div", {}, element("h3", {}, "Latency by stage, last second"), this.latency)),
      element("h3", {}, "Slowest records of the last ten minutes"), this.slow,
      element("div", { class: "columns" },
        element("div", {}, element("h3", {}, "Partitions, as of the newest epoch"), this.partitions),
        element("div", {}, element("h3", {}, "Epochs"), this.epochs, element("h3", {}, "State"), this.state)));
  }

  past(at, past) {
    this.charts.rates.add(at, [past.in, past.out]);
    this.charts.latency.add(at, past.latency ?? [null, null, null]);
    this.charts.lag.add(at, [past.lag]);
  }

  show(at, board, slow, drawn) {
    this.paused = board.paused;
    this.button.textContent = board.paused ? "Resume" : "Pause";
    const kind = board.phase === "failed" ? "bad" : board.ready ? "good" : "warn";
    this.badge.className = `badge ${kind}`;
    if (this.badge.textContent !== board.phase) this.badge.textContent = board.phase;
    this.since.textContent = `for ${seconds(board.seconds)}`;
    put(this.why, [board.why, kind], () => (board.why ? [element("p", { class: `why ${kind}` }, board.why)] : []));
    this.picture.show(board);
    const counts = board.counts;
    const failed = counts.failedDecode + counts.failedExpression + counts.failedWrite;
    put(this.numbers, [board.rates, counts, board.lag, board.lagElsewhere], () => numbers(
      ["in", rate(board.rates.recordsIn)], ["out", rate(board.rates.recordsOut)],
      ["read", `${bytes(board.rates.bytesIn)}/s`], ["lag", number(board.lag)],
      ...(board.lagElsewhere == null ? [] : [["lag elsewhere", number(board.lagElsewhere)]]),
      ["records in", number(counts.recordsIn)], ["rows out", number(counts.recordsOut)],
      ["failed", number(failed), failed ? "warn" : ""],
      ["dead letters", number(counts.deadLetters), counts.deadLetters ? "warn" : ""],
      ["too late", number(counts.late), counts.late ? "warn" : ""], ["skipped", number(counts.skipped)],
      ["new runs", number(counts.restarts), counts.restarts ? "warn" : ""]));
    const total = board.latency.find((stage) => stage.stage === "total");
    this.past(at, { in: board.rates.recordsIn, out: board.rates.recordsOut, latency: total?.micros, lag: board.lag });
    this.charts.lag.box.hidden = board.lag == null;
    if (drawn) Object.values(this.charts).forEach((chart) => chart.show());
    put(this.latency, board.latency, () => table([
      ["stage", (of) => stageName(of.stage)], ["records", (of) => number(of.count), true],
      ...["p50", "p99", "p99.9"].map((name, place) => [name, (of) => micros(of.micros?.[place]), true]),
    ], board.latency, "Nothing measured."));
    const owners = board.partitions.some((of) => of.owner);
    put(this.partitions, board.partitions, () => [table([
      ["partition", (of) => of.partition], ["position", (of) => String(of.position ?? "–"), true],
      ["lag", (of) => number(of.lag), true], ...(owners ? [["read by", (of) => of.owner ?? "nobody"]] : []),
      ["watermark", (of) => (of.ended ? "ended" : of.watermark ?? "–")],
    ], board.partitions, "None yet."),
    ...(board.partitionsLeftOut ? [element("p", { class: "faint" }, `and ${number(board.partitionsLeftOut)} more`)] : [])]);
    const epochs = board.epochs;
    put(this.epochs, epochs, () => numbers(
      ["newest", number(epochs.newest)], ["committed", epochs.ageSeconds == null ? "–" : `${seconds(epochs.ageSeconds)} ago`],
      ["open", number(epochs.open)], ["not begun", number(epochs.refused), epochs.refused ? "warn" : ""],
      ["checkpoint", bytes(epochs.checkpointBytes)], ["to commit, p99", micros(epochs.duration.micros?.[1])],
      ["cut, p99", micros(epochs.cut.micros?.[1])]));
    put(this.state, board.state, () => table([
      ["step", (of) => of.step], ["keys", (of) => number(of.keys), true], ["memory", (of) => bytes(of.bytes), true],
    ], board.state, "No step keeps anything."));
    put(this.slow, slow, () => table([
      ["took", (of) => micros(of.micros), true], ["where", (of) => `${of.partition} at ${of.position ?? "?"}`],
      ["delivered", (of) => of.deliveredAt.slice(11, 23), true],
      ["most of it", (of) => (of.most ? `${partName(of.most)}: ${micros(of.most.micros)}` : "–")],
      ["meanwhile", (of) => of.meanwhile.map((doing) => `${doingName(doing.doing)} ${micros(doing.micros)}`).join(", ") || "–"],
      ["alike", (of) => number(of.alike), true],
    ], slow, "No record was delivered."));
  }
}

const models = new Map();

class ModelBox {
  constructor(name) {
    this.name = name;
    this.shown = element("div");
    this.said = element("output", { "aria-live": "polite" });
    const path = `/api/v1/models/${encodeURIComponent(name)}`;
    const version = (body) => `version ${body.active.version} is in force${body.committed ? "" : ", not yet in a checkpoint"}`;
    const file = element("input", { type: "file", id: `file-${name}`, accept: ".onnx" });
    const swap = element("button", { type: "submit" }, "Swap");
    const back = element("button", { type: "button" }, "Roll back");
    const form = element("form", {}, element("label", { for: file.id }, "Another version"), file, swap, back, this.said);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      press(swap, this.said, async () => {
        const chosen = file.files[0];
        if (!chosen) return "choose a file first";
        const named = encodeURIComponent(chosen.name.replace(/\.onnx$/, ""));
        const headers = { "Content-Type": "application/octet-stream" };
        return version(await (await ask(`${path}?version=${named}`, { method: "POST", headers, body: chosen })).json());
      });
    });
    back.addEventListener("click", () => press(back, this.said, async () =>
      version(await (await ask(`${path}/rollback`, { method: "POST" })).json())));
    this.box = element("div", {}, element("h3", {}, name), this.shown, form);
  }

  show(model) {
    put(this.shown, model, () => [numbers(
      ["version", model.active?.version ?? "none"], ["before it", model.previous?.version ?? "none"],
      ["scored", number(model.scored)], ["errors", number(model.errors), model.errors ? "warn" : ""],
      ["fallbacks", number(model.late + model.failed)], ["score, p99", micros(model.p99_micros)],
      ...(model.canary ? [["canary", model.canary.tag?.version ?? "none"]] : []),
      ...(model.shadow ? [["shadow", model.shadow.tag?.version ?? "none"]] : [])),
    ...(model.fault ? [element("p", { class: "why" }, model.fault)] : [])]);
  }
}

function settings(sheet) {
  const options = (of) => Object.entries(of.options).map(([name, value]) => `${name} = ${value}`).join("; ");
  $("settings").replaceChildren(...sheet.queries.map((query) => element("details", {},
    element("summary", {}, query.query),
    table([["setting", (of) => of.name], ["value", (of) => of.value], ["from", (of) => of.from]], query.settings, "None."),
    table([["table", (of) => of.table], ["connector", (of) => of.connector], ["options", options]],
      [...query.inputs, query.output, ...(query.deadLetters ? [query.deadLetters] : [])], "None."))));
}

async function logLevel() {
  try {
    $("log-level").value = (await (await ask("/api/v1/log")).json()).levels;
  } catch (error) {
    $("log-said").textContent = error.message;
  }
  $("log").addEventListener("submit", (event) => {
    event.preventDefault();
    press(event.submitter ?? $("log").querySelector("button"), $("log-said"), async () => {
      const body = JSON.stringify({ level: $("log-level").value });
      await ask("/api/v1/log", { method: "PUT", headers: { "Content-Type": "application/json" }, body });
      return "changed until the job ends";
    });
  });
}

function heard(name, data) {
  if (name === "history") {
    data.forEach((moment) => [...queries.values()].forEach((section, place) => {
      if (moment.queries[place] && !section.seen) section.past(moment.at, moment.queries[place]);
    }));
    return;
  }
  $("about").textContent = [data.member && `member ${data.member}`, `up ${seconds(data.uptimeSeconds)}`].filter(Boolean).join(", ");
  for (const board of data.queries) {
    const slow = data.slow.queries.find((of) => of.query === board.query)?.slowest ?? [];
    const section = queries.get(board.query);
    if (section) section.seen = true;
    section?.show(data.at, board, slow, !document.hidden);
  }
  for (const model of data.models) {
    if (!models.has(model.model)) {
      const box = new ModelBox(model.model);
      models.set(model.model, box);
      $("models-list").append(box.box);
      $("models").hidden = false;
    }
    models.get(model.model).show(model);
  }
  document.documentElement.dataset.shown = data.at;
}

function themed() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const dark = (localStorage.getItem("thalweg-theme") ?? (system.matches ? "dark" : "light")) === "dark";
    document.documentElement.classList.toggle("dark", dark);
    $("theme").setAttribute("aria-pressed", String(dark));
    redraw();
  };
  $("theme").addEventListener("click", () => {
    localStorage.setItem("thalweg-theme", document.documentElement.classList.contains("dark") ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

async function begin() {
  themed();
  $("token-button").addEventListener("click", () => askToken());
  let resized;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(redraw, 150); });
  // Asked for in the same moment as the settings: the newest of each kind that comes before them waits for the sections.
  let early = new Map();
  follow("/api/v1/events", (name, data) => (early ? early.set(name, data) : heard(name, data)),
    (why) => { $("connection").textContent = why ? `not connected: ${why}` : "live"; });
  for (;;) {
    try {
      const sheet = await (await ask("/api/v1/settings")).json();
      $("job").textContent = sheet.job;
      document.title = `${sheet.job} – Thalweg`;
      for (const query of sheet.queries) {
        const section = new QuerySection(query);
        queries.set(query.query, section);
        $("queries").append(section.box);
        $("names").append(element("a", { href: `#section-${query.query}` }, query.query));
      }
      settings(sheet);
      break;
    } catch (error) {
      $("connection").textContent = error.message;
      await new Promise((done) => setTimeout(done, 3000));
    }
  }
  for (const [name, data] of early) heard(name, data);
  early = null;
  logLevel();
}

begin();
