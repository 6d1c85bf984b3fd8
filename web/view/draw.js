// The picture: dagre lays out, SVG draws.

const SVG = "http://www.w3.org/2000/svg";
const LONGEST_LABEL = 40;

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const short = (text, most = LONGEST_LABEL) =>
  text.length <= most ? text : `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(-Math.floor(most / 2))}`;

/** Widths of text without asking the page for each. */
const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();
function width(text, size) {
  const key = `${size} ${text}`;
  if (!widths.has(key)) {
    pen.font = `${size}px system-ui, sans-serif`;
    widths.set(key, pen.measureText(text).width);
  }
  return widths.get(key);
}

/** Lines of a box, and what is at its right end. */
function lines(box) {
  const time = box.seconds === undefined ? "" : milliseconds(box.seconds);
  const end = [time, box.sharing].filter(Boolean).join(" · ");
  return { title: short(box.label), small: [short(box.second, 46), box.type].filter(Boolean), end };
}

function layOut({ boxes, edges }, direction) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: direction, nodesep: 18, ranksep: 34, marginx: 12, marginy: 12, ranker: boxes.length > 400 ? "longest-path" : "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const box of boxes) {
    const { title, small, end } = lines(box);
    const wide = Math.max(width(title, 13) + (end ? width(end, 11) + 10 : 0), ...small.map((line) => width(line, 11)));
    box.w = Math.ceil(Math.max(60, wide) + 26);
    box.h = 24 + 15 * small.length;
    graph.setNode(box.id, { width: box.w, height: box.h });
  }
  for (const edge of edges) graph.setEdge(edge.from, edge.to);
  dagre.layout(graph);
  for (const box of boxes) ({ x: box.x, y: box.y } = graph.node(box.id));
  for (const edge of edges) edge.points = graph.edge(edge.from, edge.to).points;
  const { width: w, height: h } = graph.graph();
  return { w: Number.isFinite(w) ? w : 100, h: Number.isFinite(h) ? h : 100 };
}

/** A curve through the middles of a row of points. */
function curve(points) {
  const [first, ...rest] = points;
  const at = (p) => `${p.x.toFixed(1)},${p.y.toFixed(1)}`;
  let path = `M${at(first)}`;
  for (let n = 0; n + 1 < rest.length; n++) {
    const middle = { x: (rest[n].x + rest[n + 1].x) / 2, y: (rest[n].y + rest[n + 1].y) / 2 };
    path += `Q${at(rest[n])} ${at(middle)}`;
  }
  return `${path}L${at(rest[rest.length - 1] ?? first)}`;
}

function drawBox(box, slowest) {
  const { title, small, end } = lines(box);
  const [x, y] = [box.x - box.w / 2, box.y - box.h / 2];
  const made = element("g", { class: `node ${box.isModule ? "module" : ""} ${box.kind === "value" ? "value" : ""}`, transform: `translate(${x.toFixed(1)},${y.toFixed(1)})`, "data-id": box.id });
  made.append(element("rect", { width: box.w, height: box.h, rx: 6 }));
  if (box.isModule) made.append(element("rect", { x: 4, y: box.h, width: box.w - 8, height: 3, rx: 1.5, class: "kind", style: "fill:var(--module)" }));
  made.append(element("rect", { class: "kind", x: 5, y: 6, width: 4, height: box.h - 12, rx: 2, style: `fill:var(--${box.kind})` }));
  made.append(element("text", { x: 16, y: 17 }, title));
  small.forEach((line, n) => made.append(element("text", { x: 16, y: 32 + 15 * n, class: "small" }, line)));
  if (end) made.append(element("text", { x: box.w - 8, y: 16, "text-anchor": "end", class: "small" }, end));
  if (box.seconds !== undefined && slowest > 0) {
    made.append(element("rect", { class: "heat", x: 0, y: box.h - 3, width: Math.max(1, (box.w * box.seconds) / slowest), height: 3 }));
  }
  return made;
}

/** Draws what is visible of a stage; gives the drawing with where everything is. */
function drawing(shown, direction) {
  const size = layOut(shown, direction);
  const arrow = element("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, element("path", { d: "M0,0L8,4L0,8z" }));
  const scene = element("g", { id: "scene" });
  for (const edge of shown.edges) {
    edge.path = element("path", { class: "edge", d: curve(edge.points), "marker-end": "url(#arrow)" });
    scene.append(edge.path);
  }
  const slowest = Math.max(0, ...shown.boxes.map((box) => box.seconds ?? 0));
  for (const box of shown.boxes) {
    box.drawn = drawBox(box, slowest);
    scene.append(box.drawn);
  }
  const svg = element("svg", { role: "img" }, element("defs", {}, arrow), scene);
  return { svg, scene, size };
}

/** A picture by itself: all colours are in it. */
function standalone({ scene, size }, css) {
  const copy = scene.cloneNode(true);
  copy.removeAttribute("transform");
  const root = getComputedStyle(document.documentElement);
  const names = [...new Set(css.match(/--[a-z]+/g).concat(Object.keys(KIND_WORDS).map((kind) => `--${kind}`), "--module", "--value"))];
  const colours = names.map((name) => `${name}:${root.getPropertyValue(name).trim()}`).join(";");
  const svg = element("svg", { xmlns: SVG, viewBox: `0 0 ${size.w} ${size.h}`, width: Math.ceil(size.w), height: Math.ceil(size.h) });
  svg.append(element("style", {}, `svg{${colours}}${css}`), document.getElementById("arrow").parentNode.cloneNode(true));
  svg.append(element("rect", { width: "100%", height: "100%", fill: "var(--back)" }), copy);
  return new XMLSerializer().serializeToString(svg);
}
