/** Files in the format safetensors: what PyTorch, Hugging Face and the command line read. */
import { crc32 } from "./crc32.js";
import { fail } from "./errors.js";
import { bytesOf, product, type Numbers, type Tensor } from "./tensor.js";

const TYPES = { F32: ["f32", Float32Array], I32: ["i32", Int32Array] } as const;
const MAX_HEADER = 100e6;

/** The checksums that the command line looks for: of each tensor, and of all entries. */
function checksums(tensors: [string, Tensor][], metadata: Record<string, string>): Record<string, string> {
  const hex = (crc: number) => crc.toString(16).padStart(8, "0");
  const encoder = new TextEncoder();
  const each = tensors.map(([name, { dtype, shape, data }]) => {
    const title = encoder.encode(`${name}\0${dtype.toUpperCase()}[${shape.join(", ")}]\0`);
    return [name, hex(crc32(bytesOf(data), crc32(title)))];
  });
  const all: Record<string, string> = { ...metadata, "kiln.checksums": JSON.stringify(Object.fromEntries(each)) };
  const length = (text: string) => encoder.encode(text).length;
  const entries = Object.keys(all)
    .sort()
    .map((key) => `${length(key)}:${key}${length(all[key]!)}:${all[key]}`);
  return { ...all, "kiln.checksum": hex(crc32(encoder.encode(entries.join("")))) };
}

/** The bytes of a file of tensors. */
export function toSafetensors(tensors: Record<string, Tensor>, metadata: Record<string, string> = {}): Uint8Array {
  const list = Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : 1));
  let end = 0;
  const entries = list.map(([name, { dtype, shape, data }]) => {
    const start = end;
    end += data.byteLength;
    const type =
      dtype == "f32"
        ? "F32"
        : dtype == "i32"
          ? "I32"
          : fail("input", `\`${name}\` is ${dtype}; f32 and i32 are stored`);
    return [name, { dtype: type, shape, data_offsets: [start, end] }];
  });
  let header = JSON.stringify({ __metadata__: checksums(list, metadata), ...Object.fromEntries(entries) });
  const encoder = new TextEncoder();
  header += " ".repeat(-encoder.encode(header).length & 7);
  const text = encoder.encode(header);
  const bytes = new Uint8Array(8 + text.length + end);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 8);
  let at = 8 + text.length;
  for (const [, { data }] of list) {
    bytes.set(bytesOf(data), at);
    at += data.byteLength;
  }
  return bytes;
}

/** The tensors of a file. */
export const fromSafetensors = (bytes: Uint8Array): Record<string, Tensor> => readSafetensors(bytes).tensors;

/** The tensors of a file, and its metadata in free form. */
export function readSafetensors(bytes: Uint8Array): {
  tensors: Record<string, Tensor>;
  metadata: Record<string, string>;
} {
  const no = (why: string): never => fail("damaged", `this is no whole safetensors file: ${why}`);
  if (bytes.length < 8) no("it is too short");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > MAX_HEADER || length > bytes.length - 8) no("its header is cut off");
  let header: Record<string, any> = {};
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch {
    no("its header is not JSON");
  }
  const { __metadata__: metadata = {}, ...entries } = header;
  const elements = bytes.subarray(8 + length);
  const tensors: [string, Tensor][] = Object.entries(entries).map(([name, entry]) => {
    const [dtype, Array] =
      TYPES[entry?.dtype as keyof typeof TYPES] ?? no(`\`${name}\` is ${entry?.dtype}, not F32 or I32`);
    const { shape, data_offsets: offsets } = entry;
    const isSize = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0;
    if (!(shape instanceof globalThis.Array) || !(offsets instanceof globalThis.Array))
      no(`\`${name}\` has no shape or place`);
    const [start, end] = offsets;
    if (![...shape, start, end].every(isSize) || end > elements.length || end - start != 4 * product(shape)) {
      no(`the place of \`${name}\` is wrong`);
    }
    return [name, { dtype, shape, data: new Array(elements.slice(start, end).buffer) as Numbers }];
  });
  const wanted = metadata["kiln.checksums"];
  if (wanted !== undefined) {
    const found = checksums(
      tensors.sort(([a], [b]) => (a < b ? -1 : 1)),
      {},
    )["kiln.checksums"]!;
    const [a, b] = [JSON.parse(wanted), JSON.parse(found)];
    const other = Object.keys({ ...a, ...b }).find((name) => a[name] != b[name]);
    if (other !== undefined) no(`the elements of \`${other}\` do not have the checksum that was written`);
  }
  return { tensors: Object.fromEntries(tensors), metadata };
}
