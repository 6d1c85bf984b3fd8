//! The command as a person types it: arguments, exit status, words on either stream.

mod dump;
#[path = "../../../../tests/skip.rs"]
mod skip;
mod tune;
mod wrong_commands;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder for what the command writes.
fn out() -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("out");
    std::fs::create_dir_all(&out).expect("a folder for temporary files");
    out
}

/// `kiln` in the repository's root; `OUT` stands for [`out`].
fn command(arguments: &str) -> Command {
    let arguments =
        arguments.split_whitespace().map(|word| word.replace("OUT", &out().display().to_string()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(arguments).current_dir(root()).env("NO_COLOR", "1").env("KILN_CACHE", "");
    command
}

fn kiln(arguments: &str) -> Output {
    command(arguments).output().expect("the command starts")
}

/// A `.npy` file whose header promises elements of this shape, and what follows it.
fn npy(name: &str, shape: &str, elements: &[u8]) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
    // Together with ten bytes before it the header is a multiple of 64 and ends its line.
    let header = format!("{header:<117}\n");
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), elements].concat();
    std::fs::write(out().join(name), bytes).expect("a file in a temporary folder");
}

/// A model that is left out: `y = SequenceAt(x)` of operator set 17.
fn nonzero() {
    let model = b"\x08\x08:;\x0a\x12\x0a\x01x\x12\x01y\x22\x0aSequenceAt\x12\x01gZ\x0f\x0a\x01x\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x03b\x11\x0a\x01y\x12\x0c\x0a\x0a\x08\x07\x12\x06\x0a\x02\x08\x01\x0a\x00B\x04\x0a\x00\x10\x11";
    std::fs::write(out().join("nonzero.onnx"), model).expect("a file in a temporary folder");
}

/// A folder with the plan and the test data of a network.
fn with_test_data(name: &str) {
    let (from, to) = (root().join("tests/oracles/fixtures").join(name), out().join(name));
    for set in ["test_data_set_0", "test_data_set_1"] {
        std::fs::create_dir_all(to.join(set)).expect("a folder for temporary files");
        for file in ["input_0.pb", "output_0.pb"] {
            std::fs::copy(from.join(set).join(file), to.join(set).join(file)).expect("a copy");
        }
    }
    let plan = kiln(&format!("compile tests/oracles/fixtures/{name}/model.onnx -o OUT/{name}/{name}.kplan"));
    assert!(plan.status.success(), "{}", words(&plan.stderr));
}

/// Lines broken to the terminal's width, joined again.
fn words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).replace(['│', '×', '╰', '─', '▶'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Case {
    arguments: &'static str,
    status: i32,
    stdout: &'static [&'static str],
    stderr: &'static [&'static str],
}

const fn case(
    arguments: &'static str,
    status: i32,
    stdout: &'static [&'static str],
    stderr: &'static [&'static str],
) -> Case {
    Case { arguments, status, stdout, stderr }
}

const CASES: &[Case] = &[
    case("--help", 0, &["compile", "verify", "WGPU_BACKEND"], &[]),
    case("devices", 0, &["device", "backend", "*"], &["WGPU_ADAPTER_NAME"]),
    case("devices --json", 0, &["\"max_buffer_size\""], &[]),
    case(
        "summary tests/oracles/fixtures/net/model.onnx",
        0,
        &["conv1", "18,090", "peak activations"],
        &["N", "up to 8"],
    ),
    case("summary tests/oracles/fixtures/net_width/model.onnx", 0, &["38,386"], &[]),
    case(
        "dump tests/oracles/fixtures/net/model.onnx",
        0,
        &["input %input : f32[N, 3, 32, 32]", "max_pool("],
        &[],
    ),
    case(
        "dump tests/oracles/fixtures/net/model.onnx --stage fused",
        0,
        &["conv1 + tanh -> f32[N, 16, 32, 32]"],
        &[],
    ),
    case("dump tests/oracles/fixtures/net/model.onnx --stage fused --format dot", 0, &["digraph", "->"], &[]),
    case("dump tests/oracles/fixtures/net/model.onnx --format json", 0, &["\"operator\": \"conv\""], &[]),
    case("dump tests/oracles/fixtures/net/model.onnx --stage plan", 0, &["program inference", "arena"], &[]),
    case("dump tests/oracles/fixtures/net/model.onnx --stage wgsl", 0, &["@compute"], &[]),
    case("dump models/net.toml --stage wgsl --train sgd", 0, &["conv_grad", "@compute"], &[]),
    case("dump models/net.toml --stage plan --train sgd", 0, &["program train", "program inference"], &[]),
    case("dump models/net.toml --train sgd", 1, &[], &["`--train` is for the stages"]),
    case("dump tests/oracles/fixtures/net/model.onnx --stage wgsl --format dot", 1, &[], &["text and json"]),
    case("dump tests/oracles/fixtures/net/model.onnx --format onnx -o OUT/copy.onnx", 0, &[], &[]),
    case("view tests/oracles/fixtures/net/model.onnx -o OUT/view.html", 0, &[], &["wrote", "view.html"]),
    case("check tests/oracles/fixtures/net/model.onnx", 0, &["everything is supported"], &[]),
    case("check OUT/nonzero.onnx", 1, &["SequenceAt", "sequences are not supported"], &[]),
    case("check no-such.onnx", 1, &[], &["cannot read `no-such.onnx`"]),
    case(
        "compile tests/oracles/fixtures/net/model.onnx --max N=4 -o OUT/net.kplan",
        0,
        &["net.kplan"],
        &["N up to 4"],
    ),
    case("view OUT/net.kplan -o OUT/none.html", 1, &[], &["does not contain its layers"]),
    case("run OUT/net.kplan random --max N=3", 0, &["f32[3, 2]"], &[]),
    case("run OUT/net.kplan random --precision f16", 1, &[], &["a compiled plan keeps the precision it has"]),
    case(
        "compile tests/oracles/fixtures/net/model.onnx --target lavapipe --precision f16 -o OUT/half.kplan",
        0,
        &["half.kplan"],
        &["activations in f16"],
    ),
    case("summary OUT/half.kplan", 0, &["precision f16"], &[]),
    case("summary OUT/half.kplan --json", 0, &["\"precision\": \"f16\""], &[]),
    case(
        "dump tests/oracles/fixtures/net/model.onnx --target lavapipe --precision f16 --stage fused",
        0,
        &["conv1 + tanh -> f16[N, 16, 32, 32]", "fc2 -> f32[N, 2]"],
        &[],
    ),
    case(
        "compile tests/oracles/fixtures/net/model.onnx --target portable --precision f16 -o OUT/none.kplan",
        1,
        &[],
        &["precision f16 needs a device with 16-bit floats (SHADER_F16), which `portable` has not"],
    ),
    case(
        "compile models/net.toml --target portable --train sgd --precision f16 -o OUT/none.kplan",
        1,
        &[],
        &["precision f16 needs a device with 16-bit floats"],
    ),
    case("run OUT/net.kplan random --max N=5", 1, &[], &["--max N=5"]),
    case("run OUT/net.kplan", 1, &[], &["input `input`", "is missing"]),
    case("run OUT/net.kplan models/picture.png --top 2", 0, &["probability", "class 0"], &[]),
    case("dump OUT/net.kplan", 1, &[], &["does not contain its graph"]),
    case("dump OUT/net.kplan --stage plan --train sgd", 1, &[], &["keeps the programs it has"]),
    case("dump OUT/net.kplan --stage plan", 0, &["program inference"], &[]),
    case(
        "run tests/oracles/fixtures/net/model.onnx tests/oracles/fixtures/net/test_data_set_0/input_0.pb -o OUT/y.npy",
        0,
        &[],
        &["y.npy"],
    ),
    case(
        "run models/filters.onnx models/picture.png -o OUT/pictures",
        0,
        &[],
        &["blur.png", "vertical_edges.png"],
    ),
    case(
        "run models/filters.onnx README.md -o OUT/pictures",
        1,
        &[],
        &["`README.md`: cannot be read as an image", "neither PNG nor JPEG"],
    ),
    case("run OUT/net.kplan models/picture.png --std 0", 1, &[], &["--std cannot be 0"]),
    case(
        "run OUT/net.kplan models/picture.png --mean 0.5,0.5",
        1,
        &[],
        &["--mean has 2 numbers", "3 channels"],
    ),
    case(
        "run OUT/net.kplan models/picture.png --resize 2000000000",
        1,
        &[],
        &["--resize 2000000000", "pixels"],
    ),
    case("run OUT/net.kplan models/picture.png --resize 0", 2, &[], &["--resize"]),
    case("run models/filters.onnx models/picture.png --crop 64", 0, &["blur", "f32[1, 3, 64, 64]"], &[]),
    case("run models/filters.onnx models/picture.png --crop 321", 0, &["f32[1, 3, 321, 321]"], &[]),
    case("run models/filters.onnx models/picture.png --crop 20000", 1, &[], &["--crop 20000", "pixels"]),
    case("run OUT/net.kplan zeros --max N=100000000", 1, &[], &["100000000", "reduce `--max`"]),
    case("run OUT/net.kplan OUT/short.npy", 1, &[], &["short.npy`: ends before the 3072 elements"]),
    case("run OUT/net.kplan OUT/huge.npy", 1, &[], &["huge.npy`: ends before the 1099511627776 elements"]),
    case("run OUT/net.kplan OUT/garbage.npy", 1, &[], &["garbage.npy`: is not an .npy array"]),
    case(
        "verify tests/oracles/fixtures/net tests/oracles/fixtures/net_res",
        0,
        &["test_data_set_1"],
        &["4 of 4 outputs within"],
    ),
    case(
        "verify tests/oracles/fixtures/net --tolerance 1e-12 --bisect",
        1,
        &["WRONG", "first that differs"],
        &["outputs within"],
    ),
    case(
        "verify crates/kiln-cli/tests/fixtures/told_condition",
        0,
        &["test_data_set_0"],
        &["the graph depends on the value of `up`", "need `--value up=...`"],
    ),
    case(
        "summary crates/kiln-cli/tests/fixtures/told_condition/model.onnx",
        1,
        &[],
        &["its condition is the input `up` of the model; give its value: --value up=1"],
    ),
    case("summary crates/kiln-cli/tests/fixtures/told_condition/model.onnx --value up=1", 0, &["Add"], &[]),
    case("verify tests/oracles/fixtures", 1, &[], &["there is no model.onnx"]),
    case("verify models/net.py:Net", 1, &[], &["`models/net.py:Net`: this is not a folder"]),
    case("summary models/net.toml", 0, &["18,090", "mean 0.4915, 0.4823, 0.4468"], &[]),
    case("check models/net.toml", 1, &[], &["`models/net.toml` is a recipe", "`model`"]),
    case(
        "bench tests/oracles/fixtures/net/model.onnx --runs 2 --profile",
        0,
        &["latency", "GFLOP/s", "conv1 + tanh"],
        &[],
    ),
    case(
        "bench tests/oracles/fixtures/net/model.onnx --runs 2 --json",
        0,
        &["\"median_ms\"", "\"first_answer_ms\""],
        &[],
    ),
    case(
        "bench OUT/net.kplan tests/oracles/fixtures/net/test_data_set_0/input_0.pb --runs 2 --json",
        0,
        &["\"output\": [ "],
        &[],
    ),
    case("bench OUT/net.kplan --runs 2 --json", 0, &["\"output\": null"], &[]),
    case("bench OUT/net.kplan --runs 2", 0, &["peak activations"], &[]),
    case(
        "compile tests/oracles/fixtures/net/model.onnx --max M=4 -o OUT/none.kplan",
        1,
        &[],
        &["no dimension `M`", "`N`"],
    ),
    case("compile README.md", 1, &[], &["`README.md` cannot be used", "this is not an ONNX model"]),
    case("compile", 2, &[], &["Usage"]),
    // What a plan says of itself, and what goes before it.
    case(
        "compile models/net.py:Net --labels OUT/birds.txt --mean 0.5 --std 0.25 -o OUT/birds.kplan",
        0,
        &["birds.kplan"],
        &["weights of `models/net.py:Net` are random numbers", "--weights"],
    ),
    case("run models/net.py:Net models/picture.png", 0, &["f32[1, 2]"], &["are random numbers"]),
    case("summary models/net.py:Net", 0, &["18,090"], &[]),
    case("run OUT/birds.kplan models/picture.png", 0, &["probability", "airplane", "bird"], &[]),
    case("run OUT/birds.kplan models/picture.png --json", 0, &["\"data\""], &[]),
    case(
        "run OUT/birds.kplan models/picture.png --mean 0.4",
        0,
        &["airplane"],
        &["--mean differs from the model's metadata"],
    ),
    case(
        "run OUT/birds.kplan models/picture.png --labels OUT/two.txt",
        0,
        &["one", "two"],
        &["--labels differs from the model's class names"],
    ),
    case(
        "run OUT/birds.kplan tests/oracles/fixtures/net/test_data_set_0/input_0.pb",
        0,
        &["bird"],
        &["is used unchanged", "--normalize"],
    ),
    case("summary OUT/birds.kplan", 0, &["classes 2: airplane, bird", "mean 0.5000", "conv1 + tanh"], &[]),
    case("dump OUT/birds.kplan --stage plan", 0, &["classes: 2: airplane, bird", "program inference"], &[]),
    case("dump OUT/birds.kplan --stage plan --format json", 0, &["\"kiln.classes\"", "airplane"], &[]),
    case("bench OUT/birds.kplan models/picture.png --runs 2", 0, &["latency"], &[]),
    case("verify OUT/net/net.kplan", 0, &["test_data_set_1"], &["2 of 2 outputs within"]),
    case("verify OUT/net/net.kplan --bisect", 1, &[], &["does not contain its layers"]),
    case("verify OUT/net.kplan", 1, &[], &["no folder `test_data_set_0`"]),
    // Pages.
    case(
        "export-web tests/oracles/fixtures/net/model.onnx --variant swiftshader -o OUT/page",
        0,
        &["page/index.html"],
        &["target `swiftshader`", "target `portable`", "of page"],
    ),
    case(
        "export-web models/digits.toml --train --data digits:64 -o OUT/page --json",
        0,
        &["\"data_bytes\""],
        &[],
    ),
    case(
        "export-web models/moons.toml --train -o OUT/page",
        1,
        &[],
        &["a page trains with images that have classes"],
    ),
    case("export-web tests/oracles/fixtures/net/model.onnx --data digits -o OUT/page", 2, &[], &["--train"]),
    case("export-web OUT/net.kplan -o OUT/page", 1, &[], &["is a compiled plan"]),
    // A plan where a model is needed.
    case("compile OUT/net.kplan", 1, &[], &["is a compiled plan", "`kiln run`"]),
    case("check OUT/net.kplan", 1, &[], &["is a compiled plan", "`kiln run`"]),
    case("train OUT/net.kplan --data digits:64", 1, &[], &["is a compiled plan", "`kiln run`"]),
    case("lr-find OUT/net.kplan --data digits:64", 1, &[], &["is a compiled plan", "`kiln run`"]),
    // Red is 76 of 255 in grey, as Pillow has it.
    case(
        "run crates/kiln-cli/tests/fixtures/grey/model.onnx crates/kiln-cli/tests/fixtures/grey/red.png --json",
        0,
        &["0.29803922"],
        &[],
    ),
    // Rows of a table.
    case("run models/mlp.py:Moons OUT/points.csv", 0, &["f32[3, "], &["random numbers"]),
    case("run models/mlp.py:Moons OUT/words.csv", 1, &[], &["line 3, column 2: `far` is not a number"]),
    case("run tests/oracles/fixtures/net/model.onnx --max N", 2, &[], &["NAME=NUMBER"]),
];

/// A timeline has what the host did, and each kernel on the device, one after the other.
#[test]
fn a_timeline_of_a_run() {
    let output = kiln("bench tests/oracles/fixtures/net/model.onnx --runs 2 --trace OUT/timeline.json");
    assert!(output.status.success(), "{}", words(&output.stderr));
    let text = std::fs::read_to_string(out().join("timeline.json")).expect("a timeline");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let events = file["traceEvents"].as_array().expect("events");
    let of = |track: u64| events.iter().filter(move |event| event["tid"] == track && event["ph"] == "X");
    let names: Vec<&str> = of(1).filter_map(|event| event["name"].as_str()).collect();
    assert_eq!(names, ["compile", "load", "first run", "run", "run", "profile"]);
    assert!(
        of(2).any(|event| event["name"] == "conv1 + tanh" && event["args"]["flops"].as_f64() > Some(0.0))
    );
    let number = |event: &serde_json::Value, key: &str| event[key].as_f64().expect("a time");
    let begins: Vec<f64> = of(2).map(|event| number(event, "ts")).collect();
    assert!(begins.is_sorted(), "{begins:?}");
    assert!(of(2).all(|event| number(event, "dur") > 0.0));
    let replaced =
        kiln("bench tests/oracles/fixtures/net/model.onnx --trace tests/oracles/fixtures/net/model.onnx");
    assert!(!replaced.status.success() && words(&replaced.stderr).contains("would be replaced"));
}

#[test]
fn the_command_says_what_it_does_and_what_is_wrong() {
    nonzero();
    npy("short.npy", "(1, 3, 32, 32)", &[0; 100]);
    npy("huge.npy", "(1099511627776,)", &[]);
    for (name, text) in [
        ("garbage.npy", "not numpy"),
        ("birds.txt", "airplane\nbird\n"),
        ("two.txt", "one\ntwo\n"),
        ("points.csv", "x,y\n1,2\n3,4.5\n-1,0\n"),
        ("words.csv", "x,y\n1,2\n3,far\n"),
    ] {
        std::fs::write(out().join(name), text).expect("a file in a temporary folder");
    }
    with_test_data("net");
    for case in CASES {
        let output = kiln(case.arguments);
        let (stdout, stderr) = (words(&output.stdout), words(&output.stderr));
        let all = format!("kiln {}\nstdout: {stdout}\nstderr: {stderr}", case.arguments);
        assert_eq!(output.status.code(), Some(case.status), "{all}");
        for word in case.stdout {
            assert!(stdout.contains(word), "{word:?} is not in stdout of {all}");
        }
        for word in case.stderr {
            assert!(stderr.contains(word), "{word:?} is not in stderr of {all}");
        }
    }
    let none = out().join("none.kplan");
    assert!(!none.exists(), "a failed compilation leaves nothing behind");
}

/// `kiln ... | head -1`: whoever reads may stop at any time, which changes nothing of the status.
#[test]
fn a_reader_that_stops_is_no_error() {
    nonzero();
    for (arguments, status) in [
        ("--help", 0),
        ("devices --json", 0),
        ("summary tests/oracles/fixtures/net/model.onnx", 0),
        ("check OUT/nonzero.onnx", 1),
        ("dump tests/oracles/fixtures/net/model.onnx --stage wgsl", 0),
        ("run tests/oracles/fixtures/net/model.onnx random --json", 0),
        ("verify tests/oracles/fixtures/net", 0),
        ("bench tests/oracles/fixtures/net/model.onnx --runs 1", 0),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command(arguments)
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .output()
            .expect("the command starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "kiln {arguments}: {stderr}");
        assert!(!stderr.contains("panicked"), "kiln {arguments}: {stderr}");
    }
}

/// A cause is said once, though an error may hold it both in its message and as its source.
#[test]
fn causes_are_not_repeated() {
    for arguments in ["check models/none.onnx", "run models/digits.onnx models/none.png"] {
        let output = kiln(arguments);
        let said = words(&output.stdout) + &words(&output.stderr);
        assert_eq!(said.matches("(os error").count(), 1, "kiln {arguments}: {said}");
    }
}

/// A disk without room is an error like any other.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device of every Linux");
    let output = command("devices --json")
        .stdout(full)
        .stderr(std::process::Stdio::piped())
        .output()
        .expect("the command starts");
    let stderr = words(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write to standard output"), "{stderr}");
}

/// What a terminal obeys instead of showing it, as model files may hold it in any name.
const OBEYED: &str = "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}2J\u{202e}\u{2066}\u{200f}\r\u{7f}";

/// A model whose names a terminal would obey, and one whose input is called by a million letters.
fn with_names() {
    let model = |name: &str| {
        let mut graph = kiln::graph::Builder::new(name);
        let x = graph.input(&format!("in{name}"), [1.into(), 4.into()]);
        let weight =
            kiln::graph::Tensor::new(vec![4, 4], kiln::graph::Data::F32(vec![0.5; 16])).expect("16 elements");
        let weight = graph.parameter(&format!("weight{name}"), weight);
        let y = graph.linear(&format!("layer{name}"), x, weight, None);
        graph.output(&format!("out{name}"), y);
        kiln::onnx::export(&graph.finish().expect("a graph")).expect("a model")
    };
    // Other tests read these files at the same time, and have to find them whole.
    let write = |file, bytes: Vec<u8>| {
        kiln_files::write(&out().join(file), &bytes).expect("a file in a temporary folder");
    };
    write("obeyed.onnx", model(OBEYED));
    write("long.onnx", model(&"x".repeat(1_000_000)));
    let source =
        format!("import torch.nn as nn\nclass Net(nn.Module):\n    pass # {OBEYED}\nx = '{OBEYED}' + \n");
    write("obeyed.py", source.into_bytes());
}

/// Nothing of a file's names reaches the terminal but what it shows; JSON has them as they are.
#[test]
fn names_do_nothing_to_the_terminal() {
    with_names();
    let obeyed = |c: char| OBEYED.contains(c) && !c.is_ascii_graphic();
    for (arguments, says) in [
        ("run OUT/obeyed.onnx random", true),
        ("run OUT/obeyed.onnx", true),
        ("run OUT/obeyed.onnx random --json", true),
        ("summary OUT/obeyed.onnx", true),
        ("summary OUT/obeyed.onnx --json", true),
        ("check OUT/obeyed.onnx", false),
        ("compile OUT/obeyed.onnx -o OUT/obeyed.kplan", false),
        ("dump OUT/obeyed.kplan --stage plan", true),
        ("dump OUT/obeyed.kplan --stage plan --format json", true),
        ("dump OUT/obeyed.onnx", true),
        ("dump OUT/obeyed.onnx --format dot", true),
        ("dump OUT/obeyed.onnx --format json", true),
        ("dump OUT/obeyed.onnx --stage fused", true),
        ("dump OUT/obeyed.onnx --stage weights", true),
        ("run OUT/obeyed.onnx random --max nothing=3 --value nothing=3", true),
        ("check OUT/obeyed.py", true),
        ("check OUT/obeyed.py --json", false),
    ] {
        for colour in ["NO_COLOR", "FORCE_COLOR"] {
            let output =
                command(arguments).env_remove("NO_COLOR").env(colour, "1").output().expect("it starts");
            let all = [&output.stdout[..], &output.stderr].concat();
            let mut text = String::from_utf8(all).unwrap_or_else(|_| panic!("kiln {arguments}: not UTF-8"));
            if colour == "FORCE_COLOR" {
                // What miette chooses; the rest of such a sequence would still be found.
                text = text.replace("\u{1b}[", "");
                assert!(!text.contains("\\u{1b}[0m"), "kiln {arguments}: {text:?}");
            }
            assert!(!text.contains(obeyed), "kiln {arguments}: {text:?}");
            assert!(!says || text.contains("\\u") || text.contains('?'), "kiln {arguments}: {text:?}");
        }
    }
    let json = kiln("run OUT/obeyed.onnx random --json").stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["outputs"][0]["name"], format!("out{OBEYED}"));
}

/// Errors under `--json` are JSON, whether of what was asked for or of how.
#[test]
fn errors_as_json() {
    std::fs::write(out().join("wrong.py"), "import torch.nn as nn\nx = (\n")
        .expect("a file in a temporary folder");
    for (arguments, status, word) in [
        ("summary OUT/no_such.onnx --json", 1, "No such file"),
        ("run OUT/no_such.kplan --json", 1, "No such file"),
        ("check OUT/wrong.py --json", 1, "("),
        ("summary --json --no-such-flag x", 2, "--no-such-flag"),
        ("devices --json extra", 2, "extra"),
    ] {
        let output = kiln(arguments);
        assert_eq!(output.status.code(), Some(status), "kiln {arguments}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("kiln {arguments}: {e}: {}", words(&output.stdout)));
        assert!(json["error"]["message"].is_string(), "kiln {arguments}: {json}");
        assert_eq!(json["format"], "kiln-error", "kiln {arguments}");
        assert!(json.to_string().contains(word), "kiln {arguments}: {json}");
    }
    let json = kiln("check OUT/wrong.py --json").stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert!(json["error"]["places"][0]["line"].as_u64().is_some_and(|line| line >= 2), "{json}");
}

/// A name as long as a file is shortened, in tables and in messages.
#[test]
fn long_names_are_shortened() {
    with_names();
    for (arguments, status) in [
        ("summary OUT/long.onnx", 0),
        ("run OUT/long.onnx random", 0),
        ("run OUT/long.onnx", 1),
        ("check OUT/long.onnx", 0),
        ("dump OUT/long.onnx --stage weights", 0),
        ("dump OUT/long.onnx --stage plan", 0),
    ] {
        let output = kiln(arguments);
        let said = [&output.stdout[..], &output.stderr].concat();
        assert_eq!(
            output.status.code(),
            Some(status),
            "kiln {arguments}: {}",
            String::from_utf8_lossy(&said[..said.len().min(2000)])
        );
        assert!(said.len() < 20_000, "kiln {arguments} says {} bytes", said.len());
    }
}

/// Whatever a file is for, a pipe in its place is refused: to open it would wait for somebody who writes.
#[test]
#[cfg(unix)]
fn nothing_waits_for_a_pipe() {
    let name = |ending: &str| out().join(format!("pipe.{ending}"));
    for ending in ["onnx", "kplan", "py", "pt", "safetensors", "npy", "pb", "toml", "png"] {
        let _ = std::fs::remove_file(name(ending));
        assert!(Command::new("mkfifo").arg(name(ending)).status().expect("mkfifo").success());
    }
    for arguments in [
        "summary OUT/pipe.onnx",
        "run OUT/pipe.kplan random",
        "summary OUT/pipe.py:Net --input 3,8,8",
        "run models/digits.onnx OUT/pipe.npy",
        "run models/digits.onnx OUT/pipe.pb",
        "run models/digits.onnx OUT/pipe.png",
        "run models/net.py:Net random --weights OUT/pipe.pt",
        "run models/net.py:Net random --weights OUT/pipe.safetensors",
        "run models/digits.onnx random --labels OUT/pipe.toml",
        "train OUT/pipe.toml",
    ] {
        let output = kiln(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "kiln {arguments}: {said}");
        assert!(said.contains("regular file") || said.contains("pipe (FIFO)"), "kiln {arguments}: {said}");
    }
}

/// What a shell and `man` are given has all commands, and the version says which sources it is of.
#[test]
fn completions_and_manual_pages() {
    let help = String::from_utf8(kiln("--help").stdout).expect("text");
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 15, "{help}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = kiln(&format!("completions {shell}"));
        let script = String::from_utf8(output.stdout).expect("text");
        assert!(
            output.status.success() && commands.iter().all(|command| script.contains(command)),
            "{shell}"
        );
    }
    assert!(kiln("man OUT/man1").status.success());
    for command in commands {
        let page = std::fs::read_to_string(out().join(format!("man1/kiln-{command}.1"))).expect("a page");
        assert!(page.contains(".SH NAME") && page.contains(".SH OPTIONS"), "{command}");
    }
    let version = String::from_utf8(kiln("--version").stdout).expect("text");
    assert!(version.starts_with(concat!("kiln ", env!("CARGO_PKG_VERSION"))), "{version}");
    // Not in a package, or where git refuses.
    let revision = Command::new("git").args(["rev-parse", "--short=10", "HEAD"]).current_dir(root()).output();
    if let Some(revision) = revision.ok().filter(|output| output.status.success()) {
        let revision = String::from_utf8(revision.stdout).expect("text");
        assert!(version.contains(&format!("({})", revision.trim())), "{version}, but HEAD is {revision}");
    }
}
