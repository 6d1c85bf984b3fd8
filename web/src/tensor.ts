/** Numbers on the host, and as the device stores them. */
import { fail } from "./errors.js";
import { DTYPES, STORAGES, type PlanTensor } from "./plan.js";

/** Arrays of numbers. */
export type Numbers =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | BigInt64Array;

/** An element type. */
export type DType = "f32" | "f16" | "f64" | "i32" | "i64" | "u8" | "bool" | "i8" | "u16" | "i16" | "u32";

/** A dense tensor in row-major order. Truth values are bytes, 16-bit floats are `Float32Array`s. */
export interface Tensor<N extends Numbers = Numbers> {
  dtype: DType;
  shape: number[];
  data: N;
}

const ARRAYS = {
  f32: Float32Array,
  f16: Float32Array,
  f64: Float64Array,
  i32: Int32Array,
  i64: BigInt64Array,
  u8: Uint8Array,
  bool: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
};

/** The element type of a plan's tensor. */
export const dtypeOf = (tensor: PlanTensor): DType => DTYPES[tensor.dtype] as DType;

/** The product. */
export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

const half = (): typeof Float32Array =>
  (globalThis as any).Float16Array ?? fail("device", "16-bit floats need a browser with `Float16Array`");

/** What the device is given for the elements; they are dense. */
export function toDevice(tensor: PlanTensor, data: Numbers | readonly number[]): Uint8Array {
  const storage = STORAGES[tensor.storage]!;
  const dtype = dtypeOf(tensor);
  const Array = ARRAYS[dtype];
  if (ArrayBuffer.isView(data)) {
    const own = data instanceof Array || (data instanceof Uint8ClampedArray && dtype == "u8");
    if (!own)
      fail("input", `\`${tensor.name}\` takes ${dtype} (${Array.name}), but a ${data.constructor.name} was given`);
  }
  if (storage == "f16") return bytesOf(half().from(data as Float32Array));
  if (storage == "f32") return bytesOf(data instanceof Float32Array ? data : Float32Array.from(data as number[]));
  const words = storage == "u32" ? new Uint32Array(data.length) : new Int32Array(data.length);
  for (let i = 0; i < words.length; i++) {
    const value = Number(data[i]);
    words[i] = dtype == "bool" ? (value ? 1 : 0) : value;
    if (dtype != "bool" && words[i] != value) {
      fail("input", `element ${i} of \`${tensor.name}\` is ${data[i]}, which does not fit ${storage}`);
    }
  }
  return bytesOf(words);
}

/** The elements of which the device has stored the bytes. */
export function fromDevice(tensor: PlanTensor, bytes: ArrayBuffer): Numbers {
  const storage = STORAGES[tensor.storage]!;
  const dtype = dtypeOf(tensor);
  if (storage == "f16") return Float32Array.from(new (half())(bytes));
  if (storage == "f32") return new Float32Array(bytes);
  const words = storage == "u32" ? new Uint32Array(bytes) : new Int32Array(bytes);
  if (dtype == "i64") return BigInt64Array.from(words as Int32Array, BigInt);
  if (dtype == "bool") return Uint8Array.from(words, (word) => (word ? 1 : 0));
  if (dtype == "i32") return new Int32Array(bytes);
  if (dtype == "u32") return new Uint32Array(bytes);
  return ARRAYS[dtype].from(words as any) as Numbers;
}

/** The bytes of an array. */
export const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);

/** Of each dimension the distance between neighbours, and the number of elements with padding. */
export function strides({ order, lanes }: PlanTensor, shape: readonly number[]): [number[], number] {
  const strides: number[] = [];
  let step = 1;
  [...order].reverse().forEach((axis, i) => {
    strides[axis] = step;
    const size = shape[axis]!;
    step *= i == 0 ? Math.ceil(size / lanes) * lanes : size;
  });
  return [strides, step];
}

/** Moves elements between dense order and that of a tensor; `move` is told the place of each in both. */
export function eachElement(
  tensor: PlanTensor,
  shape: readonly number[],
  move: (dense: number, stored: number) => void,
): void {
  const [steps] = strides(tensor, shape);
  const count = product(shape);
  const at = shape.map(() => 0);
  let stored = 0;
  for (let dense = 0; dense < count; dense++) {
    move(dense, stored);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      stored += steps[axis]!;
      if (++at[axis]! < shape[axis]!) break;
      stored -= steps[axis]! * shape[axis]!;
      at[axis] = 0;
    }
  }
}
