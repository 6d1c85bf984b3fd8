// Plans for the tests: made by `cargo run --example web_plans` and `kiln`, see `scripts/web`.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./bundle.mjs";

const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
export const built = (name) => join(target, "debug", name);

/** The folder with all plans. */
export const plans = process.env.KILN_WEB_PLANS ?? join(target, "web");

/** Runs the command. */
export const kiln = (...words) =>
  execFileSync(built("kiln"), words, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NODEVICE_SELECT: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });

/** Makes what is not there yet. */
export function make() {
  mkdirSync(plans, { recursive: true });
  if (!existsSync(join(plans, "index.json"))) execFileSync(built("examples/web_plans"), [plans]);
}
