/** The header of a plan file as protobuf, as `kiln-plan/src/wire.rs` has it. */
import type { Plan } from "./plan.js";
import { decode, Kind, type Field, type Schema } from "./protobuf.js";

const Uint64 = Kind.Uint64;
const Uint32 = Kind.Uint32;
const Bool = Kind.Bool;
const Sint64 = Kind.Sint64;
const Fixed32 = Kind.Fixed32;
const Float = Kind.Float;
const Double = Kind.Double;
const Text = Kind.Text;
const Message = Kind.Message;

const one = (name: string, kind: Kind): Field => ({ name, kind });
const many = (name: string, kind: Kind): Field => ({ name, kind, many: true, most: Infinity });
const message = (name: string, of: () => Schema, oneOf?: string[]): Field => ({ name, kind: Message, of, oneOf });
const messages = (name: string, of: () => Schema, most = Infinity): Field => ({
  name,
  kind: Message,
  many: true,
  most,
  of,
});

const FACTOR = ["symbol", "quotient", "min"];
const factor: Schema = {
  1: { name: "symbol", kind: Uint64, optional: true, oneOf: FACTOR },
  2: message("quotient", () => quotient, FACTOR),
  3: message("min", () => sides, FACTOR),
};
const term: Schema = { 1: one("coefficient", Sint64), 2: messages("factors", () => factor) };
const expr: Schema = { 1: messages("terms", () => term) };
const quotient: Schema = { 1: message("dividend", () => expr), 2: one("divisor", Sint64) };
const sides: Schema = { 1: message("left", () => expr), 2: message("right", () => expr) };
const range: Schema = { 1: one("buffer", Uint64), 2: one("offset", Uint64), 3: one("size", Uint64) };
const segment: Schema = { ...range, 4: one("crc32", Fixed32) };
const named: Schema = { 1: one("name", Text) };
const symbol: Schema = { ...named, 2: one("max", Uint32) };
const requirements: Schema = {
  1: { name: "subgroupSize", kind: Uint32, optional: true },
  2: one("shaderF16", Bool),
  8: one("shaderInt64", Bool),
  9: one("shaderFloat64", Bool),
  3: one("maxStorageBufferBindingSize", Uint64),
  4: one("maxBufferSize", Uint64),
  5: one("maxStorageBuffersPerShaderStage", Uint32),
  6: one("maxComputeWorkgroupStorageSize", Uint32),
  7: one("maxComputeInvocationsPerWorkgroup", Uint32),
  10: one("maxLoopIterations", Uint64),
};
const shader: Schema = { ...named, 2: one("wgsl", Text), 3: many("access", Uint32), 4: one("paramsSize", Uint32) };
const buffer: Schema = { ...named, 2: one("kind", Uint32), 3: one("size", Uint64) };
const tensor: Schema = {
  ...named,
  2: one("dtype", Uint32),
  3: one("storage", Uint32),
  4: messages("shape", () => expr),
  5: many("order", Uint64),
  6: one("lanes", Uint64),
  7: message("place", () => range),
};
const WORD = ["int", "float"];
const param: Schema = {
  1: message("int", () => expr, WORD),
  2: { name: "float", kind: Float, optional: true, oneOf: WORD },
};
const dispatch: Schema = {
  ...named,
  2: one("shader", Uint64),
  3: messages("bindings", () => range),
  4: messages("params", () => param),
  5: messages("workgroups", () => expr),
  6: many("writes", Uint64),
  7: message("flops", () => expr),
  8: message("bytes", () => expr),
};
const outputSize: Schema = { 1: one("axis", Uint64), 2: one("tensor", Uint64) };
const output: Schema = { ...named, 2: one("tensor", Uint64), 3: messages("sizes", () => outputSize) };
const guard: Schema = {
  1: one("node", Text),
  2: message("left", () => expr),
  3: one("relation", Uint32),
  4: message("right", () => expr),
};
const repeat: Schema = { ...named, 2: one("first", Uint64), 3: one("count", Uint64), 4: message("steps", () => expr) };
const program: Schema = {
  ...named,
  2: many("inputs", Uint64),
  3: messages("outputs", () => output),
  4: messages("dispatches", () => dispatch, 1 << 18),
  11: messages("guards", () => guard, 1 << 14),
  20: messages("repeats", () => repeat, 1 << 18),
  21: many("roles", Uint32),
};
const word: Schema = { 1: one("text", Text) };
const words = (name: string): Field => messages(name, () => word, 1 << 16);
const SOURCE = ["pictures", "table"];
const pictures: Schema = {
  1: one("channels", Text),
  2: many("resize", Uint32),
  3: many("crop", Uint32),
  4: one("pixelMax", Float),
};
const table: Schema = { 1: words("columns") };
const preprocessing: Schema = {
  1: many("mean", Float),
  2: many("std", Float),
  3: message("pictures", () => pictures, SOURCE),
  4: message("table", () => table, SOURCE),
};
const targets: Schema = { 1: words("names"), 2: many("mean", Float), 3: many("std", Float) };
const measure: Schema = { ...named, 2: one("value", Double) };
const provenance: Schema = {
  1: one("producer", Text),
  2: one("data", Text),
  3: one("loss", Text),
  4: one("epochs", Uint64),
  5: one("steps", Uint64),
  6: messages("measures", () => measure, 64),
};
const metadata: Schema = {
  1: { name: "task", kind: Text, optional: true },
  2: words("classes"),
  3: message("preprocessing", () => preprocessing),
  4: message("targets", () => targets),
  5: message("provenance", () => provenance),
};
const header: Schema = {
  ...named,
  2: one("producer", Text),
  3: messages("symbols", () => symbol),
  4: message("requirements", () => requirements),
  5: messages("shaders", () => shader, 1 << 14),
  6: messages("buffers", () => buffer, 1 << 12),
  7: messages("tensors", () => tensor, 1 << 20),
  8: messages("programs", () => program, 64),
  9: messages("data", () => segment, 1 << 20),
  10: message("metadata", () => metadata),
  11: one("target", Text),
  12: many("states", Uint64),
};

/** Reads the header of a plan file; it is not checked yet. */
export const decodePlan = (bytes: Uint8Array): Plan => decode(header, bytes);
