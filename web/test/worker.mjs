// The same as in a page, in a worker.
import { answer } from "/test/page.mjs";

answer("net").then(
  (apart) => postMessage({ apart }),
  (error) => postMessage({ error: String(error.stack) }),
);
