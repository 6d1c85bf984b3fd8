/** Classes by their scores. */
import type { Tensor } from "./tensor.js";

/** A class with its probability. */
export interface Scored {
  index: number;
  label: string;
  probability: number;
}

/** The best classes of one sample. Scores that are no probabilities are made such by softmax. */
export function top(scores: Tensor, labels: readonly string[] = [], count = 5, sample = 0): Scored[] {
  const classes = scores.shape[scores.shape.length - 1]!;
  const own = Array.from({ length: classes }, (_, i) => Number(scores.data[sample * classes + i]));
  const sum = own.reduce((a, b) => a + b, 0);
  let shares = own;
  if (own.some((score) => score < 0) || Math.abs(sum - 1) > 1e-3) {
    const most = Math.max(...own);
    const powers = own.map((score) => Math.exp(score - most));
    const all = powers.reduce((a, b) => a + b, 0);
    shares = powers.map((power) => power / all);
  }
  const scored = shares.map((probability, index) => ({ index, label: labels[index] ?? `class ${index}`, probability }));
  return scored.sort((a, b) => b.probability - a.probability).slice(0, count);
}
