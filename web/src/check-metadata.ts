/** Checks of metadata, as `kiln-plan/src/metadata/check.rs` has them. */
import type { Metadata } from "./plan.js";

/** Bytes of a text. */
export const lengthOf = (text: string) => new TextEncoder().encode(text).length;

/** Finds what is wrong with metadata; `fail` is told the part. */
export function checkMetadata(metadata: Metadata, fail: (part: string, problem: string) => never): void {
  const { task, classes, preprocessing, targets, provenance } = metadata;
  let part = "the metadata";
  const at = (name: string) => (part = `the ${name} in the metadata`);
  const most = (what: string, count: number, limit: number) => {
    if (count > limit) fail(part, `${count} ${what}, at most ${limit} are allowed`);
  };
  const long = (what: string, text: string, limit: number) => {
    const bytes = lengthOf(text);
    if (bytes > limit) fail(part, `the ${what} has ${bytes} bytes, at most ${limit} are allowed`);
  };
  const names = (what: string, list: { text: string }[]) => list.forEach(({ text }) => long(what, text, 1 << 10));
  const bad = (what: string, value: unknown): never => fail(part, `the ${what} is ${value}, which cannot be used`);
  const numbers = (what: string, list: number[], expected = 0, above = -Infinity) => {
    most(what, list.length, 1 << 16);
    for (const value of list) if (!Number.isFinite(value) || value <= above) bad(what, value);
    if (expected && list.length > 1 && list.length != expected) {
      fail(part, `${list.length} numbers for the ${what}; one, or ${expected}, would fit`);
    }
  };
  const known = (what: string, name: string, list: string) => {
    if (!list.split(" ").includes(name)) fail(part, `\`${name.slice(0, 80)}\` is not a known ${what}`);
  };
  if (task !== undefined) known("task", task, "classification multi-label regression segmentation detection");
  const pictures = preprocessing?.pictures;
  if (pictures) {
    known("order of channels", pictures.channels, "RGB BGR L");
    if (pictures.resize.length > 2) fail(part, "more than two numbers are no known size");
    if (pictures.crop.length % 2 || pictures.crop.length > 2) fail(part, "this is no known size to cut out");
  }
  at("classes");
  names("name of a class", classes);
  if (preprocessing) {
    at("preprocessing");
    const { table, mean, std } = preprocessing;
    let expected = 0;
    if (pictures) {
      const { channels, resize, crop, pixelMax } = pictures;
      for (const side of [...resize, ...crop]) if (!side || side > 1 << 16) bad("side of a picture", side);
      numbers("value of a white pixel", [pixelMax], 0, 0);
      expected = channels == "L" ? 1 : 3;
    } else if (table) {
      names("name of a column", table.columns);
      expected = table.columns.length;
    }
    numbers("mean", mean, expected);
    numbers("deviation", std, expected, 0);
  }
  if (targets) {
    at("targets");
    names("name of a target", targets.names);
    numbers("mean", targets.mean, targets.names.length);
    numbers("deviation", targets.std, targets.names.length, 0);
  }
  if (provenance) {
    at("provenance");
    const { producer, data, loss, measures } = provenance;
    for (const text of [producer, data, loss]) long("text about the training", text, 1 << 12);
    for (const { name, value } of measures) {
      long("name of a measure", name, 1 << 10);
      if (!Number.isFinite(value)) bad("measure", value);
    }
  }
}
