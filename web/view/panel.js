// The details of what is selected.

function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const table = (head, rows) =>
  html("table", {}, head ? html("tr", {}, head.map((cell) => html("th", {}, cell))) : null, rows);

const row = (cells, className = "") =>
  html("tr", className ? { class: className } : {}, cells.map((cell) => html("td", typeof cell === "number" ? { class: "number" } : {}, typeof cell === "object" ? cell : String(cell))));

const section = (title, ...children) => [html("h3", {}, title), ...children];

const said = (value) => (Array.isArray(value) ? `[${value.map(said).join(", ")}]` : String(value));

/** A link to another box of the stage. */
const link = (box, go, text) => html("a", { role: "button", tabindex: "0", onclick: () => go(box), onkeydown: (event) => event.key === "Enter" && go(box) }, text ?? box.label);

function valueRows(stage, names) {
  return names.map((name) => {
    const value = stage.values.get(name);
    const from = value?.from === "constant" || value?.from === "state" ? value.from : "";
    return row([name, typeOf(value), value?.data && value.data.length < 60 ? value.data : from]);
  });
}

/** An operator of the graph. */
function nodeDetails(data, stage, node) {
  const attributes = Object.entries(node.attributes);
  const line = data.lines?.[node.layer];
  return [
    ...section("Operator", html("p", {}, `${node.operator}, ${KIND_WORDS[node.kind] ?? node.kind}`)),
    ...(line ? section("Source", html("p", {}, `${line.file}, line ${line.number}`), html("pre", {}, line.text)) : []),
    ...(data.front === "onnx" && node.layer ? section("ONNX node", html("p", {}, node.layer)) : []),
    ...(attributes.length ? section("Attributes", table(null, attributes.map(([name, value]) => row([name, said(value)])))) : []),
    ...section("Reads", table(null, valueRows(stage, node.inputs))),
    ...section("Makes", table(null, valueRows(stage, node.outputs))),
  ];
}

/** The choice of a kernel with what was not chosen. */
function choice(selection) {
  if (!selection) return section("Kernel", html("p", {}, "None: it is another way to read what is in memory."));
  const best = selection.candidates.filter((one) => one.choice !== selection.chosen);
  best.sort((a, b) => b.admitted - a.admitted || a.estimated_ns - b.estimated_ns);
  const time = (one) => milliseconds(one.estimated_ns * 1e-9);
  const chosen = selection.candidates.find((one) => one.choice === selection.chosen);
  const rows = [row([selection.chosen, time(chosen), selection.reason], "chosen"), ...best.map((one) => row([one.choice, time(one), one.why]))];
  return [
    ...section("Kernel", html("p", {}, `${selection.chosen} (${selection.reason})`), html("p", {}, selection.problem)),
    html("details", rows.length < 12 ? { open: "" } : {}, html("summary", {}, `${rows.length} candidates`), table(["candidate", "estimate", "why"], rows)),
  ];
}

function launch(data, stage, number) {
  const one = stage.launches[number];
  const kernel = data.kernels[one.kernel];
  const names = parameterNames(kernel.wgsl);
  const n = stage.dispatchOf.get(number);
  const dispatch = stage.dispatches[n];
  const merged = dispatch.launches.length > 1 ? data.kernels[dispatch.kernel] : null;
  return [
    ...section(`Launch of ${kernel.name}`, html("p", {}, `${one.workgroups.join(" × ")} workgroups, dispatch ${n} of ${stage.dispatches.length}${merged ? `, ${dispatch.sharing} with ${dispatch.launches.length - 1} more` : ""}`)),
    one.parameters.length ? html("details", one.parameters.length <= 24 ? { open: "" } : {}, html("summary", {}, `${one.parameters.length} parameters`), table(null, one.parameters.map((value, i) => row([names[i] ?? i, value])))) : null,
    html("p", {}, "WGSL"), coloured(kernel.wgsl),
    merged ? html("details", {}, html("summary", {}, `WGSL of the dispatch, ${merged.name}`), coloured(merged.wgsl)) : null,
  ];
}

/** A kernel of several nodes. */
function groupDetails(data, stage, box, go) {
  const { group } = box;
  const selection = group.selection;
  const others = sharing(stage, box);
  return [
    group.ends ? html("p", { class: "why" }, `Not fused further: ${group.ends.words}`) : html("p", {}, "Its result is not read by other kernels."),
    box.seconds === undefined ? null : html("p", {}, `${milliseconds(box.seconds)} measured`),
    ...(others.length ? section("Shares a dispatch with", html("p", {}, others.flatMap((other, n) => [n ? ", " : "", link(other, go)]))) : []),
    ...choice(selection),
    ...group.launches.flatMap((number) => launch(data, stage, number)),
    ...section("Nodes", table(["layer", "operator", "result"], box.nodes.map((node) => row([node.layer, node.operator, typeOf(stage.values.get(node.outputs[0]))])))),
    ...section("Reads", table(null, valueRows(stage, group.inputs))),
    ...section("Source", ...sourceLines(data, box.nodes)),
  ];
}

function sourceLines(data, nodes) {
  if (data.front === "onnx") return [html("p", {}, `ONNX nodes ${[...new Set(nodes.map((node) => node.layer))].join(", ")}`)];
  const lines = [...new Set(nodes.map((node) => node.layer))].map((layer) => data.lines?.[layer]).filter(Boolean);
  const unique = [...new Map(lines.map((line) => [`${line.file}:${line.number}`, line])).values()];
  return unique.length ? unique.map((line) => html("pre", {}, `${line.file}:${line.number}: ${line.text}`)) : [html("p", {}, "no line of the source: it is added for training, or by a pass")];
}

function difference(stage) {
  if (!stage.removed) return [];
  if (!stage.changed) return [html("p", {}, "This pass changes nothing here.")];
  const lines = (list, mark, name) => list.map((line) => html("span", { class: name }, `${mark} ${line}\n`));
  return section("What the pass changes", html("pre", {}, lines(stage.removed, "-", "gone"), lines(stage.added, "+", "new")));
}

/** When nothing is selected: the stage as a whole. */
function overview(data, stage) {
  const counts = {};
  for (const box of stage.boxes) if (box.kind !== "value") counts[box.kind] = (counts[box.kind] ?? 0) + 1;
  const shared = stage.dispatches?.filter((dispatch) => dispatch.launches.length > 1).length;
  return [
    html("h2", {}, stage.title),
    html("p", {}, stage.about),
    html("p", {}, `${stage.graph.nodes.length} nodes${stage.groups ? `, ${stage.groups.length} groups, ${stage.launches.length} launches in ${stage.dispatches.length} dispatches${shared ? `, of which ${shared} run several kernels` : ""}` : ""}`),
    html("ul", { class: "kinds" }, Object.entries(counts).map(([kind, count]) => html("li", {}, html("i", { style: `background:var(--${kind})` }), `${count} ${KIND_WORDS[kind]}`))),
    html("p", {}, `Compiled for ${data.target}${data.maxima ? `, ${data.maxima}` : ""}. ${stage.profile ? `Measured on ${stage.profile.device}.` : ""}`),
    ...difference(stage),
  ];
}

/** Fills the panel. */
function details(data, stage, box, go, open) {
  if (!box) return overview(data, stage);
  const head = [html("h2", {}, box.label), html("p", {}, box.type)];
  if (box.isModule) {
    return [...head, html("p", {}, html("button", { onclick: () => open(box.id) }, "Open"), ` ${box.second}`), table(["name", "operators", "result"], box.boxes.map((inner) => row([inner.label, inner.second, inner.type])))];
  }
  const close = box.opened ? [html("p", {}, html("button", { onclick: () => open(box.opened) }, "Fold its module"))] : [];
  if (box.group) return [...head, ...close, ...groupDetails(data, stage, box, go)];
  if (box.node) return [...head, ...close, ...nodeDetails(data, stage, box.node)];
  return head;
}
