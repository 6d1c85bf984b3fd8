/** The ways of giving an input. */
import { shapeOf, shapeText } from "./binding.js";
import { fail } from "./errors.js";
import { exprText } from "./expr.js";
import type { Picture } from "./pictures.js";
import { STORAGE_SIZES, type Plan, type PlanTensor } from "./plan.js";
import { product, type Numbers } from "./tensor.js";

/** Part of a buffer of the device: dense elements as the plan stores them. */
export interface DeviceTensor {
  buffer: GPUBuffer;
  offset?: number;
  shape?: number[];
}

/** What can be given for an input. Without a shape, the one size that is open follows from the number of elements. */
export type Input =
  | number
  | Numbers
  | readonly number[]
  | { data: Numbers | readonly number[]; shape: readonly number[] }
  | GPUBuffer
  | DeviceTensor
  | Picture
  | readonly Picture[];

/** What can be given for the inputs of a program, by name; a model's only input may be called `input`. */
export type Inputs = Record<string, Input>;

/** Any way of giving an input, told apart. */
export interface Given {
  data?: Numbers | readonly number[];
  shape?: readonly number[];
  pictures?: readonly Picture[];
  on?: DeviceTensor;
}

/** Tells them apart. */
export function normalized(value: Input): Given {
  if (typeof value == "number") return { data: [value] };
  if (Array.isArray(value)) return typeof value[0] == "object" ? { pictures: value } : { data: value };
  if (ArrayBuffer.isView(value)) return { data: value as Numbers };
  if (value instanceof GPUBuffer) return { on: { buffer: value } };
  if ("buffer" in value) return { on: value as DeviceTensor, shape: (value as DeviceTensor).shape };
  // What has a size is drawn.
  if ("width" in value || "codedWidth" in value) return { pictures: [value as Picture] };
  if ("data" in value) return value as Given;
  return fail("input", "an input is an array of numbers, `{ data, shape }`, a picture, or a buffer of the device");
}

/** The shape that was given, or that follows. */
export function shapeGiven(plan: Plan, tensor: PlanTensor, { data, shape, pictures, on }: Given): readonly number[] {
  if (data) {
    if (shape && product(shape) != data.length)
      fail("input", `${data.length} elements for \`${tensor.name}\` of shape [${shape}]`);
    return shape ?? shapeOf(plan, tensor, data.length);
  }
  if (shape) return shape;
  const each = product(tensor.shape.slice(1).map((dim) => Number(exprText(dim, plan))));
  if (pictures) {
    return Number.isNaN(each)
      ? fail("input", `pictures for \`${tensor.name}\` of shape ${shapeText(plan, tensor)}: its sizes are open`)
      : [pictures.length, ...tensor.shape.slice(1).map((dim) => Number(exprText(dim, plan)))];
  }
  return shapeOf(plan, tensor, (on!.buffer.size - (on!.offset ?? 0)) / STORAGE_SIZES[tensor.storage]!);
}

/** Memory of the device that can be copied from or to. */
export function usable(given: GPUBuffer | DeviceTensor, usage: number, bytes: number, name: string): DeviceTensor {
  const place = "buffer" in given ? given : { buffer: given };
  const { buffer, offset = 0 } = place;
  if (!(buffer.usage & usage)) {
    fail(
      "input",
      `the buffer for \`${name}\` was made without ${usage == GPUBufferUsage.COPY_SRC ? "COPY_SRC" : "COPY_DST"}`,
    );
  }
  if (offset % 4 || offset + bytes > buffer.size) {
    fail("input", `${bytes} bytes of \`${name}\` from ${offset} on do not lie in a buffer of ${buffer.size} bytes`);
  }
  return place;
}
