/** Whether a plan can be run at all, by the same rules and limits as in `kiln-plan/src/check.rs`. */
import { checkMetadata, lengthOf } from "./check-metadata.js";
import { GUARANTEED } from "./device.js";
import { fail } from "./errors.js";
import { evaluate, mentions } from "./expr.js";
import {
  DTYPES,
  ROLES,
  STORAGES,
  STORAGE_SIZES,
  type Buffer,
  type Dispatch,
  type Expr,
  type Plan,
  type Program,
  type Range,
} from "./plan.js";
import { checkExpanded, FREE, measure } from "./wgsl.js";

/** Kinds of buffers. */
const [WEIGHTS, STATE, ARENA] = [1, 2, 3];

const MAX_SYMBOLS = 32;
const MAX_DIMENSIONS = 32;
const MAX_EXPR_DEPTH = 16;
const MAX_EXPR_SIZE = 1 << 12;
const MAX_BINDINGS = 1 << 10;
const MAX_PARAMS = 256 * 2 ** 20;
const MAX_WORKGROUPS = 2 ** 30;
const MAX_REPLAYED = 1 << 22;

/** Types in memory that fit a type of the host, as places in [`STORAGES`]. */
const FITS: Record<string, number[]> = { f32: [1], f16: [1, 6], f64: [5], i64: [2, 3, 4] };

/** Finds what is wrong with a plan. */
export function check(plan: Plan): void {
  new Checker(plan).plan();
}

class Checker {
  private at = "the plan";
  private largest: bigint[];

  constructor(private p: Plan) {
    this.largest = p.symbols.map((symbol) => BigInt(symbol.max));
  }

  private fail = (problem: string): never => fail("invalid", `${this.at}: ${problem}`);

  private most(what: string, count: number | bigint, limit: number) {
    if (count > limit) this.fail(`${count} ${what}, at most ${limit} are allowed`);
  }

  private needs(what: string, needs: number, asks: number, guaranteed: number) {
    if (needs > Math.max(asks, guaranteed)) {
      this.fail(`${needs} ${what}, but the plan asks devices for ${Math.max(asks, guaranteed)}`);
    }
  }

  private multiple(what: string, value: number, of: number) {
    if (value % of) this.fail(`${what} ${value} is not a multiple of ${of}`);
  }

  private unique(what: string, names: string[]) {
    const seen = new Set<string>();
    for (const name of names) {
      if (seen.has(name)) this.fail(`two ${what} are called \`${name}\``);
      seen.add(name);
    }
  }

  private index<T>(what: string, list: T[], index: number): T {
    return list[index] ?? this.fail(`${what} ${index} does not exist, there are ${list.length}`);
  }

  private there<T>(what: string, value: T | undefined): T {
    return value ?? this.fail(`its ${what} is missing`);
  }

  plan() {
    const { p } = this;
    this.there("list of requirements", p.requirements);
    this.shape();
    this.at = "the plan";
    this.most("symbols", p.symbols.length, MAX_SYMBOLS);
    this.unique(
      "symbols",
      p.symbols.map(({ name }) => name),
    );
    this.unique(
      "programs",
      p.programs.map(({ name }) => name),
    );
    for (const { name, max } of p.symbols) {
      this.at = `symbol \`${name}\``;
      if (!max) this.fail("the maximum is 0, it must be at least 1");
    }
    this.shaders();
    p.buffers.forEach((buffer, i) => {
      this.at = `buffer ${i} \`${buffer.name}\``;
      if (!buffer.size) this.fail("its size is 0, and empty buffers cannot be bound");
      this.multiple("its size", buffer.size, 256);
      this.needs("bytes in a buffer", buffer.size, p.requirements.maxBufferSize, GUARANTEED.buffer);
    });
    this.tensors();
    this.at = "the states";
    for (const index of p.states) {
      const tensor = this.index("tensor", p.tensors, index);
      if (this.range(tensor.place).kind != STATE) this.fail(`\`${tensor.name}\` is not in a buffer for states`);
    }
    this.unique(
      "states",
      p.states.map((index) => p.tensors[index]!.name),
    );
    this.segments();
    for (const program of p.programs) this.program(program);
    if (p.metadata) {
      checkMetadata(p.metadata, (part, problem) => {
        this.at = part;
        return this.fail(problem);
      });
    }
  }

  /** Parts that have to be there, and words that have to be known. */
  private shape() {
    const { p } = this;
    const known = (what: string, value: number, list: { length: number }) => {
      if (!(value > 0 && value < list.length)) this.fail(`${value} is not a known ${what}`);
    };
    const each = <T>(what: string, list: T[], look: (item: T) => void) =>
      list.forEach((item, i) => {
        const outer = this.at;
        this.at = outer == "the plan" ? `${what} ${i}` : `${outer}, ${what} ${i}`;
        look(item);
        this.at = outer;
      });
    each("shader", p.shaders, (shader) =>
      shader.access.forEach((access) => known("kind of access", access, [0, 1, 2])),
    );
    each("buffer", p.buffers, (buffer) => known("kind of buffer", buffer.kind, [0, 1, 2, 3]));
    each("tensor", p.tensors, (tensor) => {
      known("element type", tensor.dtype, DTYPES);
      known("stored type", tensor.storage, STORAGES);
      tensor.shape.forEach((dim) => this.whole(dim));
      this.there("place", tensor.place);
    });
    each("program", p.programs, (program) => {
      program.roles.forEach((role) => known("role of an input", role, ROLES));
      each("dispatch", program.dispatches, (dispatch) => {
        for (const { int, float } of dispatch.params) {
          if (int) this.whole(int);
          else this.there("parameter word", float);
        }
        if (dispatch.workgroups.length != 3) this.there("number of workgroups in x, y or z", undefined);
        dispatch.workgroups.forEach((count) => this.whole(count));
        this.whole(this.there("number of operations", dispatch.flops));
        this.whole(this.there("number of bytes", dispatch.bytes));
      });
      each("guard", program.guards, ({ left, relation, right }) => {
        known("relation of a guard", relation, [0, 1, 2, 3]);
        this.whole(this.there("side of a guard", left));
        this.whole(this.there("side of a guard", right));
      });
      each("repeat", program.repeats, ({ steps }) => this.whole(this.there("number of steps", steps)));
    });
  }

  /** Whether nothing is missing in an expression. */
  private whole(expr: Expr) {
    for (const { factors } of expr.terms) {
      for (const { symbol, quotient, min } of factors) {
        if (quotient) this.whole(this.there("dividend of an expression", quotient.dividend));
        else if (min) {
          this.whole(this.there("side of a minimum", min.left));
          this.whole(this.there("side of a minimum", min.right));
        } else this.there("factor of an expression", symbol);
      }
    }
  }

  private shaders() {
    const { p } = this;
    let [expanded, bytes] = [0, 0];
    p.shaders.forEach((shader, i) => {
      this.at = `shader ${i} \`${shader.name}\``;
      this.multiple("the size of its parameters", shader.paramsSize, 16);
      this.needs("bytes of parameters", shader.paramsSize, 0, 64 << 10);
      this.most("storage buffers in a dispatch", shader.access.length, MAX_BINDINGS);
      const asks = p.requirements.maxStorageBuffersPerShaderStage;
      this.needs("storage buffers in a dispatch", shader.access.length, asks, GUARANTEED.buffers);
      const length = lengthOf(shader.wgsl);
      expanded += measure(shader.wgsl, length, this.fail);
      bytes += length;
    });
    this.at = "the shaders together";
    checkExpanded(expanded, bytes, 4 * FREE, this.fail);
  }

  private range({ buffer, offset, size }: Range): Buffer {
    const of = this.index("buffer", this.p.buffers, buffer);
    if (!size) this.fail("its size is 0, and empty ranges cannot be bound");
    this.multiple("the offset", offset, 256);
    this.multiple("the size", size, 4);
    if (offset + size > of.size) {
      this.fail(`bytes ${offset}..${offset + size} are outside buffer \`${of.name}\` of ${of.size} bytes`);
    }
    return of;
  }

  /** The value with all symbols at their maximum. */
  private expr(expr: Expr): bigint {
    this.parts(expr, this.p.symbols.length);
    return evaluate(expr, this.largest);
  }

  /** `symbols`: how many there are that may be named. */
  private parts(expr: Expr, symbols: number) {
    let left = MAX_EXPR_SIZE;
    const spend = () => {
      if (left-- < 1) this.fail(`an expression has more than ${MAX_EXPR_SIZE} parts`);
    };
    const look = ({ terms }: Expr, depth: number) => {
      if (depth < 1) this.fail(`an expression is nested ${MAX_EXPR_DEPTH} deep or more`);
      for (const { factors } of terms) {
        spend();
        for (const { symbol, quotient, min } of factors) {
          spend();
          if (quotient) {
            if (quotient.divisor < 1n)
              this.fail(`an expression divides by ${quotient.divisor}; divisors are at least 1`);
            look(quotient.dividend, depth - 1);
          } else if (min) {
            look(min.left, depth - 1);
            look(min.right, depth - 1);
          } else if (symbol! >= symbols) {
            this.fail(`symbol ${symbol} does not exist, there are ${this.p.symbols.length}`);
          }
        }
      }
    };
    look(expr, MAX_EXPR_DEPTH);
  }

  private tensors() {
    this.p.tensors.forEach((tensor, i) => {
      const { shape, dtype, storage, lanes, order, place } = tensor;
      this.at = `tensor ${i} \`${tensor.name}\``;
      this.range(place);
      this.most("dimensions", shape.length, MAX_DIMENSIONS);
      if (!(FITS[DTYPES[dtype]!] ?? [2, 3]).includes(storage)) {
        this.fail(`${DTYPES[dtype]} elements cannot be stored as ${STORAGES[storage]}`);
      }
      if (lanes != 1 && lanes != 4) this.fail(`${lanes} lanes, 1 or 4 are possible`);
      const sizes = shape.map((dim, axis) => {
        const value = this.expr(dim);
        return value < 0n ? this.fail(`dimension ${axis} is ${value} with all symbols at their maximum`) : value;
      });
      if (order.length != sizes.length || new Set(order).size != sizes.length || order.some((n) => n >= sizes.length)) {
        this.fail(`the layout [${order}] is not an order of ${sizes.length} dimensions`);
      }
      let needs = BigInt(STORAGE_SIZES[storage]!);
      sizes.forEach((size, axis) => {
        const by = BigInt(axis == order[order.length - 1] ? lanes : 1);
        needs *= ((size + by - 1n) / by) * by;
      });
      if (needs > place.size) {
        this.fail(`it takes ${needs} bytes with all symbols at their maximum, its range has ${place.size}`);
      }
    });
  }

  private segments() {
    const { data } = this.p;
    data.forEach((segment, i) => {
      this.at = `segment ${i}`;
      const { kind, name } = this.range(segment);
      if (kind == ARENA) this.fail(`data for buffer \`${name}\`, an arena`);
    });
    const sorted = data.map((segment, i) => ({ ...segment, i }));
    sorted.sort((a, b) => a.buffer - b.buffer || a.offset - b.offset || a.size - b.size);
    sorted.slice(1).forEach(({ buffer, offset, i }, n) => {
      const before = sorted[n]!;
      this.at = `segment ${i}`;
      if (before.buffer == buffer && before.offset + before.size > offset) this.fail(`overlaps segment ${before.i}`);
    });
  }

  private program(program: Program) {
    const { p } = this;
    const name = (this.at = `program \`${program.name}\``);
    this.interface(program);
    for (const { node, left, right } of program.guards) {
      this.at = `${name}, a guard of \`${node}\``;
      this.expr(left);
      this.expr(right);
    }
    this.at = name;
    const steps = this.repeats(program);
    let [workgroups, params] = [0n, 0];
    program.dispatches.forEach((dispatch, i) => {
      const what = `${name}, dispatch ${i} \`${dispatch.name}\``;
      this.at = what;
      const repeated = steps[i];
      const shader = this.index("shader", p.shaders, dispatch.shader);
      this.bindings(dispatch, shader);
      this.at = what;
      workgroups += this.dispatch(dispatch, shader, repeated !== undefined) * (repeated ?? 1n);
      const varies = dispatch.params.some(({ int }) => int && mentions(int, p.symbols.length));
      const each = varies ? Math.max(1, Number(repeated ?? 1n)) : 1;
      params += Math.ceil(shader.paramsSize / 256) * 256 * each;
      this.most("workgroups in a run with all symbols at their maximum", workgroups, MAX_WORKGROUPS);
      this.at = name;
      this.most("bytes of parameters", params, MAX_PARAMS);
    });
  }

  private interface({ inputs, roles, outputs }: Program) {
    const { tensors } = this.p;
    const dense = (what: string, index: number) => {
      const { name, lanes, order } = this.index("tensor", tensors, index);
      if (lanes != 1 || order.some((axis, i) => axis != i)) this.fail(`${what} \`${name}\` is not dense and in order`);
      return name;
    };
    this.unique(
      "inputs",
      inputs.map((index) => dense("input", index)),
    );
    if (roles.length != inputs.length) this.fail(`${roles.length} roles for ${inputs.length} inputs`);
    for (const { name, tensor, sizes } of outputs) {
      dense("output", tensor);
      const axes = new Set<number>();
      for (const size of sizes) {
        const { shape, dtype } = this.index("tensor", tensors, size.tensor);
        const says = !shape.length && /i32|i64/.test(DTYPES[dtype]!);
        if (!says || axes.has(size.axis) || size.axis >= tensors[tensor]!.shape.length) {
          this.fail(`the size of axis ${size.axis} of the output \`${name}\` is wrong`);
        }
        axes.add(size.axis);
      }
    }
    this.unique(
      "outputs",
      outputs.map(({ name }) => name),
    );
  }

  /** Of each dispatch, the number of steps with all symbols at their maximum, if it is repeated. */
  private repeats({ name, dispatches, repeats }: Program): (bigint | undefined)[] {
    const steps: (bigint | undefined)[] = [];
    let [from, replayed] = [0, BigInt(dispatches.length)];
    repeats.forEach((repeat, i) => {
      this.at = `program \`${name}\`, repeat ${i} \`${repeat.name}\``;
      const { first, count } = repeat;
      const end = first + count;
      if (!count || end > dispatches.length) {
        this.fail(`${count} dispatches from ${first} on are repeated; the program has ${dispatches.length}`);
      }
      if (first < from) this.fail(`dispatch ${first} is repeated, but the repeat before it ends in front of ${from}`);
      const value = this.expr(repeat.steps);
      if (value < 0n) this.fail(`${value} steps with all symbols at their maximum`);
      for (let n = first; n < end; n++) steps[n] = value;
      replayed += value * BigInt(count);
      this.most("dispatches in a run", replayed, MAX_REPLAYED);
      from = end;
    });
    return steps;
  }

  private bindings({ bindings }: Dispatch, { access, name }: { access: number[]; name: string }) {
    const what = this.at;
    if (bindings.length != access.length) {
      this.fail(`${bindings.length} bindings, its shader \`${name}\` has ${access.length}`);
    }
    const bound = new Map<number, number>();
    bindings.forEach((range, i) => {
      this.at = `${what}, binding ${i}`;
      const buffer = this.range(range);
      const writes = access[i]!;
      if (buffer.kind == WEIGHTS && writes == 2) {
        this.fail(`writes buffer \`${buffer.name}\`, which holds weights: they are only read`);
      }
      const asks = this.p.requirements.maxStorageBufferBindingSize;
      this.needs("bytes in a binding", range.size, asks, GUARANTEED.binding);
      if ((bound.get(range.buffer) ?? writes) != writes) {
        this.fail(
          `buffer \`${buffer.name}\` is bound for reading and for writing; WebGPU refuses that in one dispatch`,
        );
      }
      bound.set(range.buffer, writes);
    });
  }

  /** Checks the rest of a dispatch and gives its workgroups; those of one step, if it is repeated. */
  private dispatch(dispatch: Dispatch, { name, paramsSize }: { name: string; paramsSize: number }, repeated: boolean) {
    const { p } = this;
    const words = dispatch.params.length;
    if (words * 4 > paramsSize) {
      this.fail(`${words} parameter words do not fit the ${paramsSize} bytes of shader \`${name}\``);
    }
    for (const { int } of dispatch.params) if (int) this.parts(int, p.symbols.length + (repeated ? 1 : 0));
    let workgroups = 1n;
    dispatch.workgroups.forEach((count, axis) => {
      const value = this.expr(count);
      if (value < 0n || value > 65535n) {
        this.fail(`${value} workgroups in ${"xyz"[axis]} with all symbols at their maximum, 0 to 65535 are possible`);
      }
      workgroups *= value;
    });
    const bytes = dispatch.bindings.reduce((sum, { size }) => sum + size, 0);
    if (workgroups > bytes)
      this.fail(`${workgroups} workgroups for ${bytes} bytes of bindings: nothing for them to do`);
    for (const index of dispatch.writes) this.index("tensor", p.tensors, index);
    this.expr(dispatch.flops);
    this.expr(dispatch.bytes);
    return workgroups;
  }
}
