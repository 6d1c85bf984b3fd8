// A page that compiles what is dropped on it, and runs or trains it.
import { load } from "./kiln.js";
import { compile } from "./compiler.js";
import { demoFor, deviceName, element, milliseconds, showError, size } from "./parts.js";
import { dataFrom } from "./train.js";

const at = (id) => document.getElementById(id);
const settings = JSON.parse(at("settings").textContent);
const [main, drop, status, facts, notes, problem] = ["main", "drop", "status", "facts", "notes", "error"].map(at);

/** What is to be compiled. */
let chosen = { model: undefined, weights: undefined };
let session;
let stopping;

const isWeights = ({ name }) => /\.(pt|pth|safetensors)$/i.test(name);
const isSource = ({ name }) => /\.py$/i.test(name);

async function choose(files) {
  const list = [...files];
  const model = list.find((file) => !isWeights(file));
  // Weights alone belong to the model that is there.
  chosen = model ? { model, weights: list.find(isWeights) } : { ...chosen, weights: list.find(isWeights) };
  if (!chosen.model) return complain(new Error("This file has weights; the model that they belong to is needed, too."));
  const names = [chosen.model, chosen.weights].filter(Boolean).map((file) => `${file.name} (${size(file.size)})`);
  at("chosen").textContent = names.join(" with ");
  const shows = isSource(chosen.model);
  at("editor").hidden = !shows;
  if (shows && model) at("source").value = await model.text();
  for (const id of ["run", "train"]) at(id).disabled = false;
  problem.hidden = true;
}

function complain(error) {
  problem.hidden = false;
  problem.textContent = error?.message ?? String(error);
  document.body.dataset.failed = problem.textContent;
}

/** What the form says. */
function options(training) {
  const list = (text) => text.split(/\s+/).filter(Boolean);
  const value = (id) => at(id).value.trim();
  return {
    name: chosen.model.name,
    model: value("model") || undefined,
    weights: chosen.weights,
    inputs: list(value("inputs")),
    args: list(value("args")),
    dims: Object.fromEntries(list(value("dims")).map((pair) => pair.split("="))),
    batch: Number(value("batch")) || undefined,
    precision: value("precision"),
    train: training ? { optimizer: value("optimizer"), momentum: value("optimizer") === "sgd" } : undefined,
  };
}

function busy(is) {
  for (const id of ["run", "train"]) at(id).disabled = is;
  at("stop").hidden = !is;
  document.body.dataset.compiling = is ? "running" : "idle";
}

async function make(training) {
  if (!chosen.model) return;
  stopping = new AbortController();
  busy(true);
  delete document.body.dataset.failed;
  problem.hidden = facts.hidden = true;
  notes.replaceChildren();
  main.replaceChildren();
  main.className = "";
  session?.dispose();
  session = undefined;
  try {
    const { signal } = stopping;
    status.textContent = "Compiling …";
    const began = performance.now();
    const file = isSource(chosen.model) ? new Blob([at("source").value]) : chosen.model;
    const made = await compile(file, { ...options(training), signal });
    const compiled = performance.now();
    status.textContent = "Making pipelines …";
    session = await load(made.plan, { signal });
    tell(made, [compiled - began, performance.now() - compiled], training);
    status.textContent = "";
    const { describe, show } = await import(demoFor(session));
    const own = training ? await lesson() : {};
    main.append(element("p", { class: "soft about" }, describe));
    await show(session, own, main);
    globalThis.kiln = { session, made };
    document.body.dataset.ready = training ? "train" : "run";
  } catch (error) {
    status.textContent = error?.name === "AbortError" ? "Stopped." : "";
    if (error?.name !== "AbortError") complain(error);
  } finally {
    busy(false);
  }
}

/** What goes in and what comes out. */
function values({ inputs, outputs }) {
  const text = ({ name, dtype, shape }) => `${name}: ${dtype}[${shape.join(", ")}]`;
  return [...inputs.map((input) => ["Input", text(input)]), ...outputs.map((output) => ["Output", text(output)])];
}

function tell(made, [compiling, loading], training) {
  const fact = (title, text) => element("div", {}, element("dt", {}, title), element("dd", {}, text));
  facts.replaceChildren(
    fact("Compiled in", milliseconds(compiling)),
    fact("Pipelines in", milliseconds(loading)),
    fact("Kernels", String(made.kernels)),
    fact("Plan", size(made.plan.length)),
    fact("For", made.target),
    ...values(session.describe(training ? "inference" : undefined)).map(([title, text]) => fact(title, text)),
  );
  facts.hidden = false;
  const random = "The weights are random numbers, since no file of weights was given.";
  const said = made.untrained && !training ? [random, ...made.notes] : made.notes;
  notes.replaceChildren(...said.map((text) => element("li", {}, text)));
}

/** Kiln's drawn digits, at the network's size and with as many classes as it has. */
async function lesson() {
  const [input] = session.describe("train").inputs;
  const [output] = session.describe("inference").outputs;
  const shape = input.shape.slice(1);
  const classes = output.shape.at(-1);
  const isPicture = shape.length === 3 && shape.every(Number.isInteger);
  if (!isPicture || shape[1] > 64 || shape[2] > 64 || output.shape.length !== 2 || !(classes >= 2)) {
    throw new Error(
      "The network is compiled for training, but this page has only small pictures of ten digits to train with: it takes " +
        `${input.shape.join(" x ")} and gives ${output.shape.join(" x ")}.`,
    );
  }
  const digits = await dataFrom(settings.data);
  const part = ({ count, pixels, labels }) => {
    const kept = Array.from({ length: count }, (_, i) => i).filter((i) => labels[i] < classes);
    const each = shape.reduce((a, b) => a * b);
    const resized = new Uint8Array(kept.length * each);
    kept.forEach((from, to) => resize(pixels.subarray(from * digits.each), digits.shape, resized, to * each, shape));
    return { count: kept.length, pixels: resized, labels: Uint8Array.from(kept, (i) => labels[i]) };
  };
  const [train, test] = [part(digits.train), part(digits.test)];
  const data = { shape, each: shape.reduce((a, b) => a * b), train, test };
  const largest = session.plan.symbols[0]?.max ?? 64;
  const lr = { sgd: 0.01, rmsprop: 0.001 }[at("optimizer").value] ?? 0.001;
  return { data, batch: Math.min(64, largest), epochs: 4, lr };
}

/** Puts a grey picture into one of any size and number of channels, each pixel the nearest. */
function resize(from, [, height, width], to, offset, [channels, rows, columns]) {
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const value = from[Math.floor((y * height) / rows) * width + Math.floor((x * width) / columns)];
      for (let c = 0; c < channels; c++) to[offset + (c * rows + y) * columns + x] = value;
    }
  }
}

at("files").addEventListener("change", ({ target }) => choose(target.files).catch(showError));
drop.addEventListener("dragover", (event) => (event.preventDefault(), drop.classList.add("over")));
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length) choose(event.dataTransfer.files).catch(showError);
});
at("example").addEventListener("click", async () => {
  const text = await (await fetch(settings.example)).text();
  await choose([new File([text], settings.example)]);
  at("editor").open = true;
});
at("form").addEventListener("submit", (event) => (event.preventDefault(), make(false)));
at("train").addEventListener("click", () => make(true));
at("stop").addEventListener("click", () => stopping.abort(new DOMException("stopped", "AbortError")));

const adapter = await navigator.gpu?.requestAdapter();
if (adapter) status.textContent = `This device: ${deviceName(adapter.info)}`;
else
  complain(new Error("This browser has no WebGPU: Chrome and Edge 113, Safari 26 and Firefox 141 or newer have it."));
