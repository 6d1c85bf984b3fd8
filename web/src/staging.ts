/** Reading memory of the device: it is copied within a submission into memory that can be mapped, which is kept for the next. */

/** Part of a buffer. */
export type Part = [buffer: GPUBuffer, offset: number, size: number];

/** Memory that the device writes and the page reads. */
export class Staging {
  private free: GPUBuffer[] = [];
  private isOver = false;

  constructor(private device: GPUDevice) {}

  /** Copies parts one after the other, each rounded up to whole words, submits everything, and reads the copies. */
  async read(parts: Part[], encoder: GPUCommandEncoder): Promise<ArrayBuffer> {
    const { device } = this;
    const words = (size: number) => (size + 3) & ~3;
    const size = parts.reduce((sum, [, , size]) => sum + words(size), 0);
    if (!size) {
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      return new ArrayBuffer();
    }
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const at = this.free.findIndex((buffer) => buffer.size >= size);
    const staging = at < 0 ? device.createBuffer({ label: "staging", size, usage }) : this.free.splice(at, 1)[0]!;
    let end = 0;
    for (const [buffer, offset, size] of parts) {
      if (size) encoder.copyBufferToBuffer(buffer, offset, staging, end, words(size));
      end += words(size);
    }
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ, 0, size);
    const bytes = staging.getMappedRange(0, size).slice(0);
    staging.unmap();
    if (this.isOver) staging.destroy();
    else this.free.push(staging);
    return bytes;
  }

  /** Frees it. */
  dispose(): void {
    this.isOver = true;
    for (const buffer of this.free) buffer.destroy();
  }
}
