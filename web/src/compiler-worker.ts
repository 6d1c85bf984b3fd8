/** The compiler in a worker, so that a page stays responsive: one job, one answer. */
import { compileIn, type Job } from "./compiler-core.js";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Job>) => void;
  postMessage(answer: unknown, moved?: Transferable[]): void;
};

scope.onmessage = async ({ data }) => {
  try {
    const { plan, report } = await compileIn(data);
    scope.postMessage({ plan, report }, [plan.buffer]);
  } catch (error) {
    scope.postMessage({ error: (error as Error).message });
  }
};
