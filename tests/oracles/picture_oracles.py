"""Pictures as Pillow decodes them and torchvision resizes and cuts them: `fixtures/pictures`.

    python3 tests/oracles/picture_oracles.py

`expected.npz` has the values `[H, W]` or `[H, W, 3]` of each case of `cases.json`, which names a file, the mode it is
converted to, and the sizes for `Resize` and `CenterCrop`, in this order, where there are any.
"""

import json
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision import transforms

OUT = Path(__file__).parent / "fixtures" / "pictures"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(name, values, bits, kind, palette=None, transparency=None):
    """A PNG file of any kind that the format knows; Pillow writes only some."""
    rows = []
    for row in values:
        if bits == 16:
            packed = row.astype(">u2").tobytes()
        else:
            flat = row.reshape(-1)
            packed = bytearray((len(flat) * bits + 7) // 8)
            for i, value in enumerate(flat):
                packed[i * bits // 8] |= int(value) << (8 - bits - i * bits % 8)
        rows.append(b"\0" + bytes(packed))
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += chunk(b"PLTE", palette) if palette else b""
    data += chunk(b"tRNS", transparency) if transparency else b""
    data += chunk(b"IDAT", zlib.compress(b"".join(rows), 9)) + chunk(b"IEND", b"")
    (OUT / name).write_bytes(data)


def kinds(random):
    """A file of each kind of PNG."""

    def values(most, *channels):
        return random.integers(0, most, (7, 9, *channels))

    palette = bytes(random.integers(0, 256, 48).astype(np.uint8))
    png("grey1.png", values(2), 1, 0)
    png("grey2.png", values(4), 2, 0)
    png("grey4.png", values(16), 4, 0)
    png("grey8.png", values(256), 8, 0)
    png("grey8_key.png", values(256), 8, 0, transparency=struct.pack(">H", 7))
    png("grey16.png", values(65536), 16, 0)
    png("grey16_dark.png", values(300), 16, 0)
    png("grey_alpha8.png", values(256, 2), 8, 4)
    png("grey_alpha16.png", values(65536, 2), 16, 4)
    png("rgb8.png", values(256, 3), 8, 2)
    png("rgb8_key.png", values(256, 3), 8, 2, transparency=struct.pack(">HHH", 1, 2, 3))
    png("rgb16.png", values(65536, 3), 16, 2)
    png("rgba8.png", values(256, 4), 8, 6)
    png("rgba16.png", values(65536, 4), 16, 6)
    png("palette4.png", values(16), 4, 3, palette)
    png("palette8_alpha.png", values(16), 8, 3, palette, bytes(range(0, 256, 16)))


def scene(random, height, width):
    """Waves of different colours under noise."""
    row, column = np.mgrid[0:height, 0:width]
    waves = [127 + 110 * np.sin(column / (3 + k) + row * 0.7 / (5 - k) + k) for k in range(3)]
    noisy = np.stack(waves, -1) + random.normal(0, 15, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def photographs(random):
    """JPEG files: each subsampling, baseline and progressive, good and bad, of sizes that fill no blocks."""
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            kind = "progressive" if progressive else "baseline"
            options = dict(quality=40 + 25 * subsampling, subsampling=subsampling, progressive=progressive)
            picture = Image.fromarray(scene(random, 19, 37))
            picture.save(OUT / f"{['444', '422', '420'][subsampling]}_{kind}.jpg", **options)
    Image.fromarray(scene(random, 21, 10)).convert("L").save(OUT / "grey.jpg", quality=80)
    Image.fromarray(scene(random, 16, 16)).convert("CMYK").save(OUT / "cmyk.jpg", quality=90)
    Image.fromarray(scene(random, 40, 24)).save(OUT / "restart.jpg", quality=75, restart_marker_blocks=2)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(13)
    kinds(random)
    photographs(random)
    cases = [dict(file=path.name, mode=mode) for path in sorted(OUT.iterdir()) for mode in ("RGB", "L")
             if path.suffix in (".png", ".jpg") and not path.stem.startswith(("wide", "high"))]
    Image.fromarray(scene(random, 37, 53)).save(OUT / "wide.png")
    Image.fromarray(scene(random, 61, 44)).save(OUT / "high.png")
    for name in ("wide.png", "high.png"):
        for side in (1, 2, 7, 16, 28, 36, 37, 44, 45, 64):
            cases.append(dict(file=name, mode="RGB", resize=[side]))
            cases.append(dict(file=name, mode="L", resize=[side], crop=[side, side]))
        # Pillow goes through rows first and then through columns, each rounded to 8 bits; version 13 the other way round
        # for some sizes, mostly of high pictures. No such size is among these.
        for height, width in ((1, 1), (37, 20), (80, 5), (61, 45), (20, 53), (8, 31)):
            if name == "wide.png" or height > 20:
                cases.append(dict(file=name, mode="RGB", resize=[height, width]))
        for height, width in ((1, 1), (2, 3), (36, 52), (33, 44), (34, 43), (35, 42), (37, 70), (64, 10), (70, 71)):
            cases.append(dict(file=name, mode="RGB", crop=[height, width]))
        cases.append(dict(file=name, mode="RGB", resize=[40], crop=[32, 37]))
    expected = {}
    for number, case in enumerate(cases):
        picture = Image.open(OUT / case["file"])
        with warnings.catch_warnings():
            # That transparency is passed over is what is wanted.
            warnings.simplefilter("ignore")
            picture = picture.convert(case["mode"])
        if resize := case.get("resize"):
            picture = transforms.Resize(resize[0] if len(resize) == 1 else resize)(picture)
        if crop := case.get("crop"):
            picture = transforms.CenterCrop(crop)(picture)
        expected[str(number)] = np.asarray(picture)
    np.savez_compressed(OUT / "expected.npz", **expected)
    (OUT / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
