/** CRC-32 as zip files have it. */

const TABLES: Uint32Array[] = [];

function tables(): Uint32Array[] {
  if (!TABLES.length) {
    for (let t = 0; t < 4; t++) TABLES.push(new Uint32Array(256));
    for (let n = 0; n < 256; n++) {
      let c = n;
      for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
      TABLES[0]![n] = c;
    }
    for (let t = 1; t < 4; t++) {
      for (let n = 0; n < 256; n++) {
        const c = TABLES[t - 1]![n]!;
        TABLES[t]![n] = (c >>> 8) ^ TABLES[0]![c & 255]!;
      }
    }
  }
  return TABLES;
}

/** The checksum of bytes behind those of which `before` is the checksum. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const [a, b, c, d] = tables() as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let crc = ~before;
  let at = 0;
  // Four bytes at once.
  for (const end = bytes.length - 3; at < end; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc = d[crc & 255]! ^ c[(crc >>> 8) & 255]! ^ b[(crc >>> 16) & 255]! ^ a[crc >>> 24]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ a[(crc ^ bytes[at]!) & 255]!;
  return ~crc >>> 0;
}
