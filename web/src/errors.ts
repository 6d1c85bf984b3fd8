/** What kind of thing went wrong, for programs. */
export type ErrorCode =
  /** There is no WebGPU, or no adapter. */
  | "unsupported"
  /** The device lacks what the plan needs. */
  | "device"
  /** The plan file cannot be fetched. */
  | "network"
  /** The file is no plan, of another version, or damaged. */
  | "damaged"
  /** The plan was written wrongly. */
  | "invalid"
  /** The model cannot be compiled. */
  | "compile"
  /** What was given to a run does not fit. */
  | "input"
  /** The device was lost. */
  | "lost"
  /** The session was disposed of. */
  | "disposed";

/** Whatever this package complains about. */
export class KilnError extends Error {
  override readonly name = "KilnError";
  constructor(
    /** What kind of thing went wrong. */
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Throws. */
export function fail(code: ErrorCode, message: string, cause?: unknown): never {
  throw new KilnError(code, message, cause === undefined ? undefined : { cause });
}
