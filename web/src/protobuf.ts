/**
 * Reading protobuf by a table of fields, as strictly as the reader in Rust does: wrong wire types, numbers that do not end,
 * lengths beyond the end and text that is not UTF-8 are errors; unknown fields are passed over, a field that comes again
 * replaces or extends what was there.
 */
import { fail } from "./errors.js";

/** How a field's value is written. */
export const enum Kind {
  Uint64,
  Uint32,
  Bool,
  Sint64,
  Fixed32,
  Float,
  Double,
  Text,
  Message,
}

/** A field: its name, its kind, and what else is to be known. */
export interface Field {
  name: string;
  kind: Kind;
  many?: boolean;
  /** No more than so many. */
  most?: number;
  /** Absent fields stay absent; else they are zero. */
  optional?: boolean;
  /** Of the fields with the same word only one is there. */
  oneOf?: string[];
  of?: () => Schema;
}

/** Fields by tag. */
export type Schema = Record<number, Field>;

type Message = Record<string, any>;

const DEEPEST = 100;
const WIRE_TYPES = [0, 0, 0, 0, 5, 5, 1, 2, 2];
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const broken = (): never => fail("damaged", "the header of the plan file cannot be decoded");

/** A message without any fields. */
function empty(schema: Schema): Message {
  const message: Message = {};
  for (const { name, kind, many, optional } of Object.values(schema)) {
    message[name] = many
      ? []
      : optional || kind == Kind.Message
        ? undefined
        : kind == Kind.Text
          ? ""
          : kind == Kind.Sint64
            ? 0n
            : kind == Kind.Bool
              ? false
              : 0;
  }
  return message;
}

/** Reads a message. */
export function decode<T>(schema: Schema, bytes: Uint8Array): T {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  /** The two halves of a number. */
  let low = 0;
  let high = 0;

  const varint = (end: number) => {
    low = high = 0;
    for (let n = 0; ; n++) {
      if (at >= end || n > 9) broken();
      const byte = bytes[at++]!;
      const part = byte & 127;
      if (n == 9 && byte > 1) broken();
      if (n < 4) low += part * 2 ** (7 * n);
      else if (n == 4) {
        low += (part & 15) * 2 ** 28;
        high = part >> 4;
      } else high += part * 2 ** (7 * n - 32);
      if (byte < 128) break;
    }
    return high * 2 ** 32 + low;
  };
  const advance = (count: number, end: number) => {
    if (count > end - at) broken();
    at += count;
    return at - count;
  };
  const scalar = (kind: Kind, end: number): any => {
    switch (kind) {
      case Kind.Fixed32:
        return view.getUint32(advance(4, end), true);
      case Kind.Float:
        return view.getFloat32(advance(4, end), true);
      case Kind.Double:
        return view.getFloat64(advance(8, end), true);
    }
    const number = varint(end);
    if (kind == Kind.Uint32) return low;
    if (kind == Kind.Bool) return number > 0;
    if (kind == Kind.Uint64) return number;
    const long = (BigInt(high) << 32n) | BigInt(low);
    return (long >> 1n) ^ -(long & 1n);
  };
  /** A field's number and wire type. */
  const key = (end: number): [number, number] => {
    const key = varint(end);
    if (key > 0xffffffff || key < 8) broken();
    return [Math.floor(key / 8), key % 8];
  };
  const skip = (tag: number, wire: number, end: number, depth: number) => {
    if (depth > DEEPEST) broken();
    if (wire == 0) varint(end);
    else if (wire == 1) advance(8, end);
    else if (wire == 2) advance(varint(end), end);
    else if (wire == 5) advance(4, end);
    else if (wire == 3) {
      for (;;) {
        const [inner, type] = key(end);
        if (type == 4) {
          if (inner != tag) broken();
          return;
        }
        skip(inner, type, end, depth + 1);
      }
    } else broken();
  };
  const message = (schema: Schema, into: Message, end: number, depth: number): Message => {
    while (at < end) {
      const [tag, wire] = key(end);
      const field = schema[tag];
      if (!field) {
        skip(tag, wire, end, depth);
        continue;
      }
      const { name, kind, many, most, oneOf, of } = field;
      const wanted = WIRE_TYPES[kind]!;
      if (oneOf) for (const other of oneOf) if (other != name) into[other] = undefined;
      if (many && wire == 2 && wanted != 2) {
        const length = varint(end);
        const stop = advance(length, end) + length;
        for (at = stop - length; at < stop;) into[name].push(scalar(kind, stop));
        continue;
      }
      if (wire != wanted) broken();
      let value: any;
      if (wanted == 2) {
        const length = varint(end);
        const start = advance(length, end);
        if (kind == Kind.Text) {
          try {
            value = text.decode(bytes.subarray(start, at));
          } catch {
            broken();
          }
        } else {
          if (depth >= DEEPEST) broken();
          const stop = at;
          at = start;
          const inner = of!();
          value = message(inner, (!many && into[name]) || empty(inner), stop, depth + 1);
        }
      } else value = scalar(kind, end);
      if (!many) into[name] = value;
      else if (into[name].push(value) > most!) {
        fail("invalid", `the plan: more than ${most} ${name}, which is the most that is allowed`);
      }
    }
    return into;
  };
  return message(schema, empty(schema), bytes.length, 0) as T;
}
