//! Archives whose folder has any name: PyTorch names it after the file, and fills each member up to a multiple of 64 bytes
//! by an extra field whose length follows from that.

use kiln_torch::state_dict::StateDict;

/// A member in front of its content.
fn local(name: &str, content: &[u8], extra: &[u8]) -> Vec<u8> {
    let mut out = b"PK\x03\x04".to_vec();
    out.extend([0u16, 2056, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()));
    out.extend(crc32fast::hash(content).to_le_bytes());
    let size = u32::try_from(content.len()).unwrap();
    out.extend([size, size].iter().flat_map(|n| n.to_le_bytes()));
    let lengths = [name.len(), extra.len()].map(|n| u16::try_from(n).unwrap());
    out.extend(lengths.iter().flat_map(|n| n.to_le_bytes()));
    out.extend(name.bytes());
    out.extend(extra);
    out.extend(content);
    out
}

/// An archive as PyTorch's writer makes it, with both ends: the one for large archives and the usual one.
fn archive(members: &[(String, Vec<u8>)], padding: impl Fn(usize) -> usize) -> Vec<u8> {
    let (mut out, mut central) = (vec![], vec![]);
    for (name, content) in members {
        let at = u32::try_from(out.len()).unwrap();
        let length = padding(out.len() + 30 + name.len() + 4);
        let extra =
            [b"FB".as_slice(), &u16::try_from(length).unwrap().to_le_bytes(), &vec![b'Z'; length]].concat();
        out.extend(local(name, content, &extra));
        central.extend(b"PK\x01\x02\0\0\0\0\x08\x08\0\0\0\0\0\0");
        central.extend(crc32fast::hash(content).to_le_bytes());
        let size = u32::try_from(content.len()).unwrap();
        central.extend([size, size].iter().flat_map(|n| n.to_le_bytes()));
        central.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        central.extend([0; 12]);
        central.extend(at.to_le_bytes());
        central.extend(name.bytes());
    }
    let (start, size, count) = (out.len() as u64, central.len() as u64, members.len() as u64);
    out.extend(&central);
    let end = out.len() as u64;
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend([0x1e, 3, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend([count, count, size, start].iter().flat_map(|n| n.to_le_bytes()));
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend(end.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(count).unwrap();
    out.extend([count, count].iter().flat_map(|n| n.to_le_bytes()));
    out.extend([size, start].map(|n| u32::try_from(n).unwrap()).iter().flat_map(|n| n.to_le_bytes()));
    out.extend([0, 0]);
    out
}

#[test]
fn names_of_any_length_are_read() {
    let storage = "(X\u{7}\0\0\0storagectorch\nFloatStorage\nX\u{1}\0\0\u{0}0X\u{3}\0\0\0cpuK\u{2}tQ";
    let tensor =
        format!("ctorch._utils\n_rebuild_tensor_v2\n({storage}K\0K\u{2}\u{85}K\u{1}\u{85}\u{89}}}tR");
    // The instructions are bytes, not characters.
    let latin = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    let pickle = latin(&format!("\u{80}\u{2}}}X\u{1}\0\0\0w{tensor}s."));
    for length in 1..=130 {
        let folder = "n".repeat(length);
        let member = |name: &str, content: &[u8]| (format!("{folder}/{name}"), content.to_vec());
        let members = [
            member("data.pkl", &pickle),
            member("byteorder", b"little"),
            member("data/0", &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]),
            member("version", b"3\n"),
        ];
        // To the next multiple, from none to all but one, and one that is longer than needed.
        let aligned = archive(&members, |at| at.wrapping_neg() % 64);
        let fixed = archive(&members, |_| length);
        for bytes in [aligned, fixed] {
            let read = StateDict::from_bytes(&bytes).unwrap_or_else(|error| panic!("{length}: {error}"));
            assert_eq!(read.get("w").unwrap().to_f64(), [1.0, 2.0], "{length}");
        }
    }
}
