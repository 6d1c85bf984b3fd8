/** Kiln in a web page: plans that `kiln compile` has made run and train with WebGPU. */
export { KilnError, type ErrorCode } from "./errors.js";
export { load, type LoadOptions, type PlanSource } from "./load.js";
export type { Picture } from "./pictures.js";
export type { Metadata, Plan, Preprocessing } from "./plan.js";
export type { DeviceTensor, Input, Inputs } from "./inputs.js";
export { Session, type Description, type Evaluation, type RunOptions } from "./session.js";
export type { DType, Numbers, Tensor } from "./tensor.js";
export type { Progress } from "./training.js";
export { top, type Scored } from "./top.js";
