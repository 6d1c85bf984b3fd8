/** The plan file, read piece by piece: prefix and header first, then segment by segment as bytes arrive. */
import { check } from "./check.js";
import { crc32 } from "./crc32.js";
import { fail } from "./errors.js";
import type { Plan, Segment } from "./plan.js";
import { decodePlan } from "./schema.js";

const MAGIC = "KILNPLAN";
const VERSION = 5;
const PREFIX = 36;
const MAX_HEADER = 32 << 20;

/** Where bytes come from: one piece after the other, `undefined` at the end. */
export type Source = () => Promise<Uint8Array | undefined>;

/** How far bytes have come. */
export type Progress = (loaded: number, total: number) => void;

const damaged = (message: string): never => fail("damaged", message);
const padding = (length: number) => -length & 255;
const verify = (part: string, found: number, recorded: number) => {
  if (found != recorded) damaged(`the ${part} of the plan file is damaged: its checksum is wrong`);
};

/** Takes as many bytes as are wanted from pieces of any size. */
class Pieces {
  loaded = 0;
  total = 0;
  private piece: Uint8Array | undefined = new Uint8Array();

  constructor(
    private source: Source,
    private progress?: Progress,
  ) {}

  /** Up to `count` bytes that lie together; none at the end. */
  private async some(count: number): Promise<Uint8Array> {
    while (this.piece && !this.piece.length) this.piece = await this.source();
    const some = this.piece?.subarray(0, count) ?? new Uint8Array();
    this.piece = this.piece?.subarray(some.length);
    this.loaded += some.length;
    if (this.total) this.progress?.(this.loaded, Math.max(this.total, this.loaded));
    return some;
  }

  /** The next bytes. Memory is taken as they come, whatever a file says that it has. */
  async take(part: string, count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let found = 0;
    while (found < count) {
      const some = await this.some(count - found);
      if (!some.length) damaged(`the plan file is truncated: ${part} needs ${count} bytes, ${found} are there`);
      parts.push(some);
      found += some.length;
    }
    if (parts.length == 1) return parts[0]!;
    const bytes = new Uint8Array(count);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  async padding(length: number) {
    const bytes = await this.take("padding", padding(length));
    if (bytes.some((byte) => byte))
      damaged("the padding of the plan file is damaged: it holds a byte that is not zero");
  }

  async end() {
    const rest = await this.some(Infinity);
    if (rest.length) damaged(`${rest.length} bytes or more follow the end of the plan: the file is damaged`);
  }
}

/** The plan of a file whose segments are still to come. */
export interface Opened {
  plan: Plan;
  /** Hands over each segment, and looks at the end. */
  segments: (take: (segment: Segment, bytes: Uint8Array) => void) => Promise<void>;
}

/** Reads and checks all but the segments. */
export async function open(source: Source, progress?: Progress): Promise<Opened> {
  const pieces = new Pieces(source, progress);
  const magic = String.fromCharCode(...(await pieces.take("prefix", MAGIC.length).catch(() => [])));
  if (magic != MAGIC) damaged("not a plan file; `kiln compile` makes plans from models");
  const rest = await pieces.take("prefix", PREFIX - MAGIC.length);
  const prefix = new Uint8Array(PREFIX);
  prefix.set(new TextEncoder().encode(MAGIC));
  prefix.set(rest, MAGIC.length);
  const view = new DataView(prefix.buffer);
  const word = (at: number) => view.getUint32(at, true);
  const long = (at: number) => word(at) + word(at + 4) * 2 ** 32;
  if (word(8) != VERSION) {
    damaged(
      `plan format version ${word(8)}; this page reads version ${VERSION}: compile the model again (\`kiln compile MODEL -o PLAN\`)`,
    );
  }
  verify("prefix", crc32(prefix.subarray(0, PREFIX - 4)), word(PREFIX - 4));
  const length = long(16);
  if (length > MAX_HEADER) fail("invalid", `the plan: ${length} bytes of header, at most ${MAX_HEADER} are allowed`);
  pieces.total = PREFIX + length + padding(PREFIX + length) + long(24);
  const header = await pieces.take("header", length);
  verify("header", crc32(header), word(12));
  await pieces.padding(PREFIX + length);
  const plan = decodePlan(header);
  const stored = plan.data.reduce((sum, { size }) => sum + size + padding(size), 0);
  if (stored != long(24)) damaged("the plan file is damaged: its weights section is not as long as its header says");
  check(plan);
  const segments: Opened["segments"] = async (take) => {
    for (const segment of plan.data) {
      const bytes = await pieces.take("weights section", segment.size);
      await pieces.padding(segment.size);
      verify("weights section", crc32(bytes), segment.crc32);
      take(segment, bytes);
    }
    await pieces.end();
  };
  return { plan, segments };
}
