// Charts of a training.
import { element } from "./parts.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [480, 170, 40, 18];

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A mean that follows the values: each counts a little less than the next. */
function smoothed(values, keep) {
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    [sum, weight] = [keep * sum + value, keep * weight + 1];
    return sum / weight;
  });
}

/** The loss of each step, and its mean, on a logarithmic axis. */
export function lossChart() {
  const faint = svg("path", { class: "faint" });
  const line = svg("path", { class: "line" });
  const marks = svg("g", {});
  const chart = svg("svg", {
    class: "chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": "The loss of each step",
  });
  chart.append(
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
    marks,
    faint,
    line,
  );
  function draw(losses) {
    const finite = losses.filter((loss) => loss > 0 && Number.isFinite(loss));
    if (finite.length < 2) return;
    const [least, most] = [Math.log(Math.min(...finite)), Math.log(Math.max(...finite))];
    // No more points than there are pixels.
    const by = Math.max(1, Math.floor(losses.length / (WIDTH - LEFT)));
    const x = (i) => LEFT + ((WIDTH - LEFT) * i) / Math.max(1, losses.length - 1);
    const y = (loss) => 8 + (HEIGHT - BOTTOM - 8) * (1 - (Math.log(loss) - least) / Math.max(1e-9, most - least));
    const path = (values) => {
      const points = values.map((value, i) => [i, value]).filter(([i, value]) => i % by === 0 && value > 0);
      return points.map(([i, value], n) => `${n ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    };
    faint.setAttribute("d", path(losses));
    line.setAttribute("d", path(smoothed(losses, 0.95)));
    const mark = (loss) => svg("text", { x: LEFT - 6, y: y(loss) + 4, "text-anchor": "end" }, loss.toPrecision(2));
    const end = svg("text", { x: WIDTH, y: HEIGHT - 3, "text-anchor": "end" }, `step ${losses.length}`);
    marks.replaceChildren(...[least, (least + most) / 2, most].map((power) => mark(Math.exp(power))), end);
  }
  return { chart, draw };
}

/** How often each class (row) was taken for each (column). */
export function confusion(counts, labels) {
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, ""),
    ...labels.map((label) => element("th", { scope: "col", title: label }, label)),
  );
  const rows = labels.map((label, row) => {
    const most = Math.max(1, ...counts[row]);
    const cells = counts[row].map((count, column) => {
      const share = Math.round((100 * count) / most);
      const colour = row === column ? "var(--good)" : "var(--accent)";
      return element(
        "td",
        { style: `background: color-mix(in srgb, ${colour} ${Math.round(share * 0.6)}%, transparent)` },
        count ? String(count) : "",
      );
    });
    return element("tr", {}, element("th", { scope: "row", title: label }, label), ...cells);
  });
  return element(
    "table",
    { class: "confusion" },
    element("caption", { class: "soft" }, "Rows: what it is. Columns: what the network says."),
    element("thead", {}, head),
    element("tbody", {}, ...rows),
  );
}

/** A sample as a picture. */
export function picture(pixels, [channels, height, width]) {
  const canvas = element("canvas", { width, height, role: "img" });
  const image = new ImageData(width, height);
  const plane = width * height;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[(channels === 1 ? 0 : c) * plane + i];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
