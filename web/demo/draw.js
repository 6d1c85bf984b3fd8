// A pad to draw a digit on, with pointer or keyboard.
import { element } from "./parts.js";

const SIDE = 28;
/** Pixels of the pad for each pixel of the network. */
const SCALE = 10;

/** A pad; `changed` is called with its pixels, from 0 to 1, when a line ends. */
export function pad(changed) {
  const canvas = element("canvas", {
    class: "pad",
    width: SIDE * SCALE,
    height: SIDE * SCALE,
    tabindex: 0,
    role: "img",
    "aria-label": "Draw a digit here. With the keyboard: arrow keys move, space draws, Escape clears.",
  });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let last;
  let pen = [(SIDE * SCALE) / 2, (SIDE * SCALE) / 4];
  const clear = () => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    changed(undefined);
  };
  const place = ({ clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [((clientX - left) / width) * canvas.width, ((clientY - top) / height) * canvas.height];
  };
  const line = ([x0, y0], [x1, y1]) => {
    Object.assign(context, { strokeStyle: "#fff", lineWidth: 2.2 * SCALE, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1 + 0.01);
    context.stroke();
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const here = place(event);
    line(last, here);
    last = here;
  });
  const end = () => {
    if (last) changed(pixels(canvas));
    last = undefined;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("keydown", (event) => {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (event.key === "Escape") clear();
    else if (!x && !y && event.key !== " ") return;
    event.preventDefault();
    const next = [pen[0] + x * SCALE, pen[1] + y * SCALE];
    if (event.key === " " || event.shiftKey) {
      line(pen, next);
      changed(pixels(canvas));
    }
    pen = next.map((n) => Math.min(Math.max(n, 0), SIDE * SCALE));
  });
  context.fillRect(0, 0, canvas.width, canvas.height);
  return { canvas, clear };
}

/** What is drawn, brought to the middle and to the size of digits that networks learn from. */
function pixels(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[4 * (y * width + x)] < 64) continue;
      [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
    }
  }
  const small = new OffscreenCanvas(SIDE, SIDE).getContext("2d");
  small.fillRect(0, 0, SIDE, SIDE);
  small.imageSmoothingQuality = "high";
  const scale = Math.min(20 / Math.max(right - left, bottom - top, 1), 20 / 40);
  const [w, h] = [(right - left) * scale, (bottom - top) * scale];
  if (w > 0) small.drawImage(canvas, left, top, right - left, bottom - top, (SIDE - w) / 2, (SIDE - h) / 2, w, h);
  const found = small.getImageData(0, 0, SIDE, SIDE).data;
  return Float32Array.from({ length: SIDE * SIDE }, (_, i) => found[4 * i] / 255);
}
