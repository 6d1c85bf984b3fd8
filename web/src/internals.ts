/** What the parts that are loaded later share with `kiln.js`, so that it is there once. */
export { bytesAt, shapeAt, valuesText } from "./binding.js";
export { featuresOf, GUARANTEED, limitsOf, requestAdapter } from "./device.js";
export { fail } from "./errors.js";
export { evaluate, exprText, holds, mentions } from "./expr.js";
export { DTYPES, ROLES, STORAGES, STORAGE_SIZES } from "./plan.js";
export { bytesOf, dtypeOf, product } from "./tensor.js";
