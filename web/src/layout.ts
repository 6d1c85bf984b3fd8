/** Tensors in the order of memory and in dense order. */
import { STORAGE_SIZES, type PlanTensor } from "./plan.js";
import { eachElement, product, strides, type Tensor } from "./tensor.js";

/** From the order of memory to dense order. */
export function dense(tensor: PlanTensor, shape: number[], bytes: ArrayBuffer): ArrayBuffer {
  if (tensor.lanes == 1 && tensor.order.every((axis, i) => axis == i)) return bytes;
  const words = STORAGE_SIZES[tensor.storage] == 2 ? Uint16Array : Uint32Array;
  const from = new words(bytes);
  const to = new words(product(shape));
  eachElement(tensor, shape, (dense, stored) => (to[dense] = from[stored]!));
  return to.buffer;
}

/** From dense order to that of memory. */
export function stored(tensor: PlanTensor, shape: number[], bytes: Uint8Array): Uint8Array {
  const [, count] = strides(tensor, shape);
  const words = STORAGE_SIZES[tensor.storage] == 2 ? Uint16Array : Uint32Array;
  const from = new words(bytes.slice().buffer);
  const to = new words(count);
  eachElement(tensor, shape, (dense, stored) => (to[stored] = from[dense]!));
  return new Uint8Array(to.buffer);
}

/** No more than the first `length` elements along an axis. */
export function beginning({ dtype, shape, data }: Tensor, axis: number, length: number): Tensor {
  const size = shape[axis]!;
  if (length >= size) return { dtype, shape, data };
  const after = product(shape.slice(axis + 1));
  const kept = (data as Float32Array).filter((_, i) => Math.floor(i / after) % size < length);
  return { dtype, shape: shape.map((n, i) => (i == axis ? length : n)), data: kept };
}
