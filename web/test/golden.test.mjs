// The plans that the reader in Rust takes and refuses: this one has to agree.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { load, root } from "./bundle.mjs";

const { open } = await load("file");
const { crc32 } = await load("crc32");

/** All bytes in one piece. */
const sourceOf = (bytes) => {
  const pieces = [bytes];
  return async () => pieces.shift();
};

const plans = join(root, "tests/plans");
const verdicts = JSON.parse(readFileSync(join(plans, "verdicts.json"), "utf8"));
const bytesOf = (name) => new Uint8Array(readFileSync(join(plans, name)));

async function read(bytes, progress) {
  const { plan, segments } = await open(sourceOf(bytes), progress);
  const data = [];
  await segments((segment, bytes) => data.push([segment, bytes]));
  return { plan, data };
}

const problem = (bytes) =>
  read(bytes).then(
    () => undefined,
    (error) => {
      // Anything but our own kind of error is a mistake of the reader.
      assert.equal(error.name, "KilnError", error.stack);
      return error;
    },
  );

test("good plans are read", async () => {
  const names = readdirSync(join(plans, "good"));
  assert.ok(names.length > 3);
  for (const name of names) {
    const { plan } = await read(bytesOf(`good/${name}`));
    assert.ok(plan.programs.length > 0, name);
  }
  const { plan, data } = await read(bytesOf("good/sample.kplan"));
  assert.equal(plan.target, "portable");
  assert.deepEqual(
    plan.states.map((index) => plan.tensors[index].name),
    ["steps"],
  );
  assert.deepEqual(plan.symbols, [{ name: "N", max: 8 }]);
  assert.equal(plan.requirements.subgroupSize, 8);
  assert.deepEqual(
    data.map(([segment, bytes]) => [segment.offset, bytes.length]),
    [
      [256, 100],
      [0, 4],
      [0, 4],
    ],
  );
  assert.deepEqual([...data[1][1]], [1, 2, 3, 4]);
  assert.equal(plan.programs[0].dispatches[0].params[1].float, -0.5);
  assert.equal(plan.programs[0].dispatches[0].params[2].int.terms[0].coefficient, -1n);
});

/** The part of a plan that a message is about. */
const place = (message) =>
  (/^(the plan|.*`|segment \d+|the \w+( in the metadata| together)?)(?=: )/.exec(message) ?? [""])[0];

test("what Rust refuses is refused, for the same part of it", async () => {
  const refused = Object.entries(verdicts.refused);
  assert.ok(refused.length > 60);
  for (const [name, said] of refused) {
    const error = await problem(bytesOf(name));
    assert.ok(error, `${name} is read, but Rust says: ${said}`);
    if (error.code === "invalid")
      assert.equal(place(error.message), place(said), `${name}: ${error.message} / ${said}`);
  }
});

/** Makes checksums right again, so that damage is met by what comes after them. */
function repair(bytes) {
  const view = new DataView(bytes.buffer);
  const length = Number(view.getBigUint64(16, true));
  view.setUint32(12, 36 + length > bytes.length ? 0 : crc32(bytes.subarray(36, 36 + length)), true);
  view.setUint32(32, crc32(bytes.subarray(0, 32)), true);
}

test("random damage behind good checksums gets Rust's verdicts", async () => {
  const good = bytesOf("good/sample.kplan");
  let state = 1n;
  const random = (below) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & (2n ** 64n - 1n);
    return Number((state >> 33n) % BigInt(below));
  };
  const header = good.length - 3 * 256 - 12;
  let accepted = 0;
  for (let n = 0; n < verdicts.mutations.length * 4; n++) {
    const bytes = good.slice();
    for (let times = 1 + random(4); times > 0; times--) {
      const at = 12 + random(header);
      bytes[at] = random(256);
    }
    repair(bytes);
    const wanted = ((parseInt(verdicts.mutations[n >> 2], 16) >> (3 - (n & 3))) & 1) === 1;
    const error = await problem(bytes);
    assert.equal(!error, wanted, `change ${n}: ${error?.message}`);
    accepted += error ? 0 : 1;
  }
  assert.ok(accepted > 500);
});

test("pieces of any size make the same plan, and progress ends at the total", async () => {
  const good = bytesOf("good/sample.kplan");
  for (const size of [1, 7, 255, 256, 257]) {
    let at = 0;
    const source = async () => {
      const piece = good.subarray(at, (at += size));
      return piece.length ? piece : undefined;
    };
    let last;
    const { segments } = await open(source, (loaded, total) => (last = [loaded, total]));
    let count = 0;
    await segments(() => count++);
    assert.equal(count, 3);
    assert.deepEqual(last, [good.length, good.length]);
  }
});

test("a file cut anywhere is refused", async () => {
  const good = bytesOf("good/sample.kplan");
  for (let length = 0; length < good.length; length += 13)
    assert.ok(await problem(good.subarray(0, length)), `${length}`);
});

test("lengths that files do not have take no memory", async () => {
  const bytes = bytesOf("good/sample.kplan").slice();
  new DataView(bytes.buffer).setBigUint64(24, 2n ** 62n, true);
  repair(bytes);
  assert.match((await problem(bytes)).message, /weights section is not as long/);
  // Programs (tag 8) of no bytes, a million of them.
  const header = new Uint8Array(2 << 20).map((_, i) => (i % 2 ? 0 : 0x42));
  const many = new Uint8Array(Math.ceil((36 + header.length) / 256) * 256);
  many.set(good().subarray(0, 36));
  new DataView(many.buffer).setBigUint64(16, BigInt(header.length), true);
  many.set(header, 36);
  repair(many);
  assert.match((await problem(many)).message, /more than 64 programs/);
});

const good = () => bytesOf("good/sample.kplan");
