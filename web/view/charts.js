// The drawer: memory over the dispatches, and time by kernel.

/** The dispatch at which most is alive, and how much that is. */
function peak(stage) {
  const count = stage.dispatches.length + 1;
  const alive = new Array(count).fill(0);
  for (const live of stage.memory) for (let n = live.first; n <= Math.min(live.last, count - 1); n++) alive[n] += live.size;
  const most = Math.max(0, ...alive);
  return { at: alive.indexOf(most), most };
}

/** Arenas above one another, dispatches from left to right: each tensor is a box from its first to its last one. */
function memoryChart(stage, wide, pick) {
  const arenas = stage.arenas.filter((arena) => stage.memory.some((live) => live.buffer === arena.index));
  const [left, top, bottom] = [78, 14, 18];
  const [w, h] = [Math.max(wide - left - 10, 200), 176];
  const total = arenas.reduce((sum, arena) => sum + arena.size, 0) || 1;
  const gap = 4;
  const scale = (h - gap * Math.max(0, arenas.length - 1)) / total;
  const count = stage.dispatches.length + 1;
  const step = w / count;
  const svg = element("svg", { width: left + w + 10, height: top + h + bottom, role: "img", "aria-label": "Memory by dispatch" });
  const kinds = new Map();
  for (const box of stage.boxes) for (const node of box.nodes ?? []) for (const name of node.outputs) kinds.set(stage.values.get(name)?.original ?? name, node.kind);
  let y = top;
  for (const arena of arenas) {
    const height = arena.size * scale;
    svg.append(element("rect", { x: left, y, width: w, height, fill: "var(--card)" }));
    if (height > 12) svg.append(element("text", { x: left - 6, y: y + 11, "text-anchor": "end" }, `${arena.name.replace("arena ", "arena ")}`));
    if (height > 26) svg.append(element("text", { x: left - 6, y: y + 24, "text-anchor": "end" }, bytes(arena.size)));
    for (const live of stage.memory.filter((one) => one.buffer === arena.index)) {
      const box = element("rect", {
        class: "live", x: left + live.first * step, y: y + live.offset * scale, width: Math.max(0.6, (live.last - live.first + 1) * step),
        height: Math.max(0.4, live.size * scale), fill: `var(--${kinds.get(live.name) ?? "movement"})`, "data-first": live.first,
      });
      box.append(element("title", {}, `${live.name}: ${bytes(live.size)}, dispatches ${live.first} to ${Math.min(live.last, count - 2)}${live.last >= count - 1 ? " and the end" : ""}`));
      box.onclick = () => pick(live.first, live.name);
      svg.append(box);
    }
    y += height + gap;
  }
  const { at, most } = peak(stage);
  const x = left + (at + 0.5) * step;
  svg.append(element("line", { x1: x, x2: x, y1: 2, y2: top + h + 4, stroke: "var(--mark)", "stroke-width": 1.5, "stroke-dasharray": "4 3" }));
  const end = x > left + w / 2 ? "end" : "start";
  svg.append(element("text", { x: x + (end === "end" ? -5 : 5), y: 11, "text-anchor": end, style: "fill:var(--mark)" }, `most alive: ${bytes(most)} at dispatch ${at}`));
  svg.append(element("text", { x: left, y: top + h + 14 }, "dispatch 0"), element("text", { x: left + w, y: top + h + 14, "text-anchor": "end" }, `${stage.dispatches.length - 1}`));
  return svg;
}

/** A sorted bar for each dispatch that was measured, or each kernel's estimate. */
function timeChart(stage, pick) {
  const measured = Boolean(stage.profile);
  const entries = measured
    ? stage.dispatches.map((dispatch, n) => ({ name: dispatch.name, seconds: stage.profile.seconds[n] ?? 0, box: stage.groupOf.get(dispatch.launches.find((launch) => stage.groupOf.has(launch))) }))
    : stage.boxes.filter((box) => box.group?.selection).map((box) => {
      const { selection } = box.group;
      return { name: box.label, seconds: selection.candidates.find((one) => one.choice === selection.chosen).estimated_ns * 1e-9, box };
    });
  entries.sort((a, b) => b.seconds - a.seconds);
  const sum = entries.reduce((total, entry) => total + entry.seconds, 0) || 1;
  const most = entries[0]?.seconds || 1;
  const bars = entries.map((entry) =>
    html("button", { class: "bar", onclick: () => entry.box && pick(entry.box), title: entry.name },
      html("span", {}, entry.name),
      html("span", {}, html("i", { style: `width:${((100 * entry.seconds) / most).toFixed(2)}%` })),
      html("span", {}, `${milliseconds(entry.seconds)}, ${((100 * entry.seconds) / sum).toFixed(1)} %`)));
  const about = measured ? `Measured on ${stage.profile.device}, ${milliseconds(sum)} in all kernels` : "Estimates that choose between kernels, for comparison only; --profile measures";
  return html("div", {}, html("p", { style: "margin:0 0 4px;color:var(--soft)" }, about), bars);
}
