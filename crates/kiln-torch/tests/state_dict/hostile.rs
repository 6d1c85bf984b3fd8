//! Files that mean harm: no bytes make the reader run code, panic, hang or fill the memory.

use std::time::{Duration, Instant};

use kiln_torch::state_dict::{Problem, StateDict, StateDictError};

use crate::{bytes, expected};

/// Numbers without a pattern, the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Changes that matter to parsers: a bit, an extreme number, a piece taken out, doubled or from elsewhere.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const EXTREMES: [&[u8]; 7] = [
        &[0],
        &[0xff; 4],
        &[0xff; 8],
        &[0, 0, 0, 0x80],
        &[0xff, 0xff, 0xff, 0x7f],
        b"\x8a\x08\0\0\0\0\0\0\0\x7f",
        b"(",
    ];
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let piece = at..(at + 1 + random.below(40)).min(bytes.len());
    match random.below(6) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.below(256) as u8,
        2 => {
            let extreme = EXTREMES[random.below(EXTREMES.len())];
            let end = (at + extreme.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&extreme[..end - at]);
        }
        3 => drop(bytes.drain(piece)),
        4 => {
            let copy = bytes[piece].to_vec();
            let place = random.below(bytes.len());
            bytes.splice(place..place, copy);
        }
        _ => bytes.truncate(at.max(1)),
    }
}

#[test]
fn changed_files_are_read_or_refused() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let names: Vec<String> =
        ["read", "refused"].iter().flat_map(|section| expected(section)).map(|(name, _)| name).collect();
    let (mut read, mut refused) = (0, 0);
    for name in names {
        let original = bytes(&name);
        for _ in 0..150 {
            let mut bytes = original.clone();
            for _ in 0..1 + random.below(3) {
                mutate(&mut bytes, &mut random);
            }
            match StateDict::from_bytes(&bytes) {
                Ok(state_dict) => {
                    read += 1;
                    let elements: usize = state_dict.iter().map(|(_, tensor)| tensor.len()).sum();
                    assert!(elements < 10_000_000, "{name} has {elements} elements");
                    state_dict.to_pt().unwrap();
                }
                Err(_) => refused += 1,
            }
        }
    }
    println!("{read} were read, {refused} refused");
    assert!(read > 200 && refused > 2000);
}

#[test]
fn pickles_without_a_frame_are_read_or_refused() {
    // Without the checksums of an archive, changes reach the pickle and the storages.
    let mut random = Random(42);
    let original = bytes("checkpoint_old.pt");
    for _ in 0..3000 {
        let mut bytes = original.clone();
        mutate(&mut bytes, &mut random);
        let _ = StateDict::from_bytes(&bytes);
    }
}

/// A file of the old kind with this pickle and no storages.
fn old(pickle: &[u8]) -> Vec<u8> {
    let front = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02";
    [front, pickle, b".\x80\x02]."].concat()
}

fn problem(pickle: &[u8]) -> Problem {
    let begin = Instant::now();
    let Err(StateDictError::File { problem, .. }) = StateDict::from_bytes(&old(pickle)) else {
        panic!("this is no state dict")
    };
    assert!(begin.elapsed() < Duration::from_secs(20), "{problem} took {:?}", begin.elapsed());
    problem
}

#[test]
fn the_helper_makes_files() {
    assert_eq!(StateDict::from_bytes(&old(b"}")).unwrap().len(), 0);
}

#[test]
fn functions_are_refused_however_they_are_named() {
    let refused = |pickle: &[u8]| match problem(pickle) {
        Problem::Refused { name } => name,
        other => panic!("{other}"),
    };
    assert_eq!(refused(b"cos\nsystem\n(S'ls'\ntR"), "os.system");
    assert_eq!(refused(b"(S'ls'\nios\nsystem\n"), "os.system");
    assert_eq!(refused(b"\x8c\x02os\x8c\x06system\x93"), "os.system");
    assert_eq!(refused(b"c__builtin__\neval\n)\x81"), "__builtin__.eval");
    assert_eq!(refused(b"ctorch._utils\n_rebuild_tensor_v9\n"), "torch._utils._rebuild_tensor_v9");
    // Names cannot reach through known ones.
    assert_eq!(refused(b"ccollections\nOrderedDict.__init__\n"), "collections.OrderedDict.__init__");
    assert_eq!(refused(b"c\x1b[31mred\nx\n"), "\\u{1b}[31mred.x");
}

#[test]
fn what_is_foreign_is_only_named_where_a_tensor_should_be() {
    // A call, an instance with attributes, a set, an object by keyword arguments: all beside a state dict of no tensors.
    for foreign in [
        "cos\nsystem\n(S'ls'\ntR",
        "c__main__\nA\n)\u{81}}(S'x'\ncos\nsystem\n(S'ls'\ntRub",
        "(ios\nsystem\n",
        "c__main__\nL\n)R(K\x01K\x02e",
        "c__main__\nD\n)R(K\x01K\x02u",
        "c__main__\nK\n)}\u{92}",
        "(cos\nsystem\nS'ls'\no",
        "\u{8f}(K\x01\u{90}",
        "(K\x01\u{91}",
    ] {
        // The instructions are bytes, not characters.
        let bytes =
            |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
        let beside = bytes(&format!("}}(S'model'\n}}S'other'\n{}u", foreign));
        assert_eq!(StateDict::from_bytes(&old(&beside)).unwrap().len(), 0, "{foreign}");
        let inside = bytes(&format!("}}(S'model'\n}}S'w'\n{foreign}su"));
        assert!(matches!(problem(&inside), Problem::Refused { .. }), "{foreign}");
    }
}

#[test]
fn what_does_not_fit_together_is_damage() {
    let damaged: [&[u8]; 20] = [
        b"",
        b"0",
        b"t",
        b"(0",
        b"}(K\x01u",
        b"K\x01K\x02s",
        b"]K\x01K\x02s",
        b"}K\x01a",
        b"h\x05",
        b"g-1\n",
        b"K\x01)R",
        b"ccollections\nOrderedDict\nK\x01R",
        b"ccollections\nOrderedDict\n(K\x01tR",
        b"NQ",
        b"}K\x01b",
        b"\x82\x01",
        b"X\xff\xff\xff\xffab",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa",
        b"(X\x01\0\0\0aos\n",
        b"P1\n",
    ];
    for pickle in damaged {
        let problem = problem(pickle);
        assert!(matches!(problem, Problem::Damaged(_)), "{}: {problem}", pickle.escape_ascii());
    }
}

#[test]
fn cycles_and_depth_are_harmless() {
    // A list of itself, a dict under its own key and a million lists in lists, which nothing walks through.
    let nested = b"]".repeat(500_000).into_iter().chain(b"a".repeat(499_999)).collect::<Vec<u8>>();
    for pickle in [b"]q\x00h\x00a".as_slice(), &nested] {
        assert_eq!(problem(pickle), Problem::NotADict { found: "a list" });
    }
    let own = problem(b"}q\x00X\x05\0\0\0modelh\x00s");
    assert!(matches!(own, Problem::NoStateDict { .. }), "{own}");
}

#[test]
fn work_and_memory_are_bounded() {
    let complicated: [Vec<u8>; 4] = [
        b"K\x01".repeat(1 << 21),
        b"K\x012".iter().copied().chain(b"20".repeat(6_000_000)).collect(),
        b"(".repeat(1 << 21),
        // One long list made into a dict again and again.
        [
            b"ccollections\nOrderedDict\nq\x00".to_vec(),
            b"](".to_vec(),
            b"]K\x01aK\x01a".repeat(10_000),
            b"e\x85q\x01".to_vec(),
            b"0h\x00h\x01R".repeat(10_000),
        ]
        .concat(),
    ];
    for pickle in complicated {
        let problem = problem(&pickle);
        assert!(matches!(problem, Problem::TooComplicated { .. }), "{problem}");
    }
}

#[test]
fn views_stay_in_their_storage_and_in_memory() {
    let tensor = |offset: &str, size: &str, stride: &str| {
        let storage = "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\ntQ";
        let call = format!("ctorch._utils\n_rebuild_tensor_v2\n({storage}{offset}{size}{stride}I00\n}}tR");
        let mut file = old(format!("}}(S'w'\n{call}u").as_bytes());
        file.truncate(file.len() - 4);
        file.extend(b"\x80\x02](S'0'\ne.\x04\0\0\0\0\0\0\0");
        file.extend([0; 16]);
        StateDict::from_bytes(&file).map(|read| read.get("w").unwrap().len())
    };
    let reason =
        |offset: &str, size: &str, stride: &str| tensor(offset, size, stride).unwrap_err().to_string();
    assert_eq!(tensor("I1\n", "(I3\nt", "(I1\nt").unwrap(), 3);
    assert_eq!(tensor("I3\n", "(I1000\nt", "(I0\nt").unwrap(), 1000);
    assert_eq!(tensor("I9\n", "(I0\nI5\nt", "(I1\nI1\nt").unwrap(), 0);
    assert!(
        reason("I2\n", "(I3\nt", "(I1\nt").contains("invalid tensor `w`: it reaches beyond the 4 elements")
    );
    assert!(reason("I0\n", "(I2\nt", "(I9223372036854775807\nt").contains("reaches beyond"));
    assert!(reason("I-1\n", "(I1\nt", "(I1\nt").contains("starts before"));
    assert!(reason("I0\n", "(I1\nt", "(I-1\nt").contains("its stride has a negative number"));
    assert!(reason("I0\n", "(I1\nt", "(t").contains("1 dimensions, but 0 strides"));
    assert!(reason("I0\n", "K\x01", "(t").contains("its shape is not a list of numbers"));
    assert!(reason("I0\n", "(I100000000\nt", "(I0\nt").contains("four times its size"));
    let many = "(I4294967296\nI4294967296\nI4294967296\nt";
    assert!(reason("I0\n", many, "(I0\nI0\nI0\nt").contains("four times its size"));
}

#[test]
fn safetensors_with_numbers_beyond_any_file() {
    let end = u64::MAX;
    let half = end / 8;
    let infos: Vec<String> = (0..8)
        .map(|i| {
            let (from, to) = (half * i, half * (i + 1));
            format!(r#""{i}":{{"dtype":"U8","shape":[{half}],"data_offsets":[{from},{to}]}}"#)
        })
        .collect();
    let json = format!("{{{}}}", infos.join(","));
    let file = [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
    let error = StateDict::from_bytes(&file).unwrap_err().to_string();
    assert!(error.contains("larger than any file"), "{error}");
}
