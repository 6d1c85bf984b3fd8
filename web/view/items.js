// What a stage draws: boxes of nodes or of kernels, with edges; modules that are folded are one box.

const KIND_WORDS = {
  product: "convolution, matrix product", window: "pooling, resizing", normalization: "normalization, softmax",
  elementwise: "elementwise", reduction: "reduction", movement: "movement", source: "sizes, random numbers", loop: "loop",
};

const typeOf = (value) => (value ? `${value.type}[${value.shape.join(", ")}]` : "");

/** A stage with its nodes and values by name, and its boxes, which are made once. */
function prepared(stage) {
  if (stage.boxes) return stage;
  const { graph } = stage;
  stage.values = new Map(graph.values.map((value) => [value.name, value]));
  stage.nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const maker = new Map();
  const boxes = [];
  for (const name of graph.inputs) {
    boxes.push({ id: `in:${name}`, label: name, second: "input", type: typeOf(stage.values.get(name)), kind: "value", layers: [], reads: [], module: [] });
    maker.set(name, `in:${name}`);
  }
  const add = (box, outputs) => {
    boxes.push(box);
    for (const name of outputs) maker.set(name, box.id);
  };
  const first = (outputs) => typeOf(stage.values.get(outputs[0]));
  if (stage.groups) {
    stage.groups.forEach((group, n) => {
      const nodes = [...group.prologue, ...(group.anchor ? [group.anchor] : []), ...group.nodes].map((name) => stage.nodes.get(name));
      const anchor = group.anchor ? stage.nodes.get(group.anchor) : nodes[0];
      add({
        id: `g:${n}`, label: group.name, second: nodes.map((node) => node.operator).join(" · "), type: first(group.outputs), kind: anchor.kind,
        group, nodes, layers: nodes.map((node) => node.layer), reads: group.inputs, module: moduleOf(anchor.layer),
      }, group.outputs);
    });
  } else {
    for (const node of graph.nodes) {
      add({
        id: `n:${node.name}`, label: node.layer || node.name, second: node.operator, type: first(node.outputs), kind: node.kind, node, nodes: [node],
        layers: [node.layer], reads: node.inputs, module: moduleOf(node.layer),
      }, node.outputs);
    }
  }
  graph.outputs.forEach((output) => {
    boxes.push({ id: `out:${output.name}`, label: output.name, second: "output", type: typeOf(stage.values.get(output.value)), kind: "value", layers: [], reads: [output.value], module: [] });
  });
  const byId = new Map(boxes.map((box) => [box.id, box]));
  const edges = [];
  for (const box of boxes) {
    for (const name of new Set(box.reads)) {
      if (maker.has(name) && maker.get(name) !== box.id) edges.push({ from: maker.get(name), to: box.id, value: name });
    }
  }
  Object.assign(stage, { boxes, byId, edges, depth: startingDepth(boxes), open: new Set() });
  return stage;
}

/** The modules that a layer is in: `layer1.0.conv1` is in `layer1` and `layer1.0`. */
function moduleOf(layer) {
  const parts = layer.split(/[./]/).filter(Boolean);
  return parts.slice(0, -1);
}

/** So many boxes are easy to look at, and laid out at once. */
const COMFORTABLE = 150;

function startingDepth(boxes) {
  if (boxes.length <= COMFORTABLE) return 99;
  return runs(boxes, 2, new Set()).length <= COMFORTABLE ? 2 : 1;
}

/** Boxes in rows of neighbours of one module. A part of an order in which nodes can run has no cycle with the rest. */
function runs(boxes, depth, open) {
  const found = [];
  let last = null;
  for (const box of boxes) {
    const key = box.module.slice(0, depth).join(".");
    if (depth < 99 && key && last?.key === key) {
      last.boxes.push(box);
    } else {
      last = { key: depth < 99 ? key : "", boxes: [box] };
      found.push(last);
    }
  }
  return found.flatMap((run) => {
    const id = `m:${run.boxes[0].id}`;
    if (run.boxes.length < 2 || !run.key) return run.boxes;
    return open.has(id) ? run.boxes.map((box) => ({ ...box, opened: id })) : [{ ...folded(run), id }];
  });
}

function folded({ key, boxes }) {
  const last = boxes[boxes.length - 1];
  const counts = {};
  for (const box of boxes) counts[box.kind] = (counts[box.kind] ?? 0) + 1;
  const kind = Object.entries(counts).sort((a, b) => b[1] - a[1])[0][0];
  return {
    label: key, second: `${boxes.length} ${boxes[0].group ? "kernels" : "nodes"}`, type: last.type, kind, boxes, isModule: true,
    nodes: boxes.flatMap((box) => box.nodes ?? []), layers: boxes.flatMap((box) => box.layers), module: key.split("."),
  };
}

/** What is drawn now: boxes, and edges between these. */
function visible(stage) {
  const boxes = runs(stage.boxes, stage.depth, stage.open);
  const shownAs = new Map();
  for (const box of boxes) for (const inner of box.boxes ?? [box]) shownAs.set(inner.id, box.id);
  const seen = new Map();
  for (const edge of stage.edges) {
    const [from, to] = [shownAs.get(edge.from), shownAs.get(edge.to)];
    if (from === to) continue;
    const key = `${from} ${to}`;
    if (seen.has(key)) seen.get(key).values.push(edge.value);
    else seen.set(key, { from, to, values: [edge.value] });
  }
  return { boxes, edges: [...seen.values()], shownAs };
}
