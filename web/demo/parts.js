// What all pages share.

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
  document
    .getElementById("main")
    .prepend(
      element(
        "section",
        { class: "card error", role: "alert" },
        element("h2", {}, "This did not work"),
        element("p", {}, text),
      ),
    );
}

export function size(bytes) {
  if (bytes < 1e3) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
export const milliseconds = (time) => (time < 10 ? time.toFixed(1) : time.toFixed(0)) + " ms";

/** Which of the demos suits a model. */
export function demoFor(session) {
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

/** A device in words. */
export function deviceName({ vendor, architecture, description } = {}) {
  const words = [description || vendor, description ? "" : architecture].filter(Boolean).join(" ");
  return words || "its graphics processor";
}
