/** Files that the browser keeps for a page (its origin private file system): checkpoints of trainings. */

const FOLDER = "kiln";
const folder = async () => (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });

/** Writes a file, whole or not at all. */
export async function writeFile(name: string, bytes: Uint8Array): Promise<void> {
  const file = await (await folder()).getFileHandle(name, { create: true });
  const stream = await file.createWritable();
  await stream.write(bytes as Uint8Array<ArrayBuffer>);
  await stream.close();
}

/** Reads a file; `undefined` if there is none. */
export async function readFile(name: string): Promise<Uint8Array | undefined> {
  try {
    const file = await (await folder()).getFileHandle(name);
    return new Uint8Array(await (await file.getFile()).arrayBuffer());
  } catch (error) {
    if ((error as Error).name == "NotFoundError") return undefined;
    throw error;
  }
}

/** Removes a file, if it is there. */
export async function removeFile(name: string): Promise<void> {
  await (await folder()).removeEntry(name).catch(() => {});
}
