/** Expressions over a plan's symbols, computed as in Rust: 64-bit integers that stop at their limits. */
import type { Expr, Guard, Plan } from "./plan.js";

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;
const saturated = (value: bigint) => (value > MOST ? MOST : value < LEAST ? LEAST : value);

/** The value for given values of the symbols. */
export function evaluate(expr: Expr, symbols: readonly bigint[]): bigint {
  let sum = 0n;
  for (const { coefficient, factors } of expr.terms) {
    let product = coefficient;
    for (const { symbol, quotient, min } of factors) {
      let value: bigint;
      if (quotient) {
        const dividend = evaluate(quotient.dividend, symbols);
        const rest = dividend % quotient.divisor;
        value = dividend / quotient.divisor - (rest < 0n ? 1n : 0n);
      } else if (min) {
        const [left, right] = [evaluate(min.left, symbols), evaluate(min.right, symbols)];
        value = left < right ? left : right;
      } else value = symbols[symbol!] ?? 0n;
      product = saturated(product * value);
    }
    sum = saturated(sum + product);
  }
  return sum;
}

/** Whether the value depends on a symbol. */
export const mentions = (expr: Expr, symbol: number): boolean =>
  expr.terms.some(({ factors }) =>
    factors.some(
      (factor) =>
        factor.symbol === symbol ||
        (factor.quotient && mentions(factor.quotient.dividend, symbol)) ||
        (factor.min && (mentions(factor.min.left, symbol) || mentions(factor.min.right, symbol))),
    ),
  );

/** The expression with the names of the symbols: `2*N + 1`. */
export function exprText(expr: Expr, plan: Plan): string {
  let text = "";
  for (const { coefficient, factors } of expr.terms) {
    const negative = coefficient < 0n;
    text += text ? (negative ? " - " : " + ") : negative ? "-" : "";
    const size = negative ? -coefficient : coefficient;
    const parts = size != 1n || !factors.length ? [`${size}`] : [];
    for (const { symbol, quotient, min } of factors) {
      parts.push(
        quotient
          ? `floor((${exprText(quotient.dividend, plan)}) / ${quotient.divisor})`
          : min
            ? `min(${exprText(min.left, plan)}, ${exprText(min.right, plan)})`
            : (plan.symbols[symbol!]?.name ?? `symbol ${symbol}`),
      );
    }
    text += parts.join("*");
  }
  return text || "0";
}

/** Whether a condition holds. */
export function holds({ left, relation, right }: Guard, symbols: readonly bigint[]): boolean {
  const [a, b] = [evaluate(left, symbols), evaluate(right, symbols)];
  return relation == 1 ? a == b : relation == 2 ? a != b : a >= b;
}
