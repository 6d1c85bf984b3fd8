/** Training: steps with losses that are read late, evaluation, and files of states. */
import { shapeAt } from "./binding.js";
import { fail } from "./errors.js";
import { ROLES } from "./plan.js";
import type { Inputs } from "./inputs.js";
import type { Evaluation, Session } from "./session.js";
import { product, type Numbers } from "./tensor.js";

export { fromSafetensors, readSafetensors, toSafetensors } from "./safetensors.js";
export { readFile, removeFile, writeFile } from "./storage.js";

/** Losses that are kept on the device until they are read. */
const KEPT_LOSSES = 4096;
/** Steps that are on their way at once: enough to keep a device busy, few enough for a page to stay responsive. */
const IN_FLIGHT = 3;

/** How far a training has come. */
export interface Progress {
  /** Steps done. */
  step: number;
  /** Passes over the samples that are done; the page says so. */
  epoch: number;
}

const PROGRESS = "kiln.progress";

/** The metadata of a checkpoint, as `kiln train --resume` reads it: what a page does not count is nothing. */
export function progressMetadata({ step, epoch }: Progress): Record<string, string> {
  const nothing = { length: 0, checksum: 0 };
  const progress = {
    ...{ step, epoch, batch: 0, mean: { sum: 0, weight: 0 }, tally: null, seconds: 0, best: null },
    ...{ unimproved_since: epoch, logged: { losses: nothing, epochs: nothing } },
  };
  return { [PROGRESS]: JSON.stringify(progress) };
}

/** The progress in a file's metadata, if it is a checkpoint. */
export function progressOf(metadata: Record<string, string>): Progress | undefined {
  const text = metadata[PROGRESS];
  if (text === undefined) return undefined;
  let found: Partial<Progress> | undefined;
  try {
    found = JSON.parse(text);
  } catch {
    // Neither is what follows then.
  }
  const { step, epoch } = found ?? {};
  const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  return isCount(step) && isCount(epoch)
    ? { step, epoch }
    : fail("damaged", `the file's \`${PROGRESS}\` cannot be read`);
}

/** What a session needs for training. */
export class Trainer {
  private losses?: GPUBuffer;
  private steps = 0;
  private read = 0;
  private flying: Promise<unknown>[] = [];

  constructor(private session: Session) {}

  /** Frees what it has on the device. */
  dispose(): void {
    this.losses?.destroy();
  }

  /**
   * One step of training; resolves when few enough steps are on their way for the next one. `input`, `target` and `lr` are
   * given; momentum is 0.9 where it is not. A loss that is not finite leaves all states as they are.
   */
  async step(inputs: Inputs): Promise<void> {
    const program = this.session.program("train");
    const { device } = this.session;
    const loss = this.session.plan.tensors[this.session.output(program, "loss").tensor]!.place;
    const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    this.losses ??= device.createBuffer({ label: "losses", size: 4 * KEPT_LOSSES, usage });
    const encoder = device.createCommandEncoder();
    // Each step is judged by its own loss: one that was not finite does not keep those behind it from changing states.
    const { tensors, states } = this.session.plan;
    const failed = states.map((index) => tensors[index]!).find(({ name }) => name == "train.failed");
    if (failed) encoder.clearBuffer(this.session.on.buffers[failed.place.buffer]!, failed.place.offset, 4);
    this.session.encode(encoder, program, inputs);
    encoder.copyBufferToBuffer(
      this.session.on.buffers[loss.buffer]!,
      loss.offset,
      this.losses,
      4 * (this.steps++ % KEPT_LOSSES),
      4,
    );
    device.queue.submit([encoder.finish()]);
    this.flying.push(device.queue.onSubmittedWorkDone());
    if (this.flying.length > IN_FLIGHT) await this.flying.shift();
  }

  /** The losses of the steps since this was called last, up to the last 4,096. Reading them late costs no waiting. */
  async lossesSince(): Promise<Float32Array> {
    const from = Math.max(this.read, this.steps - KEPT_LOSSES);
    this.read = this.steps;
    if (!this.losses || from == this.read) return new Float32Array();
    const all = new Float32Array(await this.session.bytes([[this.losses, 0, 4 * KEPT_LOSSES]]));
    return Float32Array.from({ length: this.read - from }, (_, i) => all[(from + i) % KEPT_LOSSES]!);
  }

  /** Runs the program `evaluate` on any number of samples, in batches. */
  async evaluate(inputs: Inputs): Promise<Evaluation> {
    const program = this.session.program("evaluate");
    const names = this.session.names(program, inputs);
    const largest = this.session.plan.symbols.map(({ max }) => BigInt(max));
    const parts = program.inputs.map((index, i) => {
      const tensor = this.session.plan.tensors[index]!;
      const given = inputs[names[i]!] as Numbers | { data: Numbers };
      const data = "data" in given ? given.data : given;
      const [most = 1, ...rest] = shapeAt(tensor, largest);
      return { name: tensor.name, data, each: product(rest), most, target: ROLES[program.roles[i]!] == "target" };
    });
    const [{ data, each, most } = fail("input", "`evaluate` has no inputs")] = parts;
    const count = Math.floor(data.length / each);
    const outputs = program.outputs
      .map(({ name }) => name)
      .filter((name) => /^(loss|loss_weight|predicted_classes)$/.test(name));
    const predicted: number[] = [];
    let [sum, weight, right, judged] = [0, 0, 0, 0];
    for (let from = 0; from < count; from += most) {
      const length = Math.min(most, count - from);
      const cut = ({ data, each }: (typeof parts)[0]) => data.slice(from * each, (from + length) * each);
      const batch = Object.fromEntries(parts.map((part) => [part.name, cut(part)]));
      const found = await this.session.run(batch, { program: "evaluate", outputs });
      const of = Number(found.loss_weight?.data[0] ?? length);
      sum += Number(found.loss!.data[0]) * of;
      weight += of;
      const target = cut(parts.find(({ target }) => target)!);
      found.predicted_classes?.data.forEach((said, i) => {
        predicted.push(Number(said));
        if (Number(target[i]) < 0) return;
        judged++;
        if (said == target[i]) right++;
      });
    }
    const answers = judged ? { accuracy: right / judged, predicted: Int32Array.from(predicted) } : {};
    return { loss: sum / weight, ...answers };
  }
}
