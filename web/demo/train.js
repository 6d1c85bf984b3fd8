// Training in the page: live loss, accuracy, confusion, mistakes; weights are saved and loaded.
import { top } from "./kiln.js";
import { readFile, writeFile } from "./training.js";
import { confusion, lossChart, picture } from "./charts.js";
import { normalized } from "./classify.js";
import { card, element, showError } from "./parts.js";
import { pad } from "./draw.js";

export const describe = "A network that learns in this page, on this device.";

const KEPT = "weights.safetensors";

/** Pixels and classes of each part, as `kiln export-web` packs them. */
export async function dataFrom(url) {
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const { shape, counts } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const each = shape.reduce((a, b) => a * b, 1);
  let at = 4 + length;
  const parts = counts.map((count) => {
    const pixels = bytes.subarray(at, (at += count * each));
    return { count, pixels, labels: bytes.subarray(at, (at += count)) };
  });
  return { shape, each, train: parts[0], test: parts[1] ?? parts[0] };
}

/** Samples as the network takes them. */
function samples({ pixels, labels }, indices, { shape, each }, session) {
  const { mean = [], std = [], pictures } = session.metadata?.preprocessing ?? {};
  const white = (pictures?.pixelMax ?? 1) / 255;
  const plane = each / shape[0];
  const input = new Float32Array(indices.length * each);
  const target = new Int32Array(indices.length);
  indices.forEach((index, n) => {
    target[n] = labels[index];
    for (let i = 0; i < each; i++) {
      const c = Math.floor(i / plane);
      input[n * each + i] = (pixels[index * each + i] * white - (mean[c] ?? mean[0] ?? 0)) / (std[c] ?? std[0] ?? 1);
    }
  });
  return { input, target };
}

function shuffled(count) {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(Math.random() * (i + 1));
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}

/** The share of the learning rate at a time from 0 to 1: it rises, and then falls to nothing (Smith's one-cycle). */
const oneCycle = (time) => (time < 0.25 ? 0.1 + 3.6 * time : (1 + Math.cos((Math.PI * (time - 0.25)) / 0.75)) / 2);

export async function show(session, settings, main) {
  main.classList.add("two");
  if (!settings.data) {
    main.append(
      card(
        "Training",
        element(
          "p",
          {},
          "This page came without data: `kiln export-web MODEL --train --data digits` brings some along.",
        ),
      ),
    );
    return;
  }
  const data = typeof settings.data === "string" ? await dataFrom(settings.data) : settings.data;
  const labels = session.labels.length
    ? session.labels
    : [...new Set(data.train.labels)].sort((a, b) => a - b).map(String);
  const view = new View(labels, data, settings);
  const { batch = 64, epochs = 4 } = settings;
  const losses = [];
  let [running, step] = [false, 0];
  const steps = epochs * Math.floor(data.train.count / batch);

  async function evaluate() {
    const all = Array.from({ length: data.test.count }, (_, i) => i);
    const found = await session.evaluate(samples(data.test, all, data, session));
    view.evaluated(found);
    return found;
  }

  async function train() {
    running = true;
    view.running(true);
    let shown = performance.now();
    let order = [];
    const began = [performance.now(), step];
    try {
      for (const end = step + steps; running && step < end; step++) {
        if (order.length < batch) {
          if (step > began[1]) session.progress.epoch++;
          order = shuffled(data.train.count);
        }
        const given = samples(data.train, order.splice(0, batch), data, session);
        await session.step({ ...given, lr: view.lr() * oneCycle((step - began[1]) / steps) });
        if (performance.now() - shown < 250) continue;
        shown = performance.now();
        losses.push(...(await session.lossesSince()));
        view.trained(losses, step + 1, ((step - began[1]) * 1000 * batch) / (shown - began[0]));
        if (Math.floor(step / 100) > view.judged) {
          view.judged = Math.floor(step / 100);
          await evaluate();
        }
      }
      losses.push(...(await session.lossesSince()));
      view.trained(losses, step);
      await evaluate();
    } finally {
      running = false;
      view.running(false);
    }
  }

  const act = (work) => () => work().catch(showError);
  view.start.addEventListener(
    "click",
    act(async () => (running ? void (running = false) : train())),
  );
  view.save.addEventListener(
    "click",
    act(async () => {
      const bytes = await session.save({ weights: true });
      await writeFile(KEPT, bytes);
      const url = URL.createObjectURL(new Blob([bytes]));
      element("a", { href: url, download: KEPT }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1e4);
      view.note(
        `Saved as ${KEPT}, and in this browser. \`kiln eval MODEL --weights ${KEPT}\` reads it, and PyTorch does.`,
      );
    }),
  );
  const restore = async (bytes, from) => {
    await session.restoreFrom(bytes, { partly: true });
    view.note(`Weights loaded from ${from}.`);
    await evaluate();
  };
  view.load.addEventListener(
    "change",
    act(async () => {
      const [file] = view.load.files;
      if (file) await restore(new Uint8Array(await file.arrayBuffer()), file.name);
    }),
  );
  const kept = await readFile(KEPT).catch(() => undefined);
  if (kept) view.offer(act(() => restore(kept, "this browser")));

  const scores = element("ol", { class: "scores" });
  const parts = [];
  if (data.shape.join() === "1,28,28" && labels.length >= 10) {
    const digit = pad(async (pixels) => {
      if (!pixels) return scores.replaceChildren();
      const found = await session
        .run({ input: normalized(pixels, session) }, { program: "inference" })
        .catch(showError);
      if (!found) return;
      const best = top(Object.values(found)[0], labels, 3);
      document.body.dataset.answer = best[0].label;
      scores.replaceChildren(
        ...best.map(({ label, probability }) =>
          element(
            "li",
            {},
            element("i", { style: `width: ${(100 * probability).toFixed(1)}%` }),
            element("span", {}, label),
            element("span", {}, `${(100 * probability).toFixed(1)} %`),
          ),
        ),
      );
    });
    const clear = element("button", { type: "button", onclick: digit.clear }, "Clear");
    parts.push(card("Draw a digit", digit.canvas, element("div", { class: "row" }, clear), scores));
  }
  view.attach(main, parts);
  await evaluate();
  // For tests, and for whoever opens the console.
  globalThis.kiln = { session, losses };
}

/** What is shown of a training. */
class View {
  judged = -1;
  facts = {};
  loss = lossChart();
  start = element("button", { type: "button", class: "first" }, "Train");
  save = element("button", { type: "button" }, "Save weights");
  load = element("input", { type: "file", accept: ".safetensors" });
  more = element("div", { class: "row" });
  notes = element("p", { class: "soft", role: "status" });
  table = element("div", {});
  mistakes = element("ul", { class: "mistakes" });

  constructor(labels, data, { lr = 0.01 }) {
    Object.assign(this, { labels, data });
    const shown = element("output", {}, String(lr));
    // From a hundredth to ten times what the recipe says.
    this.slider = element("input", {
      type: "range",
      min: -2,
      max: 1,
      step: 0.05,
      value: 0,
      "aria-label": "Highest learning rate",
    });
    this.lr = () => lr * 10 ** Number(this.slider.value);
    this.slider.addEventListener("input", () => (shown.textContent = this.lr().toPrecision(2)));
    this.rate = element(
      "label",
      { class: "slider" },
      element("span", {}, "Highest learning rate ", shown),
      this.slider,
    );
  }

  attach(main, others) {
    const fact = (key, title) =>
      element("div", {}, element("dt", {}, title), (this.facts[key] = element("dd", { id: key }, "–")));
    const facts = element(
      "dl",
      { class: "facts" },
      fact("accuracy", "Accuracy"),
      fact("loss", "Loss"),
      fact("steps", "Steps"),
      fact("speed", "Samples/s"),
    );
    const buttons = element(
      "div",
      { class: "row" },
      this.start,
      this.save,
      element("label", { class: "button" }, "Load weights", this.load),
    );
    main.append(
      card("Training", facts, buttons, this.more, this.rate, this.notes),
      ...others,
      card("Loss", this.loss.chart),
      card("Confusion", this.table),
      card("Mistakes", this.mistakes),
    );
  }

  running(is) {
    this.start.textContent = is ? "Stop" : "Train";
    document.body.dataset.training = is ? "running" : "idle";
  }

  trained(losses, step, speed) {
    this.loss.draw(losses);
    this.facts.steps.textContent = String(step);
    if (speed) this.facts.speed.textContent = speed.toFixed(0);
  }

  evaluated({ loss, accuracy, predicted }) {
    const { labels, data } = this;
    this.facts.accuracy.textContent = `${(100 * accuracy).toFixed(1)} %`;
    this.facts.loss.textContent = loss.toPrecision(3);
    document.body.dataset.accuracy = String(accuracy);
    const counts = labels.map(() => labels.map(() => 0));
    const wrong = [];
    predicted.forEach((said, i) => {
      const right = data.test.labels[i];
      counts[right][said]++;
      if (said !== right) wrong.push([i, right, said]);
    });
    this.table.replaceChildren(confusion(counts, labels));
    this.mistakes.replaceChildren(
      ...wrong.slice(0, 24).map(([i, right, said]) => {
        const pixels = data.test.pixels.subarray(i * data.each, (i + 1) * data.each);
        return element("li", {}, picture(pixels, data.shape), `${labels[right]} taken for ${labels[said]}`);
      }),
    );
    if (!wrong.length) this.mistakes.replaceChildren(element("li", {}, "none"));
  }

  note(text) {
    this.notes.textContent = text;
  }

  offer(restore) {
    this.more.append(element("button", { type: "button", onclick: restore }, "Load what this browser has kept"));
  }
}
