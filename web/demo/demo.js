// The page: loads the model and shows what suits it.
import { load } from "./kiln.js";
import { demoFor, deviceName, milliseconds, showError, size } from "./parts.js";

const settings = JSON.parse(document.getElementById("settings").textContent);
const [main, status, progress] = ["main", "status", "progress"].map((id) => document.getElementById(id));

document.title = settings.title || "Kiln";
document.getElementById("title").textContent = settings.title || "Kiln";

async function start() {
  const began = performance.now();
  const session = await load(
    settings.plans.map((plan) => new URL(plan, location.href)),
    {
      onProgress({ loaded, total }) {
        progress.value = loaded / total;
        status.textContent =
          loaded < total ? `Loading the model: ${size(loaded)} of ${size(total)}` : "Compiling kernels …";
      },
    },
  );
  const took = performance.now() - began;
  session.addEventListener("lost", async () => {
    status.textContent = "The graphics device was lost; continuing on a new one";
    await session.restore().catch(showError);
  });
  const { describe, show } = await import(demoFor(session));
  document.getElementById("loading").remove();
  document.getElementById("about").textContent = describe;
  const kernels = session.plan.shaders.length;
  document.getElementById("facts").textContent =
    `Runs on this device (${deviceName(session.device.adapterInfo)}); nothing is sent anywhere. Loaded in ${milliseconds(took)}, ${kernels} kernels. Made with Kiln.`;
  await show(session, settings, main);
  document.body.dataset.ready = "";
}

start().catch((error) => {
  document.getElementById("loading").remove();
  showError(error);
  document.body.dataset.failed = "";
});
