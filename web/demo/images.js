// A picture before and after.
import { card, element, milliseconds, showError } from "./parts.js";
import { planes } from "./classify.js";

export const describe = "What the network makes of a picture, computed in this page.";

export async function show(session, settings, main) {
  const [input] = session.inputs;
  const [, channels, height, width] = input.shape;
  const before = element("canvas", { width, height, role: "img", "aria-label": "Before" });
  // Whatever is a picture is shown.
  const afters = session.outputs.filter(({ shape }) => shape.length === 4 && [1, 3].includes(shape[1]));
  const canvases = afters.map(({ name }) =>
    element("canvas", { width, height, role: "img", "aria-label": `After: ${name}` }),
  );
  const time = element("p", { class: "soft", role: "status" }, "Choose a picture.");
  async function take(file) {
    const bitmap = await createImageBitmap(file);
    before.getContext("2d").drawImage(bitmap, 0, 0, width, height);
    const began = performance.now();
    const asPicture = !!session.metadata?.preprocessing?.pictures;
    const found = await session.run({ [input.name]: asPicture ? bitmap : planes(bitmap, channels, width, height) });
    time.textContent = `Computed in ${milliseconds(performance.now() - began)}.`;
    afters.forEach(({ name }, i) => paint(canvases[i], found[name]));
  }
  const choose = element("input", {
    type: "file",
    accept: "image/*",
    onchange: () => choose.files[0] && take(choose.files[0]).catch(showError),
  });
  const figure = (canvas, caption) => element("figure", {}, canvas, element("figcaption", {}, caption));
  main.append(
    card(
      "Picture",
      element("div", { class: "row" }, element("label", { class: "button" }, "Choose a picture", choose)),
      element(
        "div",
        { class: "pair" },
        figure(before, "Before"),
        ...canvases.map((canvas, i) => figure(canvas, canvases.length > 1 ? afters[i].name : "After")),
      ),
      time,
    ),
  );
}

/** Paints values of [1, C, H, W]: as they are where they lie between 0 and 1, or 0 and 255, else from least to most. */
function paint(canvas, { shape, data }) {
  const [, channels, height, width] = shape;
  [canvas.width, canvas.height] = [width, height];
  let [least, most] = [Infinity, -Infinity];
  for (const value of data) [least, most] = [Math.min(least, value), Math.max(most, value)];
  if (least >= -0.05 && most <= 1.05) [least, most] = [0, 1];
  else if (least >= -16 && most > 16 && most <= 271) [least, most] = [0, 255];
  const image = new ImageData(width, height);
  const plane = width * height;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++)
      image.data[4 * i + c] = (255 * (data[(channels === 1 ? 0 : c) * plane + i] - least)) / (most - least);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
