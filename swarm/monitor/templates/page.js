// What comes from files, the collector and the INI becomes text here, never markup.

const MOST_ROWS = 200;
const MOST_MESSAGES = 50;
const WIDTH = 860;
const HEIGHT = 150;
const byId = (id) => document.getElementById(id);
const streams = new Map();
const shown = new Map();
let isOver = false;
let news = null;

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function count(number) {
  return Math.round(number).toLocaleString("en");
}

function rowsOf(number) {
  return number === 1 ? "1 row" : `${count(number)} rows`;
}

function duration(seconds) {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h) return `${h.toLocaleString("en")} h ${String(m).padStart(2, "0")} min`;
  return m ? `${m} min ${String(s).padStart(2, "0")} s` : `${s} s`;
}

function percent(done, rows) {
  return rows ? Math.floor((100 * done) / rows) : 0;
}

function stateOf(stream) {
  if (stream.state) return stream.state;
  if (stream.problem) return "problem";
  if (stream.trouble) return "waiting";
  return stream.done ? "sending" : "queued";
}

// Streams with problems come first, then those that are sent, that wait for their turn, that ended.
function rank(stream) {
  const state = stateOf(stream);
  if (state === "done") return 4;
  if (state === "queued") return 3;
  if (state === "problem" || state === "stopped" || state === "invalid" || state === "locked") return 0;
  return stream.trouble ? 1 : 2;
}

function row(name) {
  let made = shown.get(name);
  if (!made) {
    made = document.createElement("tr");
    for (const kind of ["", "", "bar", "number", "number narrow", "number narrow"]) {
      made.insertCell().className = kind;
    }
    const outer = document.createElement("div");
    outer.append(document.createElement("div"));
    made.cells[2].append(outer);
    shown.set(name, made);
  }
  const stream = streams.get(name);
  const rows = stream.rows || 0;
  const done = stream.done || 0;
  const state = stateOf(stream);
  const texts = [name, state, null, count(done), count(rows), count(stream.retries || 0)];
  texts.forEach((text, index) => { if (text !== null) set(made.cells[index], text); });
  made.cells[1].className = state === "done" ? "good" : rank(stream) < 2 ? "bad" : "";
  made.cells[1].title = stream.problem || stream.trouble || "";
  made.cells[2].firstChild.firstChild.style.width = `${rows ? (100 * done) / rows : 0}%`;
  return made;
}

function table() {
  const part = byId("contains").value.toLowerCase();
  const names = [...streams.keys()].filter((name) => name.toLowerCase().includes(part));
  names.sort((a, b) => rank(streams.get(a)) - rank(streams.get(b)) || a.localeCompare(b, "en", {numeric: true}));
  const first = names.slice(0, MOST_ROWS);
  const kept = new Set(first);
  for (const name of shown.keys()) if (!kept.has(name)) shown.delete(name);
  byId("table").replaceChildren(...first.map(row));
  const more = names.length - first.length;
  set(byId("note"), more ? `${count(first.length)} of ${count(names.length)} streams, those with problems first` : `${count(names.length)} streams`);
}

function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function ticks(high, most) {
  const power = 10 ** Math.floor(Math.log10(high / most));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => high / each <= most);
  return Array.from({length: Math.floor(high / step + 1e-9) + 1}, (_, index) => index * step);
}

function graph(points) {
  if (!points.length) return;
  const end = Math.max(points[points.length - 1][0], 10);
  const top = Math.max(...points.map((point) => point[1]), 1);
  const x = (seconds) => ((seconds / end) * WIDTH).toFixed(1);
  const y = (rate) => (HEIGHT - (rate / top) * HEIGHT).toFixed(1);
  byId("curve").setAttribute("d", points.map(([at, rate], index) => `${index ? "L" : "M"}${x(at)} ${y(rate)}`).join(""));
  const step = points.length > 1 ? points[1][0] - points[0][0] : 1;
  const held = points.filter((point) => point[2]);
  byId("held").setAttribute("d", held.map(([at]) => `M${x(Math.max(at - step, 0))} 0H${x(at)}V${HEIGHT}H${x(Math.max(at - step, 0))}z`).join(""));
  byId("rules").replaceChildren(
    ...ticks(top, 4).flatMap((rate) => [
      svg("path", {class: "rule", d: `M0 ${y(rate)}H${WIDTH}`}),
      svg("text", {x: -6, y: Number(y(rate)) + 4, "text-anchor": "end"}, rate.toLocaleString("en")),
    ]),
    ...ticks(end, 5).filter((at) => at < 0.95 * end).map((at) => svg("text", {x: x(at), y: HEIGHT + 18}, duration(at))),
  );
  const latest = points[points.length - 1][1];
  set(byId("graph-title"), `Packets a second over ${duration(end)}: ${count(latest)} now, at most ${count(top)}`);
}

function messages(found) {
  for (const each of found) {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.dateTime = each.time;
    time.textContent = new Date(each.time).toLocaleTimeString();
    const text = document.createElement("span");
    text.textContent = each.meter && !each.message.includes(each.meter) ? `${each.meter}: ${each.message}` : each.message;
    if (each.event === "problem") text.className = "bad";
    item.append(time, text);
    byId("messages").prepend(item);
  }
  const list = byId("messages");
  while (list.children.length > MOST_MESSAGES) list.lastChild.remove();
  byId("none").hidden = list.children.length > 0;
}

function headline({start, progress, end}) {
  const isChecking = !progress.rows;
  const share = percent(progress.done, progress.rows);
  const name = (start.config || "swarm").split("/").pop();
  set(byId("config"), name);
  set(byId("collector"), start.collector || "-");
  let text = isChecking ? `Checking files: ${count(progress.checked || 0)} of ${count(start.meters || 0)} meters.` : `Sending: ${share} % done.`;
  let kind = "";
  if (end) {
    isOver = true;
    kind = end.exit_code ? "bad" : "good";
    text = end.exit_code
      ? `The run has ended with exit code ${end.exit_code}: ${count(end.sent)} packets sent, ${rowsOf(end.unsent)} unsent.`
      : `The run has ended: every row is acknowledged, ${count(end.sent)} packets sent.`;
  }
  set(byId("state"), text);
  byId("state").className = kind;
  document.title = end ? `ended - ${name}` : `${share} % - ${name}`;
  const whole = byId("whole");
  whole.setAttribute("aria-valuenow", share);
  whole.firstElementChild.style.width = `${progress.rows ? (100 * progress.done) / progress.rows : 0}%`;
  set(byId("done"), count(progress.done || 0));
  set(byId("rows"), count(progress.rows || 0));
  const rate = end ? end.packets_per_second : progress.rate || 0;
  set(byId("rate"), rate && rate < 10 ? rate.toFixed(1) : count(rate));
  set(byId("eta"), end ? "-" : progress.eta_seconds === null || progress.eta_seconds === undefined ? "-" : duration(progress.eta_seconds));
  set(byId("streams"), count(progress.streams_done || 0));
  set(byId("active"), count(progress.streams_active || 0));
  set(byId("connections"), progress.connections || "");
  set(byId("trouble"), progress.trouble && !end ? progress.trouble : "");
}

function elapsed() {
  if (!news || !news.start.time) return;
  const seconds = news.end ? news.end.seconds : (Date.now() - new Date(news.start.time)) / 1000;
  set(byId("elapsed"), duration(Math.max(seconds, 0)));
}

function show(found) {
  news = found;
  for (const [name, facts] of Object.entries(found.streams)) streams.set(name, facts);
  headline(found);
  elapsed();
  graph(found.points);
  messages(found.messages);
  table();
}

let source = null;

function connect() {
  source = new EventSource("events");
  let isFirst = true;
  source.onmessage = (event) => {
    if (isFirst) {
      streams.clear();
      byId("messages").replaceChildren();
      isFirst = false;
    }
    show(JSON.parse(event.data));
  };
  source.onerror = () => {
    source.close();
    if (isOver) return;
    set(byId("state"), "No answer from swarm: the run has probably been killed. This is what was shown last.");
    byId("state").className = "bad";
    setTimeout(connect, 2000);
  };
}

byId("contains").addEventListener("input", table);
setInterval(elapsed, 1000);
connect();
