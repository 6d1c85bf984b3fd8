/** Words about sizes that do not fit. */
import { valuesText } from "./binding.js";
import { fail } from "./errors.js";
import { exprText, holds, mentions } from "./expr.js";
import type { Guard, Plan, Program } from "./plan.js";

/** How far values that fit are looked for. */
const MOST_STEPS = 4096n;

/** The condition with the names of the symbols. */
const guardText = ({ left, relation, right }: Guard, plan: Plan): string =>
  `${exprText(left, plan)} ${["", "==", "!=", ">="][relation]} ${exprText(right, plan)}`;

/** Says what the sizes of a run have to be, and which ones near them would do. */
export function explain(plan: Plan, { guards }: Program, guard: Guard, values: readonly bigint[]): never {
  let hint = "";
  plan.symbols.forEach(({ name, max }, i) => {
    if (hint || !(mentions(guard.left, i) || mentions(guard.right, i))) return;
    const here = guards.filter(({ left, right }) => mentions(left, i) || mentions(right, i));
    const fits = (value: bigint) => {
      const others = values.map((other, n) => (n == i ? value : other));
      return value > 0n && value <= max && here.every((guard) => holds(guard, others));
    };
    const found: bigint[] = [];
    for (const by of [-1n, 1n]) {
      for (let n = 1n; n <= MOST_STEPS; n++) {
        if (fits(values[i]! + by * n)) {
          found.push(values[i]! + by * n);
          break;
        }
      }
    }
    if (found.length) hint = `; ${name} = ${found.join(" and ")} would fit`;
  });
  return fail("input", `\`${guard.node}\` needs ${guardText(guard, plan)}, but ${valuesText(plan, values)}${hint}`);
}
