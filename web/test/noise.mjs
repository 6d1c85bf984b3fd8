// Numbers that look random, from the formulas of `tests/end_to_end/numbers.rs`.
import { crc32 } from "node:zlib";

const bits = (n) => BigInt.asUintN(64, n);

/** `count` numbers between -1 and 1. */
export function noise(seed, count) {
  let state = bits(BigInt(seed) * 0x9e3779b97f4a7c15n + 1n);
  return Array.from({ length: count }, () => {
    state = bits(state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 33n) / 2 ** 30 - 1;
  });
}

function splitmix(z) {
  z = bits(z + 0x9e3779b97f4a7c15n);
  z = bits((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = bits((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** Weights of a layer without running statistics. */
export function weights(name, shape) {
  const first = BigInt(crc32(name)) << 32n;
  const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
  const scale = (u) =>
    shape.length > 1 ? u * Math.sqrt(3 / fanIn) * 1.2 : name.endsWith("weight") ? 1 + 0.3 * u : 0.1 * u;
  const count = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: count }, (_, i) =>
    scale(Number(splitmix(first + BigInt(i)) >> 40n) / 2 ** 23 - 1),
  );
}
