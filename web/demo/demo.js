// The page: loads the model and shows what suits it.
import { load } from "./kiln.js";

const settings = JSON.parse(document.getElementById("settings").textContent);
const [main, status, progress] = ["main", "status", "progress"].map((id) => document.getElementById(id));

document.title = settings.title || "Kiln";
document.getElementById("title").textContent = settings.title || "Kiln";

/** Makes an element: `element("p", { class: "soft" }, "text")`. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A part of the page with a heading. */
export const card = (title, ...children) =>
  element("section", { class: "card" }, element("h2", {}, title), ...children);

export function showError(error) {
  const text = error?.message ?? String(error);
  main.prepend(
    element(
      "section",
      { class: "card error", role: "alert" },
      element("h2", {}, "This did not work"),
      element("p", {}, text),
    ),
  );
}

const size = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} KB` : `${(bytes / 1e6).toFixed(1)} MB`);
export const milliseconds = (time) => (time < 10 ? time.toFixed(1) : time.toFixed(0)) + " ms";

/** Which of the demos suits a model. */
function demoFor(session) {
  if (session.programs.includes("train")) return "./train.js";
  const [input, ...others] = session.inputs;
  const output = session.outputs[0];
  const isPicture =
    !others.length && input?.dtype === "f32" && input.shape.length === 4 && [1, 3].includes(input.shape[1]);
  const isFixed = isPicture && input.shape.slice(2).every(Number.isInteger);
  if (isFixed && output?.shape.length === 4 && [1, 3].includes(output.shape[1])) return "./images.js";
  if (isFixed && output?.shape.length === 2 && output.shape[1] > 1) return "./classify.js";
  return "./numbers.js";
}

async function start() {
  const began = performance.now();
  const session = await load(
    settings.plans.map((plan) => new URL(plan, location.href)),
    {
      onProgress({ loaded, total }) {
        progress.value = loaded / total;
        status.textContent =
          loaded < total ? `Loading the model: ${size(loaded)} of ${size(total)}` : "Compiling kernels …";
      },
    },
  );
  const took = performance.now() - began;
  session.addEventListener("lost", async () => {
    status.textContent = "The graphics device was lost; continuing on a new one";
    await session.restore().catch(showError);
  });
  const { describe, show } = await import(demoFor(session));
  document.getElementById("loading").remove();
  document.getElementById("about").textContent = describe;
  const { vendor, architecture, description } = session.device.adapterInfo ?? {};
  const device = [description || vendor, description ? "" : architecture].filter(Boolean).join(" ");
  const kernels = session.plan.shaders.length;
  document.getElementById("facts").textContent =
    `Runs on this device (${device || "its graphics processor"}); nothing is sent anywhere. Loaded in ${milliseconds(took)}, ${kernels} kernels. Made with Kiln.`;
  await show(session, settings, main);
  document.body.dataset.ready = "";
}

start().catch((error) => {
  document.getElementById("loading").remove();
  showError(error);
  document.body.dataset.failed = "";
});
