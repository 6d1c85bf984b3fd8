// Classes of a picture: dropped, chosen, from the camera, or drawn.
import { top } from "./kiln.js";
import { card, element, milliseconds, showError } from "./parts.js";
import { pad } from "./draw.js";

export const describe = "Which class a picture belongs to, computed in this page.";

export async function show(session, settings, main) {
  main.classList.add("two");
  const [input] = session.inputs;
  const [output] = session.outputs;
  const [, channels, height, width] = input.shape;
  const scores = element("ol", { class: "scores" });
  const time = element("p", { class: "soft", role: "status" }, "Choose a picture to see what the network says.");
  const asPicture = !!session.metadata?.preprocessing?.pictures;

  let busy = false;
  async function answer(given) {
    if (busy) return;
    busy = true;
    try {
      const began = performance.now();
      const found = await session.run({ [input.name]: given });
      const took = performance.now() - began;
      const best = top(found[output.name], session.labels);
      scores.replaceChildren(
        ...best.map(({ label, probability }) => {
          const bar = element("i", { style: `width: ${(100 * probability).toFixed(1)}%` });
          return element(
            "li",
            {},
            bar,
            element("span", {}, label),
            element("span", {}, `${(100 * probability).toFixed(1)} %`),
          );
        }),
      );
      time.textContent = `Answered in ${milliseconds(took)}.`;
      document.body.dataset.answer = best[0].label;
    } catch (error) {
      showError(error);
    } finally {
      busy = false;
    }
  }

  /** A picture as the plan says, or else its pixels from 0 to 1 at the network's size. */
  const given = (picture) => (asPicture ? picture : planes(picture, channels, width, height));
  const preview = element("div", { class: "drop" }, "Drop a picture here");
  async function take(file) {
    const bitmap = await createImageBitmap(file);
    const canvas = element("canvas", {
      width: bitmap.width,
      height: bitmap.height,
      role: "img",
      "aria-label": "The chosen picture",
    });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    preview.replaceChildren(canvas);
    await answer(given(bitmap));
  }
  preview.addEventListener("dragover", (event) => (event.preventDefault(), preview.classList.add("over")));
  preview.addEventListener("dragleave", () => preview.classList.remove("over"));
  preview.addEventListener("drop", (event) => {
    event.preventDefault();
    preview.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file).catch(showError);
  });
  const choose = element("input", {
    type: "file",
    accept: "image/*",
    onchange: () => choose.files[0] && take(choose.files[0]).catch(showError),
  });
  const camera = element("button", { type: "button", onclick: () => film().catch(showError) }, "Camera");
  let stream;
  async function film() {
    if (stream) {
      stream.getTracks().forEach((track) => track.stop());
      stream = undefined;
      camera.textContent = "Camera";
      return;
    }
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    camera.textContent = "Stop";
    const video = element("video", { autoplay: true, playsinline: true, muted: true });
    video.srcObject = stream;
    preview.replaceChildren(video);
    await video.play();
    // Until it is stopped, or the page shows something else.
    while (stream && video.isConnected) {
      await answer(given(video));
      await new Promise(requestAnimationFrame);
    }
    stream?.getTracks().forEach((track) => track.stop());
  }
  const parts = [
    element("div", { class: "row" }, element("label", { class: "button" }, "Choose a picture", choose), camera),
    preview,
  ];
  if (channels === 1 && width === 28 && height === 28) {
    const digit = pad((pixels) => pixels && answer(normalized(pixels, session)));
    const clear = element("button", { type: "button", onclick: digit.clear }, "Clear");
    parts.unshift(
      element("p", { class: "soft" }, "Draw a digit:"),
      digit.canvas,
      element("div", { class: "row" }, clear),
    );
  }
  main.append(card("Picture", ...parts), card("Answer", scores, time));
}

/** Pixels from 0 to 1 as the plan wants them. */
export function normalized(pixels, session) {
  const { mean = [], std = [], pictures } = session.metadata?.preprocessing ?? {};
  const white = pictures?.pixelMax ?? 1;
  return pixels.map((value) => (value * white - (mean[0] ?? 0)) / (std[0] ?? 1));
}

/** The pixels of a picture from 0 to 1, channel by channel. */
export function planes(picture, channels, width, height) {
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(picture, 0, 0, width, height);
  const { data } = canvas.getImageData(0, 0, width, height);
  const plane = width * height;
  return Float32Array.from({ length: channels * plane }, (_, i) => {
    const at = 4 * (i % plane);
    const value =
      channels === 1
        ? 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]
        : data[at + Math.floor(i / plane)];
    return value / 255;
  });
}
