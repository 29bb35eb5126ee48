// Asks the server for what is new, and shows it.

import { byId, compact, countRows, duration, element, figure, keyed, setShown, setText, sum, termRows, whole } from "./parts.js";
import { Plot } from "./plots.js";

const POINTS = 300;
const TABLE_ROWS = 20;
const PATIENCE = 8000; // milliseconds for an answer
const SLOWEST = 8000; // milliseconds between two tries while the server does not answer

const pools = new Map(); // number → the latest of each pool, its points, what was said of it
let run = null;
let sample = -1;
let interval = 1000;
let paused = false;
let asking = false;
let failures = 0;
let timer = 0;
let opener = null; // what had the focus before a key was opened
let opened = null; // { pool, id or text, data, times, values }

// ---------------------------------------------------------------- asking

async function ask(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw Object.assign(new Error(await response.text()), { status: response.status });
  return response.json();
}

async function poll() {
  clearTimeout(timer);
  if (paused || asking || document.hidden) return;
  asking = true;
  try {
    take(await ask(`api/state?after=${sample}`));
    await askForKey();
    failures = 0;
    say("live");
  } catch (error) {
    failures += 1;
    say("lost");
  } finally {
    asking = false;
  }
  if (paused) say("paused");
  show();
  const wait = failures ? Math.min(SLOWEST, interval * 2 ** failures) : interval;
  timer = setTimeout(poll, wait);
}

function take(state) {
  if (state.run !== run) {
    pools.clear();
    run = state.run;
    close(false);
  }
  interval = Math.max(100, state.interval * 1000);
  sample = state.sample;
  for (const pool of state.pools) {
    const before = pools.get(pool.id);
    const points = before?.points ?? [];
    const last = points.at(-1)?.n ?? -1;
    points.push(...pool.points.filter((point) => point.n > last));
    points.splice(0, points.length - POINTS);
    const rates = points.map((point, place) => rate(points[place - 1], point));
    pools.set(pool.id, { ...pool, points, rates });
    if (before) tell(before, pool);
  }
}

function rate(before, point) {
  if (!before || before.handled == null || point.handled == null) return null;
  return Math.max(0, point.handled - before.handled) / Math.max(0.001, point.t - before.t);
}

// ---------------------------------------------------------------- what is said aloud

function tell(before, pool) {
  if (pool.state !== before.state) announce(`${pool.name}: ${pool.state}`);
  else if (pool.stuck.length > before.stuck.length) announce(`${pool.name}: ${stuckTitle(pool)}`);
}

function announce(text) {
  byId("news").textContent = text;
}

const LINKS = { live: "live", lost: "no answer; trying again", paused: "paused" };

function say(state) {
  const link = byId("link");
  if (link.classList.contains(state)) return;
  if (state === "lost" || link.classList.contains("lost")) announce(LINKS[state]);
  link.className = `link ${state}`;
  setText(link, LINKS[state]);
}

// ---------------------------------------------------------------- showing

let pointed = null;
function point(time) {
  pointed = time;
  for (const plot of Object.values(plots)) plot.point(pointed);
}

const plots = {
  waiting: new Plot("Waiting messages", point),
  handled: new Plot("Handled a second", point, false),
  busy: new Plot("Busy threads", point),
  dead: new Plot("Dead letters", point),
};
byId("plots").append(...Object.values(plots).map((plot) => plot.figure));

const shownPool = () => pools.get(Number(where().get("pool") ?? 0)) ?? pools.values().next().value;
const where = () => new URLSearchParams(location.hash.slice(1));
const go = (fields) => {
  location.hash = new URLSearchParams(fields).toString();
};

function show() {
  const pool = shownPool();
  if (!pool) return;
  setShown(byId("main"), true);
  showPools(pool);
  showPool(pool);
  showPlots(pool);
  showHot(pool);
  showStuck(pool);
  showSamples(pool);
  showKey(pool);
}

function showPools(current) {
  setShown(byId("pools"), pools.size > 1);
  keyed(
    byId("pools").querySelector("tbody"), [...pools.values()], (pool) => pool.id,
    (pool) => {
      const button = element("button", { type: "button", class: "plain key" });
      button.addEventListener("click", () => go({ pool: pool.id }));
      const row = element("tr", {}, element("th", { scope: "row" }, button));
      row.append(element("td"));
      for (const kind of ["", "", " wide", " wide", " wide", " wide"]) {
        row.append(element("td", { class: `number${kind}` }));
      }
      return row;
    },
    (row, pool) => {
      const { figures } = pool;
      setText(row.querySelector("button"), pool.name);
      const texts = [
        pool.state, whole(figures.waiting), figure(pool.rates.at(-1)), whole(figures.busy),
        whole(figures.keys), whole(sum(pool.dead_letters)), whole(pool.stuck.length),
      ];
      texts.forEach((text, place) => setText(row.children[place + 1], text));
      if (pool === current) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    },
  );
}

const TILES = [
  ["keys", "keys"], ["busy", "busy"], ["waiting", "waiting"], ["handled", "handled"],
  ["threads", "threads"], ["started", "started"], ["failed", "failed", true],
  ["restarted", "restarted"], ["cancelled", "cancelled"], ["timers", "timers"],
  ["max_keys", "most keys"],
];

function showPool(pool) {
  const { figures } = pool;
  setText(document.querySelector("title"), `${pool.name} – threadpool_mb`);
  setText(byId("name"), pool.name);
  setText(byId("state"), pool.state);
  byId("state").className = `state ${stateClass(pool.state)}`;
  setText(byId("kind"), pool.gone ? `${pool.kind}, no longer there; these are its last figures` : pool.kind);
  setShown(byId("error"), pool.error != null);
  setText(byId("error"), pool.error == null ? "" : `Asking it for its figures raises ${pool.error}`);
  const tiles = TILES.filter(([name]) => figures[name] != null).map(([name, term, alarm]) => [
    term, compact(figures[name]), alarm && figures[name] ? "alarm" : "",
  ]);
  const handled = tiles.findIndex(([term]) => term === "handled");
  if (handled >= 0) tiles.splice(handled + 1, 0, ["a second", figure(pool.rates.at(-1))]);
  const dead = sum(pool.dead_letters);
  tiles.push(["dead letters", compact(dead), dead ? "alarm" : ""]);
  if (figures.oldest != null) {
    tiles.push(["longest busy", duration(figures.oldest), pool.stuck.length ? "alarm" : ""]);
  }
  termRows(byId("tiles"), tiles);
  setShown(byId("letters"), countRows(byId("dead").tBodies[0], pool.dead_letters) > 0);
  setShown(byId("ended"), countRows(byId("ended").querySelector("tbody"), pool.ended) > 0);
}

const stateClass = (state) =>
  state === "running" ? "" : state === "closing" || state === "cancelling" ? "closing" : "ended";

function showPlots(pool) {
  const { points } = pool;
  const times = points.map((each) => each.t);
  const values = (name) => points.map((each) => each[name]);
  const known = (name) => points.some((each) => each[name] != null);
  for (const plot of Object.values(plots)) plot.over = stateClass(pool.state) === "ended";
  // A pool of function workers does not count what is handled.
  setShown(plots.handled.figure, !points.length || known("handled"));
  plots.waiting.show(times, [{ name: "waiting", values: values("waiting") }]);
  plots.handled.show(times, [{ name: "handled", values: pool.rates }]);
  plots.busy.show(times, [
    { name: "busy", values: values("busy_threads") },
    ...(known("threads") ? [{ name: "threads", values: values("threads") }] : []),
  ]);
  const reasons = [...new Set(points.flatMap((each) => Object.keys(each.dead)))];
  plots.dead.show(times, reasons.map((reason) => ({
    name: reason, always: true, values: points.map((each) => each.dead[reason] ?? 0),
  })));
}

function keyButton(poolId) {
  const button = element("button", { type: "button", class: "plain key" });
  button.addEventListener("click", () => {
    opener = button;
    go({ pool: poolId(), key: button.dataset.key });
  });
  return button;
}

function setKey(button, key) {
  setText(button, key.text);
  button.title = key.text;
  button.dataset.key = key.id ?? "";
  button.disabled = key.id == null;
}

let current = 0;

function showHot(pool) {
  current = pool.id;
  const table = byId("hot");
  const keys = pool.hot?.keys ?? [];
  const most = Math.max(1, ...keys.map((key) => key.messages ?? 0));
  const ended = stateClass(pool.state) === "ended";
  const note = pool.hot
    ? `${duration(pool.hot.age)} ago${pool.hot.seconds > 0.05 ? `, took ${duration(pool.hot.seconds)}` : ""}`
    : ended ? "The pool has ended." : "Being looked for.";
  setText(byId("hot-note"), note);
  setShown(table, keys.length > 0);
  keyed(
    table.tBodies[0], keys, (key) => `${pool.id} ${key.id ?? key.text}`,
    () => element(
      "tr", {}, element("th", { scope: "row" }, keyButton(() => current)), element("td"),
      element("td", { class: "number" }, element("span"), element("div", { class: "share" })),
    ),
    (row, key) => {
      setKey(row.querySelector("button"), key);
      setText(row.children[1], String(key.state ?? ""));
      setText(row.querySelector("span"), whole(key.messages));
      row.querySelector(".share").style.width = `${(100 * (key.messages ?? 0)) / most}%`;
    },
    table.matches(":hover, :focus-within"), // a row does not run away from the pointer
  );
}

const stuckTitle = (pool) =>
  pool.stuck.length === 1 ? "1 worker is stuck" : `${pool.stuck.length} workers are stuck`;

const stuckSays = (each) =>
  `on one message for ${duration(each.seconds)}, on ${each.thread || "a thread"}`
  + (each.incarnation == null ? "" : `, incarnation ${each.incarnation}`);

// The last call, which says most, is at the end.
function setStack(pre, stack) {
  const text = stack || "not known";
  if (pre.textContent === text) return;
  pre.textContent = text;
  requestAnimationFrame(() => {
    pre.scrollTop = pre.scrollHeight;
  });
}

function stackDetails() {
  const pre = element("pre", { tabindex: "0", "aria-label": "Stack" });
  const details = element("details", {}, element("summary", {}, "Stack"), pre);
  details.addEventListener("toggle", () => {
    pre.scrollTop = pre.scrollHeight;
  });
  return details;
}

function showStuck(pool) {
  const section = byId("stuck");
  setShown(section, pool.stuck.length > 0);
  if (pool.stuck.length) setText(byId("stuck-title"), stuckTitle(pool));
  keyed(
    section.querySelector("ul"), pool.stuck, (each) => `${pool.id} ${each.id} ${each.incarnation}`,
    () => element(
      "li", {}, element("div", {}, keyButton(() => current), " ", element("span", { class: "quiet" })),
      stackDetails(),
    ),
    (item, each) => {
      setKey(item.querySelector("button"), each);
      setText(item.querySelector("span"), stuckSays(each));
      setStack(item.querySelector("pre"), each.stack);
    },
  );
  const first = section.querySelector("details");
  if (first && pool.stuck.length === 1 && !first.dataset.shown) {
    first.open = true;
    first.dataset.shown = "once";
  }
}

function showSamples(pool) {
  if (!byId("samples").open) return;
  const end = pool.points.at(-1)?.t ?? 0;
  const rows = pool.points
    .map((each, place) => [
      duration(end - each.t), whole(each.waiting), figure(pool.rates[place]), whole(each.busy),
      whole(each.threads), whole(sum(each.dead)),
    ])
    .slice(-TABLE_ROWS)
    .reverse();
  keyed(
    byId("samples").querySelector("tbody"), rows.map((cells, place) => ({ cells, place })), (row) => row.place,
    () => element("tr", {}, ...[0, 1, 2, 3, 4, 5].map((place) => element("td", place ? { class: "number" } : {}))),
    (row, { cells }) => cells.forEach((text, place) => setText(row.children[place], text)),
  );
}

// ---------------------------------------------------------------- one key

const keyPlot = new Plot("Waiting for it");
byId("key-plot").append(keyPlot.figure);

async function askForKey() {
  const fields = where();
  if (!fields.has("key") && !fields.has("text")) return close(false);
  const pool = fields.get("pool") ?? "0";
  const asked = fields.has("key") ? { id: fields.get("key") } : { text: fields.get("text") };
  const name = JSON.stringify([pool, asked]);
  const isNew = opened?.name !== name;
  let data;
  try {
    data = await ask(`api/key?${new URLSearchParams({ pool, ...asked })}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    data = { found: false, text: null };
  }
  if (isNew) opened = { name, pool: Number(pool), times: [], values: [], arrives: true };
  opened.data = data;
  opened.times.push(Date.now() / 1000);
  opened.values.push(data.worker?.messages ?? null);
  opened.times.splice(0, opened.times.length - POINTS);
  opened.values.splice(0, opened.values.length - POINTS);
}

const says = (value) =>
  value === true ? "yes" : value === false ? "no" : typeof value === "number" ? figure(value) : String(value ?? "–");

function showKey(pool) {
  const section = byId("key");
  const shown = opened !== null && opened.pool === pool.id;
  setShown(section, shown);
  if (!shown) return;
  const { data } = opened;
  const title = data.found ? "Key" : "No such key";
  setText(byId("key-title"), title);
  const note = !data.found
    ? "No worker has it. A key that is no text, number or tuple of them is found in the list below, or among the stuck ones."
    : data.worker ? data.type : `${data.type}; nothing is known of it now: it has no worker, or nothing waits`;
  setText(byId("key-note"), note);
  setShown(byId("key-text"), data.text != null);
  setText(byId("key-text"), data.text ?? "");
  setShown(byId("key-plot"), data.worker?.messages != null);
  keyPlot.show(opened.times, [{ name: "waiting", values: opened.values }]);
  const facts = Object.entries(data.worker ?? {}).map(([name, value]) => [name.replaceAll("_", " "), says(value)]);
  keyed(
    byId("key-facts"), facts.flatMap(([term, text]) => [[`${term}:`, term, "dt"], [`${term}=`, text, "dd"]]),
    ([name]) => name, ([, , tag]) => element(tag), (node, [, text]) => setText(node, text),
  );
  keyed(
    byId("key-stuck"), data.stuck ? [data.stuck] : [], (each) => each.incarnation,
    () => element("div", {}, element("h4"), element("pre", { tabindex: "0", "aria-label": "Stack" })),
    (node, each) => {
      setText(node.children[0], `Stuck ${stuckSays(each)}`);
      setStack(node.children[1], each.stack);
    },
  );
  if (opened.arrives) {
    opened.arrives = false;
    byId("key-title").focus({ preventScroll: true });
    const { top } = section.getBoundingClientRect();
    if (top < 0 || top > innerHeight * 0.6) section.scrollIntoView({ block: "start" });
    announce(data.found ? `Key ${data.text}` : title);
  }
}

function close(back) {
  opened = null;
  setShown(byId("key"), false);
  if (back && opener?.isConnected) opener.focus();
  opener = null;
}

function leaveKey() {
  const back = opener ?? byId("find-text");
  go({ pool: current });
  opened = null;
  setShown(byId("key"), false);
  (back.isConnected ? back : byId("find-text")).focus();
}

// ---------------------------------------------------------------- what a user does

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment says what is shown
  byId("main").focus();
});
byId("close").addEventListener("click", leaveKey);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && opened) leaveKey();
});
byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  opener = byId("find-text");
  if (byId("find-text").value) go({ pool: current, text: byId("find-text").value });
});
byId("pause").addEventListener("click", (event) => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", String(paused));
  if (paused) say("paused");
  else poll();
});
addEventListener("hashchange", async () => {
  try {
    await askForKey();
  } catch {
    // The next poll says so.
  }
  show();
});
byId("samples").addEventListener("toggle", show);
document.addEventListener("visibilitychange", poll);
poll();
