// The player outside of a browser: Node.js with Dawn's bindings, on Chromium's software driver.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import test from "node:test";
import { root } from "./bundle.mjs";
import { executablePath } from "./chromium.mjs";
import { make, plans } from "./plans.mjs";

/** The driver's description beside Chromium itself, wherever that is installed. */
const icd = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  join(dirname(executablePath), "vk_swiftshader_icd.json"),
].find(existsSync);

test(
  "Node.js with Dawn answers and trains",
  { skip: icd ? false : "Chromium's software driver is not found" },
  async () => {
    make();
    process.env.VK_ICD_FILENAMES = icd;
    const { create, globals } = await import("webgpu");
    Object.assign(globalThis, globals);
    // Dawn's bindings crash when these are collected.
    globalThis.dawn = create(["backend=vulkan"]);
    globalThis.navigator ??= {};
    Object.defineProperty(globalThis.navigator, "gpu", { value: globalThis.dawn, configurable: true });
    const { load } = await import(join(root, "web/dist/kiln.js"));
    const session = await load(readFileSync(join(plans, "net.kplan")));
    const [{ inputs, outputs }] = JSON.parse(readFileSync(join(plans, "net.json"), "utf8"));
    const floats = ({ data }) => new Float32Array(Uint8Array.from(Buffer.from(data, "base64")).buffer);
    const [[name, input]] = Object.entries(inputs);
    const [[output, expected]] = Object.entries(outputs);
    const found = await session.run({ [name]: { data: floats(input), shape: input.shape } });
    const wanted = floats(expected);
    const largest = Math.max(...wanted.map(Math.abs));
    found[output].data.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) <= 1e-4 * largest));
    session.dispose();

    // From an address, with progress; there is no Cache API here.
    const server = createServer((_, response) => response.end(readFileSync(join(plans, "trace-net-sgd.kplan"))));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    let last;
    const trains = await load(`http://127.0.0.1:${server.address().port}/net.kplan`, {
      onProgress: (progress) => (last = progress),
    });
    server.close();
    assert.equal(last.loaded, last.total);
    const { batches, lr, expected: trace } = JSON.parse(readFileSync(join(plans, "trace-net-sgd.json"), "utf8"));
    for (const { input, target } of batches) {
      const classes = new Int32Array(Uint8Array.from(Buffer.from(target.data, "base64")).buffer);
      await trains.step({ input: { data: floats(input), shape: input.shape }, target: classes, lr });
    }
    const losses = await trains.lossesSince();
    trace.losses.forEach((loss, i) => assert.ok(Math.abs(losses[i] - loss) <= 1e-4 * loss, `${losses[i]} for ${loss}`));

    // Averages are the model's weights, under the names of these; weights that are loaded become both.
    const averaging = await load(readFileSync(join(plans, "averages.kplan")));
    for (const { input, target } of batches.slice(0, 2)) {
      const classes = new Int32Array(Uint8Array.from(Buffer.from(target.data, "base64")).buffer);
      await averaging.step({ input: { data: floats(input), shape: input.shape }, target: classes, lr });
    }
    const all = await averaging.states();
    const kept = await averaging.states({ weights: true });
    const own = await trains.states({ weights: true });
    assert.deepEqual(Object.keys(kept).sort(), Object.keys(own).sort());
    assert.deepEqual(kept["conv1.weight"].data, all["conv1.weight.ema"].data);
    assert.notDeepEqual(kept["conv1.weight"].data, all["conv1.weight"].data);
    averaging.setStates(own);
    const set = await averaging.states();
    for (const name of ["conv1.weight", "conv1.weight.ema"]) {
      assert.deepEqual(set[name].data, own["conv1.weight"].data);
    }
    averaging.dispose();
    trains.dispose();
  },
);
