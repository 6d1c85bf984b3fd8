/** What a plan holds. The types are those of the crate `kiln-plan`. */

/** A sum of terms over the plan's symbols. */
export interface Expr {
  terms: Term[];
}
/** A coefficient times a product. */
export interface Term {
  coefficient: bigint;
  factors: Factor[];
}
/** One of: a symbol by index, a quotient rounded down, the smaller of two. */
export interface Factor {
  symbol?: number;
  quotient?: { dividend: Expr; divisor: bigint };
  min?: { left: Expr; right: Expr };
}
/** Part of a buffer. */
export interface Range {
  buffer: number;
  offset: number;
  size: number;
}
/** Initial contents of part of a buffer, with the checksum of its bytes. */
export interface Segment extends Range {
  crc32: number;
}
/** What a plan asks of a device. */
export interface Requirements {
  subgroupSize?: number;
  shaderF16: boolean;
  shaderInt64: boolean;
  shaderFloat64: boolean;
  maxStorageBufferBindingSize: number;
  maxBufferSize: number;
  maxStorageBuffersPerShaderStage: number;
  maxComputeWorkgroupStorageSize: number;
  maxComputeInvocationsPerWorkgroup: number;
  maxLoopIterations: number;
}
/** A kernel; of `access`, 1 is read and 2 is read and write. */
export interface Shader {
  name: string;
  wgsl: string;
  access: number[];
  paramsSize: number;
}
/** What a buffer is for: 1 weights, 2 states, 3 what only has a meaning within a run. */
export type BufferKind = number;
/** A buffer on the device. */
export interface Buffer {
  name: string;
  kind: BufferKind;
  size: number;
}
/** A tensor in memory; `dtype` and `storage` are places in [`DTYPES`] and [`STORAGES`]. */
export interface PlanTensor {
  name: string;
  dtype: number;
  storage: number;
  shape: Expr[];
  order: number[];
  lanes: number;
  place: Range;
}
/** A condition on sizes; of `relation`, 1 is equal, 2 is different, 3 is at least. */
export interface Guard {
  node: string;
  left: Expr;
  relation: number;
  right: Expr;
}
/** Dispatches that are run once for each step of a loop. */
export interface Repeat {
  name: string;
  first: number;
  count: number;
  steps: Expr;
}
/** One launch of a kernel. */
export interface Dispatch {
  name: string;
  shader: number;
  bindings: Range[];
  params: { int?: Expr; float?: number }[];
  workgroups: Expr[];
  writes: number[];
  flops: Expr;
  bytes: Expr;
}
/** A named result. */
export interface Output {
  name: string;
  tensor: number;
  sizes: { axis: number; tensor: number }[];
}
/** A list of dispatches with what goes in and comes out. */
export interface Program {
  name: string;
  inputs: number[];
  roles: number[];
  outputs: Output[];
  dispatches: Dispatch[];
  guards: Guard[];
  repeats: Repeat[];
}
/** How pictures become numbers. */
export interface Pictures {
  /** `RGB`, `BGR` or `L`. */
  channels: string;
  resize: number[];
  crop: number[];
  pixelMax: number;
}
/** How an input is made. */
export interface Preprocessing {
  mean: number[];
  std: number[];
  pictures?: Pictures;
  table?: { columns: { text: string }[] };
}
/** What is known of a model besides its weights. */
export interface Metadata {
  task?: string;
  classes: { text: string }[];
  preprocessing?: Preprocessing;
  targets?: { names: { text: string }[]; mean: number[]; std: number[] };
  provenance?: {
    producer: string;
    data: string;
    loss: string;
    epochs: number;
    steps: number;
    measures: { name: string; value: number }[];
  };
}
/** A compiled network. */
export interface Plan {
  name: string;
  producer: string;
  target: string;
  symbols: { name: string; max: number }[];
  requirements: Requirements;
  shaders: Shader[];
  buffers: Buffer[];
  tensors: PlanTensor[];
  states: number[];
  programs: Program[];
  data: Segment[];
  metadata?: Metadata;
}

/** Element types as the host sees them. */
export const DTYPES = ["", "f32", "f16", "f64", "i32", "i64", "u8", "bool", "i8", "u16", "i16", "u32"];
/** Element types in memory, with the bytes of an element. */
export const STORAGES = ["", "f32", "i32", "u32", "i64", "f64", "f16"];
export const STORAGE_SIZES = [0, 4, 4, 4, 8, 8, 2];
/** What inputs are for. */
export const ROLES = ["", "data", "target", "lr", "momentum", "beta1", "update"] as const;
