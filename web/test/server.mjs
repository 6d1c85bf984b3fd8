// A static server for tests: folders by the first part of the path.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".css": "text/css",
};

/** Serves folders; `requests` are the paths that were asked for. */
export async function serve(folders) {
  const requests = [];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    requests.push(pathname);
    const [, first, ...rest] = decodeURIComponent(pathname).split("/");
    const folder = folders[first];
    const path = folder && join(folder, normalize("/" + rest.join("/")));
    let size;
    try {
      const found = statSync(path);
      if (!found.isFile()) throw new Error("a folder");
      size = found.size;
    } catch {
      response.writeHead(404).end("there is nothing here");
      return;
    }
    response.writeHead(200, {
      "content-type": TYPES[extname(path)] ?? "application/octet-stream",
      "content-length": size,
    });
    // So slow that there is time to abort it.
    const slow = searchParams.has("slow");
    const stream = createReadStream(path, slow ? { highWaterMark: 4096 } : {});
    if (slow) stream.on("data", () => (stream.pause(), setTimeout(() => stream.resume(), 50)));
    response.on("close", () => stream.destroy());
    stream.pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close: () => server.close() };
}
