// Numbers with their units.

const milliseconds = (seconds) =>
  seconds >= 1e-3 ? `${(seconds * 1e3).toFixed(seconds >= 0.1 ? 0 : 2)} ms` : `${(seconds * 1e6).toFixed(1)} µs`;

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let n = 0;
  while (count >= 1024 && n < 3) [count, n] = [count / 1024, n + 1];
  return `${n === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[n]}`;
}
