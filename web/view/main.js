// The page: what is shown, and what keys and the mouse do.

const $ = (id) => document.getElementById(id);

async function read() {
  const bytes = Uint8Array.from(atob($("data").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const state = { stage: null, selected: null, layers: new Set(), direction: "TB", view: null, tab: null, hits: [], hit: -1 };
let data, shown, picture;

function byId(id) {
  return shown.boxes.find((box) => box.id === id);
}

/** Draws the stage anew. */
function draw() {
  const stage = state.stage;
  shown = visible(stage);
  for (const box of shown.boxes) {
    if (box.boxes && stage.profile) box.seconds = box.boxes.reduce((sum, inner) => sum + (inner.seconds ?? 0), 0);
  }
  picture = drawing(shown, state.direction);
  $("canvas").querySelector("svg")?.remove();
  $("canvas").append(picture.svg);
  const added = new Set((stage.added ?? []).map((line) => /^%"?([^" =,]+)/.exec(line)?.[1]));
  for (const box of shown.boxes) {
    if (stage.removed && (box.nodes ?? []).some((node) => added.has(node.name))) box.drawn.classList.add("changed");
    box.drawn.onclick = (event) => { event.stopPropagation(); if (!state.dragged) select(box); };
    box.drawn.ondblclick = () => box.isModule && toggle(box.id);
    box.drawn.onmouseenter = (event) => tip(event, box);
    box.drawn.onmouseleave = () => tip(null);
  }
  $("fold").value = String(stage.depth);
  document.body.dataset.boxes = shown.boxes.length;
  mark();
}

function show(stage, keep = true) {
  state.stage = withDispatches(prepared(stage));
  $("stage").value = String(data.stages.indexOf(stage));
  const before = state.layers;
  state.selected = null;
  draw();
  fit();
  const same = keep && shown.boxes.find((box) => box.layers.some((layer) => before.has(layer)));
  state.layers = before;
  select(same ?? null, Boolean(same), keep);
  drawer();
}

/** Selects a box; the layers in it stay marked in other stages. */
function select(box, centre = false, keepLayers = false) {
  state.selected = box?.id ?? null;
  if (box && !keepLayers) state.layers = new Set(box.layers);
  if (!box && !keepLayers) state.layers = new Set();
  $("panel").replaceChildren(...details(data, state.stage, box, go, toggle).filter(Boolean));
  $("panel").scrollTop = 0;
  mark();
  if (box && centre) centreOn(box);
}

/** Goes to a box of the stage, opening what it is folded into. */
function go(box) {
  const at = shown.shownAs.get(box.id);
  if (at && at !== box.id) {
    state.stage.open.add(at);
    draw();
  }
  select(byId(box.id) ?? byId(at), true);
}

function toggle(id) {
  const { open } = state.stage;
  if (!open.delete(id)) open.add(id);
  draw();
  const box = byId(id) ?? shown.boxes.find((one) => one.opened === id);
  select(box ?? null, true);
}

/** Classes of boxes and edges: selected, the same layer, the same dispatch, found. */
function mark() {
  const selected = shown.boxes.find((box) => box.id === state.selected);
  const shares = new Set(selected?.group ? sharing(state.stage, selected).map((box) => shown.shownAs.get(box.id)) : []);
  const hits = new Set(state.hits);
  for (const box of shown.boxes) {
    const { classList } = box.drawn;
    classList.toggle("selected", box === selected);
    classList.toggle("same", box !== selected && box.layers.some((layer) => layer && state.layers.has(layer)));
    classList.toggle("shared", shares.has(box.id));
    classList.toggle("faded", hits.size > 0 && !hits.has(box.id));
  }
  for (const edge of shown.edges) edge.path.classList.toggle("near", Boolean(selected) && (edge.from === selected.id || edge.to === selected.id));
}

function tip(event, box) {
  $("tip")?.remove();
  if (!event) return;
  const attributes = box.node ? Object.entries(box.node.attributes).map(([name, value]) => `\n${name} = ${said(value)}`).join("") : "";
  const why = box.group?.ends ? `\nnot fused further: ${box.group.ends.words}` : "";
  const made = html("div", { id: "tip", role: "tooltip" }, `${box.label}\n${box.second}\n${box.type}${attributes}${why}`);
  document.body.append(made);
  const { width: w, height: h } = made.getBoundingClientRect();
  made.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - w - 4))}px`;
  made.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - h - 4))}px`;
}

// ---- where one looks

function look({ x, y, k }) {
  state.view = { x, y, k };
  picture.scene.setAttribute("transform", `translate(${x},${y}) scale(${k})`);
}

function fit() {
  const { width: w, height: h } = $("canvas").getBoundingClientRect();
  const k = Math.min(1.2, (w - 20) / picture.size.w, (h - 20) / picture.size.h);
  // A large network is shown from where it begins, in letters that can be read.
  const readable = Math.max(k, 0.55);
  const [top] = shown.boxes;
  // An input that is read far away has nothing around it.
  const first = shown.boxes.find((box) => box.kind !== "value") ?? top;
  const place = (size, room, at) => (size * readable <= room - 20 ? (room - size * readable) / 2 : at);
  const begin = state.direction === "TB"
    ? { x: w / 2 - first.x * readable, y: Math.min(20 - (top.y - top.h / 2) * readable, h / 4 - first.y * readable) }
    : { x: Math.min(20 - (top.x - top.w / 2) * readable, w / 4 - first.x * readable), y: h / 2 - first.y * readable };
  look({ x: place(picture.size.w, w, begin.x), y: place(picture.size.h, h, begin.y), k: readable });
}

function showAll() {
  const { width: w, height: h } = $("canvas").getBoundingClientRect();
  const k = Math.min(1.2, (w - 20) / picture.size.w, (h - 20) / picture.size.h);
  look({ x: (w - picture.size.w * k) / 2, y: (h - picture.size.h * k) / 2, k });
}

function centreOn(box) {
  const { width: w, height: h } = $("canvas").getBoundingClientRect();
  const k = Math.max(state.view.k, 0.7);
  look({ x: w / 2 - box.x * k, y: h / 2 - box.y * k, k });
}

function zoom(factor, at) {
  const { x, y, k } = state.view;
  const rect = $("canvas").getBoundingClientRect();
  const centre = at ?? { x: rect.width / 2, y: rect.height / 2 };
  const next = Math.min(4, Math.max(0.02, k * factor));
  look({ x: centre.x - ((centre.x - x) * next) / k, y: centre.y - ((centre.y - y) * next) / k, k: next });
}

function followMouse() {
  const canvas = $("canvas");
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const rect = canvas.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), { x: event.clientX - rect.left, y: event.clientY - rect.top });
  }, { passive: false });
  const touches = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    touches.set(event.pointerId, event);
    state.dragged = false;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = touches.get(event.pointerId);
    if (!before || event.buttons === 0) return;
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    if (!state.dragged && Math.hypot(dx, dy) < 4) return;
    state.dragged = true;
    touches.set(event.pointerId, event);
    look({ ...state.view, x: state.view.x + dx, y: state.view.y + dy });
  });
  const end = (event) => touches.delete(event.pointerId);
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("click", () => { if (!state.dragged) select(null); });
}

// ---- search

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (box) => {
    const all = [box.label, box.second, box.type, ...box.layers, ...(box.nodes ?? []).map((node) => node.operator)].join(" ").toLowerCase();
    return words.every((word) => all.includes(word));
  };
  state.hits = words.length ? shown.boxes.filter(matches).map((box) => box.id) : [];
  state.hit = -1;
  $("found").textContent = words.length ? `${state.hits.length} found` : "";
  mark();
}

function next() {
  if (state.hits.length === 0) return;
  state.hit = (state.hit + 1) % state.hits.length;
  select(byId(state.hits[state.hit]), true);
}

// ---- the drawer

function drawer() {
  const stage = state.stage;
  const can = Boolean(stage.dispatches);
  $("drawer").hidden = !can;
  if (!can) return;
  const { at, most } = peak(stage);
  $("peak").textContent = `most alive: ${bytes(most)} at dispatch ${at}; arenas ${bytes(stage.arenas.reduce((sum, arena) => sum + arena.size, 0))}`;
  for (const tab of ["memory", "time"]) $(`tab-${tab}`).setAttribute("aria-pressed", String(state.tab === tab));
  $("chart").hidden = !state.tab;
  if (state.tab === "memory") {
    const pick = (first, name) => {
      const made = stage.boxes.find((box) => box.nodes?.some((node) => node.outputs.some((output) => output === name)));
      const runs = stage.groupOf.get(stage.dispatches[first]?.launches.find((launch) => stage.groupOf.has(launch)));
      if (made ?? runs) go(made ?? runs);
    };
    $("chart").replaceChildren(memoryChart(stage, $("drawer").clientWidth - 24, pick));
  } else if (state.tab === "time") {
    $("chart").replaceChildren(timeChart(stage, go));
  }
}

function tab(name) {
  state.tab = state.tab === name ? null : name;
  drawer();
}

// ---- keys and buttons

function save() {
  const text = standalone(picture, data.css);
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  html("a", { href: address, download: `${data.name}-${state.stage.name}.svg` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function theme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
}

function turn() {
  state.direction = state.direction === "TB" ? "LR" : "TB";
  draw();
  fit();
}

function fold(depth) {
  state.stage.depth = depth;
  state.stage.open.clear();
  draw();
  fit();
  select(shown.boxes.find((box) => box.layers.some((layer) => state.layers.has(layer))) ?? null, true, true);
}

function stageBy(step) {
  const n = data.stages.indexOf(state.stage) + step;
  if (data.stages[n]) show(data.stages[n]);
}

/** Along the edges: to what is made of it, to what it is made of; to the sides among what is read by the same. */
function walk(key) {
  const along = state.direction === "TB" ? { ArrowDown: 1, ArrowUp: -1 } : { ArrowRight: 1, ArrowLeft: -1 };
  const from = state.selected;
  if (!from) return select(shown.boxes[0], true);
  if (along[key]) {
    const edge = shown.edges.find((one) => (along[key] > 0 ? one.from : one.to) === from);
    if (edge) select(byId(along[key] > 0 ? edge.to : edge.from), true);
    return;
  }
  const step = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  const place = (box) => (state.direction === "TB" ? box.y : box.x);
  const other = (box) => (state.direction === "TB" ? box.x : box.y);
  const here = byId(from);
  const beside = shown.boxes.filter((box) => Math.abs(place(box) - place(here)) < 30 && (other(box) - other(here)) * step > 0);
  beside.sort((a, b) => Math.abs(other(a) - other(here)) - Math.abs(other(b) - other(here)));
  if (beside[0]) select(beside[0], true);
}

const KEYS = {
  "/": () => $("search").focus(), "[": () => stageBy(-1), "]": () => stageBy(1), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
  0: showAll, d: turn, t: theme, s: save, m: () => tab("memory"), b: () => tab("time"), "?": () => $("keys").showModal(),
  f: () => fold(state.stage.depth === 99 ? 1 : state.stage.depth === 1 ? 2 : 99), Escape: () => select(null),
  Enter: () => byId(state.selected)?.isModule && toggle(state.selected),
};

function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
    const typing = event.target.matches("input, select, textarea");
    if (typing && event.key === "Escape") event.target.blur();
    if (typing || (event.key === "Enter" && event.target.matches("button, a, summary"))) return;
    if (event.key.startsWith("Arrow") && !event.target.closest("aside, footer")) {
      event.preventDefault();
      walk(event.key);
    } else if (KEYS[event.key]) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });
  $("search").oninput = (event) => search(event.target.value);
  $("search").onkeydown = (event) => event.key === "Enter" && next();
  $("stage").onchange = (event) => show(data.stages[Number(event.target.value)]);
  $("fold").onchange = (event) => fold(Number(event.target.value));
  const buttons = { out: () => zoom(0.8), in: () => zoom(1.25), fit: showAll, turn, svg: save, theme, help: () => $("keys").showModal() };
  for (const [id, does] of Object.entries(buttons)) $(id).onclick = does;
  $("tab-memory").onclick = () => tab("memory");
  $("tab-time").onclick = () => tab("time");
  addEventListener("resize", drawer);
  followMouse();
}

async function start() {
  data = await read();
  $("title").textContent = data.name;
  document.head.append(html("style", {}, data.css));
  // A pass that changes nothing has the graph of the one before it.
  data.stages.forEach((stage, n) => { stage.graph ??= data.stages[n - 1].graph; });
  data.stages.forEach((stage, n) => $("stage").append(html("option", { value: n }, stage.changed === false ? `${stage.title} (changes nothing)` : stage.title)));
  listen();
  show(data.stages.find((stage) => stage.name === "fused") ?? data.stages[0], false);
  document.body.dataset.ready = "";
}

start().catch((error) => {
  document.body.dataset.failed = "";
  $("panel").replaceChildren(html("p", {}, `This page cannot be shown: ${error.message}`));
  throw error;
});
