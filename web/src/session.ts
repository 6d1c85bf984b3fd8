/** A plan on a device, ready to run and to train. A run is one submission. */
import {
  bind,
  bytesAt,
  paramsPlaces,
  prepare,
  schedule,
  shapeAt,
  shapeText,
  type Bound,
  type ParamsPlace,
} from "./binding.js";
import { fail } from "./errors.js";
import { exprText } from "./expr.js";
import { normalized, shapeGiven, usable, type DeviceTensor, type Inputs } from "./inputs.js";
import { beginning, dense, stored } from "./layout.js";
import type { Loaded } from "./load.js";
import type { PictureReader } from "./pictures.js";
import { ROLES, type Metadata, type Plan, type PlanTensor, type Program } from "./plan.js";
import { Staging, type Part } from "./staging.js";
import { dtypeOf, fromDevice, toDevice, type DType, type Tensor } from "./tensor.js";
import type { Progress, Trainer } from "./training.js";

/** Behind the name of a parameter, that of the state which is its average over steps. */
const AVERAGE = ".ema";

/** How a program is run. */
export interface RunOptions {
  /** Its name; the plan's first program if absent. */
  program?: string;
  /** Outputs that are copied into buffers of the same device instead of being read back. */
  into?: Record<string, GPUBuffer | DeviceTensor>;
  /** Names of the outputs that are read back; all others if absent. */
  outputs?: readonly string[];
}

/** What is known of an input or an output. */
export interface Description {
  name: string;
  dtype: DType;
  /** Sizes; those that are open as text, `N`. */
  shape: (number | string)[];
  /** What an input is for. */
  role?: (typeof ROLES)[number];
}

/** What `evaluate` has found. */
export interface Evaluation {
  /** The mean loss. */
  loss: number;
  /** The share of right answers, where there are classes. */
  accuracy?: number;
  /** The best class of each sample, where there are classes. */
  predicted?: Int32Array;
}

/** A program with everything of it on the device. */
interface Ready {
  params?: GPUBuffer;
  places: ParamsPlace[];
  size: number;
  groups: GPUBindGroup[];
  bound?: Bound;
}

/** A plan on a device. It tells of the loss of its device by an event called `lost`. */
export class Session extends EventTarget {
  private staging: Staging;
  private ready = new Map<Program, Ready>();
  private pictures?: PictureReader;
  private training?: Trainer;
  private kept?: [states: Record<string, Tensor>, progress: Progress];
  private why?: "lost" | "disposed";

  /** How far training has come. Steps are counted; epochs are for the page to count. Checkpoints have both. */
  progress: Progress = { step: 0, epoch: 0 };

  /** Called by `load`. */
  constructor(
    /** @internal */
    public on: Loaded,
  ) {
    super();
    this.staging = new Staging(on.device);
    this.watch();
  }

  /** The device. */
  get device(): GPUDevice {
    return this.on.device;
  }

  /** The plan, without its weights. */
  get plan(): Plan {
    return this.on.plan;
  }

  /** The names of the programs. */
  get programs(): string[] {
    return this.plan.programs.map(({ name }) => name);
  }

  /** The inputs of the first program. */
  get inputs(): Description[] {
    return this.describe().inputs;
  }

  /** The outputs of the first program. */
  get outputs(): Description[] {
    return this.describe().outputs;
  }

  /** What the classes are called. */
  get labels(): string[] {
    return this.metadata?.classes.map(({ text }) => text) ?? [];
  }

  /** What is known of the model besides its weights. */
  get metadata(): Metadata | undefined {
    return this.plan.metadata;
  }

  /** What goes into a program, and what comes out. */
  describe(program?: string): { inputs: Description[]; outputs: Description[] } {
    const { inputs, roles, outputs } = this.program(program);
    const describe = (name: string, index: number): Description => {
      const tensor = this.plan.tensors[index]!;
      const size = (text: string) => (/^\d+$/.test(text) ? Number(text) : text);
      return { name, dtype: dtypeOf(tensor), shape: tensor.shape.map((dim) => size(exprText(dim, this.plan))) };
    };
    return {
      inputs: inputs.map((index, i) => ({
        ...describe(this.plan.tensors[index]!.name, index),
        role: ROLES[roles[i]!]!,
      })),
      outputs: outputs.map(({ name, tensor }) => describe(name, tensor)),
    };
  }

  /** Runs a program and reads its outputs. Several runs may be on their way; they happen in the order of the calls. */
  async run(inputs: Inputs, options: RunOptions = {}): Promise<Record<string, Tensor>> {
    const program = this.program(options.program);
    const into = options.into ?? {};
    const wanted = options.outputs ?? program.outputs.map(({ name }) => name).filter((name) => !(name in into));
    const outputs = wanted.map((name) => this.output(program, name));
    const encoder = this.device.createCommandEncoder();
    const { symbols } = this.encode(encoder, program, inputs);
    for (const [name, place] of Object.entries(into)) {
      const tensor = this.plan.tensors[this.output(program, name).tensor]!;
      const bytes = (bytesAt(this.plan, tensor, symbols) + 3) & ~3;
      const { buffer, offset = 0 } = usable(place, GPUBufferUsage.COPY_DST, bytes, name);
      encoder.copyBufferToBuffer(this.on.buffers[tensor.place.buffer]!, tensor.place.offset, buffer, offset, bytes);
    }
    const sizes = outputs.flatMap(({ sizes }) => sizes.map(({ tensor }) => tensor));
    const tensors = await this.take([...outputs.map(({ tensor }) => tensor), ...sizes], symbols, encoder);
    let at = outputs.length;
    return Object.fromEntries(
      outputs.map(({ name, sizes }, i) => {
        let tensor = tensors[i]!;
        // Of what the data decide the size of, only the beginning is the result.
        for (const { axis } of sizes) tensor = beginning(tensor, axis, Number(tensors[at++]!.data[0]));
        return [name, tensor];
      }),
    );
  }

  /**
   * One step of training; resolves when few enough steps are on their way for the next one. `input`, `target` and `lr` are
   * given; momentum is 0.9 where it is not. A loss that is not finite leaves all states as they are.
   */
  async step(inputs: Inputs): Promise<void> {
    await this.trainer().step(inputs);
    this.progress.step++;
    this.alive();
  }

  /** The losses of the steps since this was called last, up to the last 4,096. Reading them late costs no waiting. */
  async lossesSince(): Promise<Float32Array> {
    return this.trainer().lossesSince();
  }

  /** Runs the program `evaluate` on any number of samples, in batches. */
  async evaluate(inputs: Inputs): Promise<Evaluation> {
    return this.trainer().evaluate(inputs);
  }

  /**
   * All that is kept from run to run: parameters, statistics, what the optimizer keeps, counters. With `weights`, only what
   * the program `inference` reads: the model's own state dict, with averages (`--ema`) under the names of the parameters.
   */
  async states({ weights = false } = {}): Promise<Record<string, Tensor>> {
    const { tensors, states } = this.plan;
    const read = weights ? this.program("inference").dispatches.flatMap(({ bindings }) => bindings) : [];
    const isRead = ({ place }: PlanTensor) =>
      read.some(
        ({ buffer, offset, size }) =>
          buffer == place.buffer && offset < place.offset + place.size && place.offset < offset + size,
      );
    const wanted = states.filter((index) => !weights || isRead(tensors[index]!));
    const found = await this.take(wanted, []);
    const names = new Set(states.map((index) => tensors[index]!.name));
    const called = (name: string) => {
      const own = name.slice(0, -AVERAGE.length);
      return weights && name.endsWith(AVERAGE) && names.has(own) ? own : name;
    };
    return Object.fromEntries(found.map((tensor, i) => [called(tensors[wanted[i]!]!.name), tensor]));
  }

  /** Sets states by name. Nothing is changed before all of them are known to fit. */
  setStates(states: Record<string, Tensor>): void {
    this.alive();
    const { tensors } = this.plan;
    const byName = new Map(this.plan.states.map((index) => [tensors[index]!.name, tensors[index]!]));
    // A weight becomes its own average, unless that is given, too.
    const averages = Object.entries(states)
      .map(([name, tensor]): [string, Tensor] => [name + AVERAGE, tensor])
      .filter(([name]) => byName.has(name) && !(name in states));
    const writes = Object.entries(states)
      .concat(averages)
      .map(([name, { data, shape, dtype }]): [PlanTensor, Uint8Array] => {
        const tensor = byName.get(name) ?? fail("input", `\`${name}\` is not a state of this plan`);
        const wanted = shapeAt(tensor, []);
        if (shape.join() != wanted.join() || dtype != dtypeOf(tensor)) {
          fail("input", `\`${name}\` is ${dtype}[${shape}], but the plan has ${dtypeOf(tensor)}[${wanted}]`);
        }
        return [tensor, stored(tensor, wanted, toDevice(tensor, data))];
      });
    for (const [{ place }, bytes] of writes) this.write(place, bytes);
  }

  /**
   * The states as the bytes of a safetensors file. With `weights` it is the model's state dict: PyTorch reads it, and
   * `kiln eval --weights`. Without, it is a checkpoint, with the progress: `kiln train --resume` reads it.
   */
  async save(options: { weights?: boolean; metadata?: Record<string, string> } = {}): Promise<Uint8Array> {
    const progress = { ...this.progress };
    const [training, states] = await Promise.all([import("./training.js"), this.states(options)]);
    const own = options.weights ? {} : training.progressMetadata(progress);
    return training.toSafetensors(states, { ...own, ...options.metadata });
  }

  /** Sets the states that a safetensors file has; with `partly`, those it has not stay as they are. */
  async restoreFrom(bytes: Uint8Array, { partly = false } = {}): Promise<void> {
    const { progressOf, readSafetensors } = await import("./training.js");
    const { tensors: states, metadata } = readSafetensors(bytes);
    const progress = progressOf(metadata);
    const missing = this.plan.states.map((index) => this.plan.tensors[index]!.name).filter((name) => !(name in states));
    if (missing.length && !partly) {
      const more = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
      fail("input", `the file does not have \`${missing.slice(0, 3).join("`, `")}\`${more}`);
    }
    this.setStates(states);
    if (progress) this.progress = progress;
  }

  /** Keeps the states in the page's memory, for [`Session.restore`]. */
  async snapshot(): Promise<void> {
    const progress = { ...this.progress };
    this.kept = [await this.states(), progress];
  }

  /** Continues after the loss of the device: on another one, with the states of the last snapshot. */
  async restore(options: { device?: GPUDevice } = {}): Promise<void> {
    if (this.why == "disposed") this.alive();
    this.free();
    this.on = await this.on.again(options.device);
    this.staging = new Staging(this.device);
    this.why = undefined;
    if (this.kept) {
      this.setStates(this.kept[0]);
      this.progress = { ...this.kept[1] };
    }
    this.watch();
  }

  /** Frees everything that the session has on the device. */
  dispose(): void {
    if (this.why == "disposed") return;
    this.why = "disposed";
    this.free();
    if (this.on.owned) this.device.destroy();
  }

  private free() {
    for (const { params } of this.ready.values()) params?.destroy();
    for (const buffer of this.on.buffers) buffer.destroy();
    this.staging.dispose();
    this.pictures?.dispose();
    this.training?.dispose();
    this.pictures = this.training = undefined;
    this.ready.clear();
  }

  private watch() {
    const { device } = this;
    device.lost.then(({ reason, message }) => {
      if (this.why || device != this.device) return;
      this.why = "lost";
      this.dispatchEvent(Object.assign(new Event("lost"), { reason, message }));
    });
  }

  private alive() {
    if (this.why == "lost") fail("lost", "the device was lost; `session.restore()` continues on another one");
    if (this.why) fail("disposed", "the session was disposed of");
  }

  private trainer(): Trainer {
    this.alive();
    const { training } = this.on;
    if (!training) fail("input", "this plan does not train: `kiln compile MODEL --train` makes one that does");
    return (this.training ??= new training.Trainer(this));
  }

  /** @internal */
  program(name?: string): Program {
    const found =
      name === undefined ? this.plan.programs[0] : this.plan.programs.find((program) => program.name == name);
    return found ?? fail("input", `the plan has no program \`${name}\`; it has ${this.programs.join(", ")}`);
  }

  /** @internal */
  output({ outputs }: Program, name: string) {
    const there = outputs.map(({ name }) => name).join(", ");
    return (
      outputs.find((output) => output.name == name) ??
      fail("input", `there is no output \`${name}\`; there are ${there}`)
    );
  }

  /** Under which name each input of a program was given. */
  /** @internal */
  names({ inputs, roles }: Program, given: Inputs): (string | undefined)[] {
    const data = roles.filter((role) => ROLES[role] == "data").length;
    const names = inputs.map((index, i) => {
      const own = this.plan.tensors[index]!.name;
      const role = ROLES[roles[i]!]!;
      const others = role == "data" ? (data == 1 ? ["input"] : []) : role == "beta1" ? [role, "momentum"] : [role];
      return [own, ...others].find((name) => name in given);
    });
    const unknown = Object.keys(given).find((name) => !names.includes(name));
    if (unknown !== undefined) {
      const there = inputs.map((index) => this.plan.tensors[index]!.name).join(", ");
      fail("input", `there is no input \`${unknown}\`; there are ${there}`);
    }
    return names;
  }

  /**
   * Sets the inputs of a program and records its dispatches.
   * @internal
   */
  encode(encoder: GPUCommandEncoder, program: Program, given: Inputs): Bound {
    this.alive();
    const { plan } = this;
    const names = this.names(program, given);
    const tensors = program.inputs.map((index) => plan.tensors[index]!);
    const values = tensors.map((tensor, i) => {
      const role = ROLES[program.roles[i]!]!;
      const usual = role == "momentum" || role == "beta1" ? 0.9 : role == "update" ? 1 : undefined;
      return normalized(
        (names[i] === undefined ? usual : given[names[i]!]) ??
          fail(
            "input",
            `the input \`${tensor.name}\` is missing: ${dtypeOf(tensor)} of shape ${shapeText(plan, tensor)}`,
          ),
      );
    });
    const shapes = values.map((value, i) => shapeGiven(plan, tensors[i]!, value));
    const symbols = bind(plan, program, shapes, this.on.reader.explain);
    // Everything is converted before anything is written: an error leaves the session as it was.
    const bytes = values.map(({ data }, i) => data && toDevice(tensors[i]!, data));
    const ready = this.prepared(program);
    if (ready.bound?.symbols.join() != symbols.join()) {
      ready.bound = prepare(plan, program, ready.places, ready.size, symbols);
      if (ready.params) this.device.queue.writeBuffer(ready.params, 0, ready.bound.params);
    }
    values.forEach(({ data, pictures, on }, i) => {
      const tensor = tensors[i]!;
      const { place } = tensor;
      if (data) this.write(place, bytes[i]!);
      else if (pictures) {
        const { pictures: module } = this.on;
        if (!module) {
          return fail(
            "input",
            `the plan does not say how \`${tensor.name}\` is made of pictures: give numbers, or compile with \`--mean\`, \`--std\`, \`--resize\``,
          );
        }
        this.pictures ??= new module.PictureReader(this.device);
        const to = this.on.buffers[place.buffer]!;
        pictures.forEach((picture, n) =>
          this.pictures!.put(picture, n, tensor, shapes[i]!, this.metadata?.preprocessing, to),
        );
      } else {
        const size = (bytesAt(plan, tensor, symbols) + 3) & ~3;
        const { buffer, offset = 0 } = usable(on!, GPUBufferUsage.COPY_SRC, size, tensor.name);
        encoder.copyBufferToBuffer(buffer, offset, this.on.buffers[place.buffer]!, place.offset, size);
      }
    });
    this.dispatch(encoder, program, ready);
    return ready.bound;
  }

  private dispatch(encoder: GPUCommandEncoder, program: Program, { bound, groups, places }: Ready) {
    const pass = encoder.beginComputePass();
    let current = -1;
    for (const [n, step] of schedule(program, bound!.steps)) {
      const { shader } = program.dispatches[n]!;
      const [x, y, z] = bound!.workgroups[n] as [number, number, number];
      if (!x || !y || !z) continue;
      const kernel = this.on.kernels[shader]!;
      if (shader != current) pass.setPipeline(kernel.pipeline);
      current = shader;
      pass.setBindGroup(0, groups[n]!, kernel.stepping ? [places[n]!.each * step] : []);
      pass.dispatchWorkgroups(x, y, z);
    }
    pass.end();
  }

  private prepared(program: Program): Ready {
    const found = this.ready.get(program);
    if (found) return found;
    const { device, plan } = this;
    const [places, size] = paramsPlaces(plan, program);
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    const params = size ? device.createBuffer({ label: "parameters", size, usage }) : undefined;
    const groups = program.dispatches.map(({ name, shader, bindings }, n) => {
      const { paramsSize } = plan.shaders[shader]!;
      const entries: GPUBindGroupEntry[] = bindings.map(({ buffer, offset, size }, i) => ({
        binding: i + 1,
        resource: { buffer: this.on.buffers[buffer]!, offset, size },
      }));
      if (paramsSize)
        entries.push({ binding: 0, resource: { buffer: params!, offset: places[n]!.at, size: paramsSize } });
      return device.createBindGroup({ label: name, layout: this.on.kernels[shader]!.layout, entries });
    });
    const ready = { params, places, size, groups };
    this.ready.set(program, ready);
    return ready;
  }

  private write({ buffer, offset }: { buffer: number; offset: number }, bytes: Uint8Array) {
    if (bytes.length & 3) {
      // An odd number of 16-bit elements ends within a word, and words are what is written.
      const words = new Uint8Array((bytes.length + 3) & ~3);
      words.set(bytes);
      bytes = words;
    }
    this.device.queue.writeBuffer(this.on.buffers[buffer]!, offset, bytes as Uint8Array<ArrayBuffer>);
  }

  /** Submits what was recorded and reads tensors. */
  private async take(
    indices: readonly number[],
    symbols: readonly bigint[],
    encoder?: GPUCommandEncoder,
  ): Promise<Tensor[]> {
    const tensors = indices.map((index) => this.plan.tensors[index]!);
    const sizes = tensors.map((tensor) => bytesAt(this.plan, tensor, symbols));
    const parts = tensors.map(({ place }, i): Part => [this.on.buffers[place.buffer]!, place.offset, sizes[i]!]);
    const bytes = await this.bytes(parts, encoder);
    let at = 0;
    return tensors.map((tensor, i) => {
      const shape = shapeAt(tensor, symbols);
      const part = bytes.slice(at, at + sizes[i]!);
      at += (sizes[i]! + 3) & ~3;
      return { dtype: dtypeOf(tensor), shape, data: fromDevice(tensor, dense(tensor, shape, part)) };
    });
  }

  /** @internal */
  async bytes(parts: Part[], encoder = this.device.createCommandEncoder()): Promise<ArrayBuffer> {
    this.alive();
    const { device } = this;
    try {
      return await this.staging.read(parts, encoder);
    } catch (error) {
      // The news of a loss may come behind this error.
      if (device == this.device) await Promise.race([device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
      this.alive();
      return fail("device", "the device cannot hand its memory over", error);
    }
  }
}
