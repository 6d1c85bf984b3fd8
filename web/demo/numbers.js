// Any other model: what goes in and comes out, and how long a run takes.
import { card, element, milliseconds, showError } from "./parts.js";

export const describe = "A network of numbers, computed in this page.";

export async function show(session, settings, main) {
  const { symbols } = session.plan;
  const text = ({ name, dtype, shape }) => `${name}: ${dtype}[${shape.join(", ")}]`;
  const list = (items) => element("ul", {}, ...items.map((item) => element("li", {}, text(item))));
  const result = element("pre", {}, "");
  async function run() {
    const sizeOf = (size) => (Number.isInteger(size) ? size : (symbols.find(({ name }) => name === size)?.max ?? 1));
    const given = session.inputs.map(({ name, dtype, shape }) => {
      const sizes = shape.map(sizeOf);
      const count = sizes.reduce((a, b) => a * b, 1);
      const isFloat = /^f/.test(dtype);
      return [name, { shape: sizes, data: Array.from({ length: count }, () => (isFloat ? Math.random() * 2 - 1 : 0)) }];
    });
    const began = performance.now();
    const found = await session.run(Object.fromEntries(given));
    const took = performance.now() - began;
    const lines = Object.entries(found).map(([name, { dtype, shape, data }]) => {
      const some = Array.from(data.slice(0, 8), (x) => (typeof x === "number" ? +x.toPrecision(5) : String(x)));
      return `${name}: ${dtype}[${shape}] = ${some.join(", ")}${data.length > 8 ? ", …" : ""}`;
    });
    result.textContent = `${lines.join("\n")}\n\n${milliseconds(took)}`;
  }
  const button = element(
    "button",
    { type: "button", class: "first", onclick: () => run().catch(showError) },
    "Run with random numbers",
  );
  main.append(
    card("Inputs", list(session.inputs)),
    card("Outputs", list(session.outputs)),
    card("Try it", element("div", { class: "row" }, button), result),
  );
}
