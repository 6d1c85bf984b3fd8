/** What is needed once, when a plan is loaded: its file, its checks, and words about what does not fit. */
export { explain } from "./guards.js";
export { open } from "./file.js";
export { checkDevice } from "./requirements.js";
