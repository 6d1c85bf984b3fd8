/** What follows from the sizes of a run: values of symbols, workgroups, steps, the bytes of all parameters. */
import { fail } from "./errors.js";
import { evaluate, exprText, holds, mentions } from "./expr.js";
import {
  STORAGE_SIZES,
  type Dispatch,
  type Expr,
  type Guard,
  type Plan,
  type PlanTensor,
  type Program,
} from "./plan.js";
import { strides } from "./tensor.js";

const PARAMS_ALIGN = 256;
const MAX_WORKGROUPS = 2n ** 30n;

/** Where the parameters of a dispatch are: first byte, bytes from step to step, room for steps. */
export interface ParamsPlace {
  at: number;
  each: number;
  steps: number;
}

/** A program for given values of the symbols. */
export interface Bound {
  symbols: bigint[];
  workgroups: number[][];
  /** How many steps each repeat has. */
  steps: number[];
  params: Uint8Array<ArrayBuffer>;
}

/** The shape of a tensor for given values of the symbols. */
export const shapeAt = (tensor: PlanTensor, symbols: readonly bigint[]): number[] =>
  tensor.shape.map((dim) => Number(evaluate(dim, symbols)));

/** `[N, 3, 32, 32]`, with the maximums of the symbols in it. */
export function shapeText(plan: Plan, tensor: PlanTensor): string {
  const has = plan.symbols.filter((_, i) => tensor.shape.some((dim) => mentions(dim, i)));
  const most = has.map(({ name, max }) => `${name} up to ${max}`).join(", ");
  return `[${tensor.shape.map((dim) => exprText(dim, plan)).join(", ")}]${most && ` (${most})`}`;
}

/** `N = 3, H = 5` */
export const valuesText = (plan: Plan, values: readonly bigint[]) =>
  plan.symbols.map(({ name }, i) => `${name} = ${values[i]}`).join(", ") || "fixed sizes";

/** The only symbol of `a*S + b`, if the expression is of this form. */
function linear({ terms }: Expr): { symbol: number; scale: bigint; offset: bigint } | undefined {
  let symbol: number | undefined;
  let [scale, offset] = [0n, 0n];
  for (const { coefficient, factors } of terms) {
    const [factor] = factors;
    if (!factor) offset += coefficient;
    else if (factors.length == 1 && factor.symbol !== undefined && (symbol ?? factor.symbol) == factor.symbol) {
      symbol = factor.symbol;
      scale += coefficient;
    } else return;
  }
  return symbol === undefined || !scale ? undefined : { symbol, scale, offset };
}

/** The shape of so many elements, if it follows: one size of it may be unknown. */
export function shapeOf(plan: Plan, tensor: PlanTensor, count: number): number[] {
  const open: number[] = [];
  let known = 1;
  const sizes = tensor.shape.map((dim, axis) => {
    if (plan.symbols.some((_, i) => mentions(dim, i))) {
      open.push(axis);
      return 1;
    }
    const size = Number(evaluate(dim, []));
    known *= size;
    return size;
  });
  if (open.length == 1) sizes[open[0]!] = count / known;
  if (open.length > 1 || sizes.reduce((a, b) => a * b, 1) != count || sizes.some((n) => !Number.isInteger(n))) {
    fail(
      "input",
      `${count} elements for \`${tensor.name}\` of shape ${shapeText(plan, tensor)}` +
        (open.length > 1 ? ": give `{ data, shape }`" : ""),
    );
  }
  return sizes;
}

/** The values of all symbols. One that is in no input gets its maximum. */
export function bind(
  plan: Plan,
  program: Program,
  shapes: readonly (readonly number[])[],
  explain: (plan: Plan, program: Program, guard: Guard, values: readonly bigint[]) => never,
): bigint[] {
  const bound: (bigint | undefined)[] = plan.symbols.map(() => undefined);
  const inputs = program.inputs.map((index) => plan.tensors[index]!);
  const wrong = (tensor: PlanTensor, shape: readonly number[]) =>
    fail("input", `\`${tensor.name}\` has shape [${shape.join(", ")}], but should have ${shapeText(plan, tensor)}`);
  inputs.forEach((tensor, i) => {
    const shape = shapes[i]!;
    if (shape.length != tensor.shape.length) wrong(tensor, shape);
    tensor.shape.forEach((dim, axis) => {
      const form = linear(dim);
      if (!form) return;
      const rest = BigInt(shape[axis]!) - form.offset;
      if (rest % form.scale) wrong(tensor, shape);
      const value = rest / form.scale;
      const { name, max } = plan.symbols[form.symbol]!;
      if (value < 1n) fail("input", `\`${tensor.name}\` makes ${name} ${value}, which has to be at least 1`);
      if (value > max) {
        fail(
          "input",
          `\`${tensor.name}\` makes ${name} ${value}, but the plan was compiled for up to ${max} (\`--max ${name}=${value}\`)`,
        );
      }
      const before = bound[form.symbol];
      if ((before ?? value) != value)
        fail("input", `\`${tensor.name}\` makes ${name} ${value}, another input ${before}`);
      bound[form.symbol] = value;
    });
  });
  const values = plan.symbols.map(({ name, max }, i) => {
    if (bound[i] === undefined && inputs.some(({ shape }) => shape.some((dim) => mentions(dim, i)))) {
      fail("input", `the inputs do not say what ${name} is`);
    }
    return bound[i] ?? BigInt(max);
  });
  inputs.forEach((tensor, i) => {
    if (shapeAt(tensor, values).join() != shapes[i]!.join()) wrong(tensor, shapes[i]!);
  });
  const guard = program.guards.find((guard) => !holds(guard, values));
  if (guard) explain(plan, program, guard, values);
  return values;
}

/** Bytes a tensor takes; an error if it does not fit its place. */
export function bytesAt(plan: Plan, tensor: PlanTensor, symbols: readonly bigint[]): number {
  const [, count] = strides(tensor, shapeAt(tensor, symbols));
  const bytes = count * STORAGE_SIZES[tensor.storage]!;
  if (!(bytes >= 0 && bytes <= tensor.place.size)) {
    fail("input", `the size of tensor \`${tensor.name}\` is ${bytes} with ${valuesText(plan, symbols)}`);
  }
  return bytes;
}

const variesWith = ({ params }: Dispatch, symbol: number) => params.some(({ int }) => int && mentions(int, symbol));
const repeatOf = ({ repeats }: Program, n: number) =>
  repeats.findIndex(({ first, count }) => n >= first && n < first + count);

/** The place of each dispatch's parameters, and the size of all. */
export function paramsPlaces(plan: Plan, program: Program): [ParamsPlace[], number] {
  const largest = plan.symbols.map(({ max }) => BigInt(max));
  let end = 0;
  const places = program.dispatches.map((dispatch, n) => {
    const size = Math.ceil(plan.shaders[dispatch.shader]!.paramsSize / PARAMS_ALIGN) * PARAMS_ALIGN;
    const repeat = variesWith(dispatch, plan.symbols.length) ? program.repeats[repeatOf(program, n)] : undefined;
    const steps = repeat ? Number(evaluate(repeat.steps, largest)) : 1;
    const at = end;
    end += size * Math.max(steps, 1);
    return { at, each: repeat ? size : 0, steps };
  });
  return [places, end];
}

/** By shader: whether a dispatch has other parameters at each step, so that these are bound with an offset. */
export function stepping(plan: Plan): Set<number> {
  const shaders = new Set<number>();
  for (const program of plan.programs) {
    program.dispatches.forEach((dispatch, n) => {
      if (variesWith(dispatch, plan.symbols.length) && repeatOf(program, n) >= 0) shaders.add(dispatch.shader);
    });
  }
  return shaders;
}

/** Computes all that depends on the symbols. */
export function prepare(plan: Plan, program: Program, places: ParamsPlace[], size: number, symbols: bigint[]): Bound {
  for (const tensor of plan.tensors) bytesAt(plan, tensor, symbols);
  const bad = (what: string, value: bigint) => fail("input", `${what} is ${value} with ${valuesText(plan, symbols)}`);
  const steps = program.repeats.map(({ name, first, count, steps }) => {
    const value = evaluate(steps, symbols);
    const room = places.slice(first, first + count).filter(({ each }) => each);
    // The plan was checked with all symbols at their maximum; counts can grow as symbols fall.
    if (value < 0n || room.some(({ steps }) => value > steps)) bad(`the number of steps of \`${name}\``, value);
    return Number(value);
  });
  let total = 0n;
  const workgroups = program.dispatches.map(({ name, workgroups }, n) => {
    let each = BigInt(steps[repeatOf(program, n)] ?? 1);
    const counts = workgroups.map((count) => {
      const value = evaluate(count, symbols);
      if (value < 0n || value > 65535n) bad(`the number of workgroups of \`${name}\``, value);
      each *= value;
      return Number(value);
    });
    total += each;
    if (total > MAX_WORKGROUPS) bad(`the number of workgroups up to \`${name}\``, total);
    return counts;
  });
  const params = new Uint8Array(size);
  const view = new DataView(params.buffer);
  program.dispatches.forEach((dispatch, n) => {
    const { at, each } = places[n]!;
    const times = each ? steps[repeatOf(program, n)]! : 1;
    for (let step = 0; step < times; step++) {
      const values = each ? [...symbols, BigInt(step)] : symbols;
      dispatch.params.forEach(({ int, float }, word) => {
        const place = at + each * step + 4 * word;
        if (!int) return view.setFloat32(place, float!, true);
        const value = evaluate(int, values);
        if (value < -(2n ** 31n) || value >= 2n ** 32n) bad(`a parameter of \`${dispatch.name}\``, value);
        view.setUint32(place, Number(BigInt.asUintN(32, value)), true);
      });
    }
  });
  return { symbols, workgroups, steps, params };
}

/** The dispatches that run, in order, each with its step. */
export function* schedule({ dispatches, repeats }: Program, steps: readonly number[]): Generator<[number, number]> {
  let at = 0;
  for (let n = 0; n <= repeats.length; n++) {
    const { first, count } = repeats[n] ?? { first: dispatches.length, count: 0 };
    for (; at < first; at++) yield [at, 0];
    for (let step = 0; step < (steps[n] ?? 0); step++) {
      for (let i = 0; i < count; i++) yield [first + i, step];
    }
    at += count;
  }
}
