// What clients sent becomes text and attributes here, never markup.

const byId = (id) => document.getElementById(id);
const summaries = new Map();
const pictures = new Map();
const shown = new Map();
let order = [];
let source = null;
let retry = 0;

function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function picture({width, height, label}, parts) {
  const made = svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
  made.append(...parts);
  return made;
}

function figure(drawing, caption) {
  const made = document.createElement("figure");
  const text = document.createElement("figcaption");
  text.textContent = caption;
  made.append(drawing, text);
  return made;
}

function calendar(days) {
  const paths = days.paths.map(([kind, d]) => svg("path", {class: kind, d}));
  const texts = days.texts.map(([x, y, text]) => svg("text", {x, y}, text));
  return figure(
    picture(days, [svg("path", {class: "frame", d: days.frame}), ...paths, svg("path", {class: "grid", d: days.grid}), ...texts]),
    `Packets a day; busiest day: ${days.busiest}`,
  );
}

function graph(values) {
  const texts = values.texts.map(([x, y, anchor, text]) => svg("text", {x, y, "text-anchor": anchor}, text));
  return figure(
    picture(values, [
      svg("path", {class: "rule", d: values.rules}),
      ...texts,
      svg("path", {class: "curve", d: values.path}),
    ]),
    `${values.name}, last ${values.packets}; latest: ${values.latest}`,
  );
}

function fill(node, name) {
  const [number, first, last] = summaries.get(name);
  const packets = number.toLocaleString("en");
  const summary = number === 1 ? `1 packet, ${first}` : `${packets} packets, ${first} to ${last}`;
  const texts = {name, packets, first, last, summary};
  for (const each of node.querySelectorAll("[data-text]")) {
    const text = texts[each.dataset.text];
    if (each.textContent !== text) each.textContent = text;
  }
}

function draw(node, name) {
  const found = pictures.get(name);
  const place = node.querySelector(".pictures");
  if (found && place) place.replaceChildren(calendar(found.days), graph(found.values));
}

function node(name, kind) {
  const known = shown.get(name);
  if (known && known.kind === kind) return known.node;
  const made = byId(kind).content.firstElementChild.cloneNode(true);
  shown.set(name, {kind, node: made});
  fill(made, name);
  draw(made, name);
  return made;
}

function arrange(news) {
  order = news.order;
  const listed = new Set(order);
  for (const kept of [summaries, pictures, shown]) {
    for (const name of kept.keys()) if (!listed.has(name)) kept.delete(name);
  }
  byId("cards").replaceChildren(...order.slice(0, DRAWN).map((name) => node(name, "card")));
  byId("rows").replaceChildren(...order.slice(DRAWN).map((name) => node(name, "row")));
  byId("others").hidden = order.length <= DRAWN;
  byId("streams").textContent = news.streams;
  byId("note").textContent = note(news.matching);
}

function note(matching) {
  const count = matching.toLocaleString("en");
  if (!matching) return byId("contains").value ? "No stream has such an ID." : "No stream yet: a stream appears with its first packet.";
  if (matching > LISTED) return `The first ${LISTED.toLocaleString("en")} of ${count} streams, ${DRAWN} of them with pictures. To see others, type a part of their IDs.`;
  if (matching > DRAWN) return `${count} streams, the first ${DRAWN} with pictures. To draw others, type a part of their IDs.`;
  return "";
}

function refusals(found) {
  const rows = found.map((texts) => {
    const row = document.createElement("tr");
    texts.forEach((text, column) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (column === 2) cell.className = "number";
    });
    return row;
  });
  byId("reasons").replaceChildren(...rows);
  byId("refusals").hidden = !rows.length;
  byId("none-refused").hidden = rows.length > 0;
}

function show(news) {
  for (const [name, ...texts] of news.rows) summaries.set(name, texts);
  for (const [name, found] of Object.entries(news.pictures)) pictures.set(name, found);
  if (news.order) arrange(news);
  for (const [name] of news.rows) fill(shown.get(name).node, name);
  for (const name of Object.keys(news.pictures)) if (shown.has(name)) draw(shown.get(name).node, name);
  if (news.refusals) refusals(news.refusals);
  if (news.refused) byId("refused").textContent = news.refused;
  byId("packets").textContent = news.packets;
  byId("rate").textContent = news.rate;
  document.title = `${news.packets} packets - swarm sandbox`;
}

function state(text, isBad) {
  const place = byId("state");
  if (place.textContent === text) return;
  place.textContent = text;
  place.className = isBad ? "bad" : "soft";
}

function disconnect() {
  clearTimeout(retry);
  if (source) source.close();
  source = null;
}

function connect() {
  disconnect();
  source = new EventSource(`events?contains=${encodeURIComponent(byId("contains").value)}`);
  source.onmessage = (event) => {
    state("Live: what arrives is shown within a second or two.", false);
    show(JSON.parse(event.data));
  };
  source.onerror = () => {
    disconnect();
    state("The sandbox does not answer; it has probably ended. This is what was shown last.", true);
    retry = setTimeout(connect, 2000);
  };
}

byId("contains").addEventListener("input", () => {
  clearTimeout(retry);
  retry = setTimeout(connect, 200);
});
// A hidden page costs the sandbox nothing.
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
connect();
