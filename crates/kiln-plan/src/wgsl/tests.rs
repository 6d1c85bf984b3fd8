//! Kernels that a compiler would choke on are refused by name, in time proportional to their text.

use std::time::{Duration, Instant};

use super::*;

const MAIN: &str = "@group(0) @binding(1) var<storage, read_write> y: array<f32>;\n\
                    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) { BODY }";

fn main(body: &str) -> String {
    MAIN.replace("BODY", body)
}

/// Each line made of the one before it.
fn chain(count: usize, first: &str, line: impl Fn(usize, usize) -> String) -> String {
    let rest = (1..count).map(|i| line(i, i - 1) + "\n");
    std::iter::once(format!("{first}\n")).chain(rest).collect()
}

#[test]
fn what_is_too_much_is_named() {
    let functions = |n| {
        chain(n, "fn f0(a: f32) -> f32 { return a; }", |i, j| {
            format!("fn f{i}(a: f32) -> f32 {{ return f{j}(f{j}(a)); }}")
        })
    };
    let structs =
        |n| chain(n, "struct S0 { a: f32, b: f32 }", |i, j| format!("struct S{i} {{ a: S{j}, b: S{j} }}"));
    let aliases = |n| chain(n, "alias A0 = array<f32, 2>;", |i, j| format!("alias A{i} = array<A{j}, 2>;"));
    let constants =
        |n| chain(n, "const c0 = array(1.0, 2.0);", |i, j| format!("const c{i} = array(c{j}, c{j});"));
    let local =
        |n| chain(n, "const c0 = array(1.0, 2.0);", |i, j| format!("const c{i} = array(c{j}, c{j});"));
    let line = |n| chain(n, "const c0 = 1.0;", |i, j| format!("const c{i} = c{j};"));
    // Functions that name each other's local variables: what looks like a cycle must not hide what they double to.
    let hidden = |n| {
        chain(n, "fn f0(a: f32) -> f32 { return a; }", |i, j| {
            format!("fn f{i}(a: f32) -> f32 {{ let f{} = a; return f{j}(f{j}(a)); }}", i + 1)
        })
    };
    let nested_arrays = "array<".repeat(40) + "f32" + &", 2>".repeat(40);
    let cases = [
        ("a long text", main(&"y[0] = 1.0; ".repeat(30_000)), "bytes, at most 131072 are allowed"),
        ("a long comment", format!("// {}", "x".repeat(1 << 17)), "the source has 131075 bytes"),
        ("plus", main(&format!("y[0] = y[0]{};", "+y[0]".repeat(20_000))), "513 tokens in a statement"),
        ("bang", main(&format!("let b = {}true;", "!".repeat(20_000))), "513 tokens in a statement"),
        ("minus", main(&format!("y[0] = {}1.0;", "-".repeat(20_000))), "513 tokens in a statement"),
        ("members", main(&format!("y[0] = id{};", ".x".repeat(20_000))), "513 tokens in a statement"),
        ("brackets", main(&format!("y[0] = {}1.0;", "(".repeat(20_000))), "65 nested brackets"),
        ("indices", main(&format!("y[0] = {}1.0;", "y[".repeat(20_000))), "65 nested brackets"),
        ("else if", main(&"if (y[0]>0.0) {} else ".repeat(2000)), "65 nested blocks"),
        (
            "switch in else",
            main(&"if y[0]>0.0 {} else { switch 1 { default {".repeat(2_000)),
            "65 nested blocks",
        ),
        ("blocks", main(&"{".repeat(20_000)), "65 nested blocks"),
        (
            "cases",
            main(&format!("switch id.x {{ {} }}", "case 1 {} ".repeat(5000))),
            "385 branches and loops",
        ),
        ("ifs", main(&"if y[0]>0.0 {}\n".repeat(5000)), "385 branches and loops"),
        ("statements", main(&"y[0]=1.0;".repeat(10_000)), "4097 statements"),
        (
            "functions",
            (0..600).map(|i| format!("fn f{i}() {{}}\n")).collect(),
            "declarations in its source, at most 512",
        ),
        ("a line of constants", line(400), "33 declarations and arrays in a row"),
        ("doubling functions", functions(26), "tokens of source once calls"),
        ("hidden doubling", hidden(26), "names itself"),
        ("doubling structures", structs(22), "tokens of source once calls"),
        ("doubling aliases", aliases(26), "elements of an array"),
        ("doubling constants", constants(26), "tokens of source once calls"),
        ("doubling local constants", main(&local(26)), "tokens of source once calls"),
        (
            "a constant array",
            format!("const w = array<f32, 2000000>();\n{}", main("")),
            "2000000 elements of an array",
        ),
        (
            "private memory",
            format!("var<private> w: array<f32, 100000000>;\n{}", main("")),
            "100000000 elements",
        ),
        (
            "workgroup memory",
            format!("var<workgroup> w: array<f32, 0x5f5e100u>;\n{}", main("")),
            "100000000 elements",
        ),
        ("a list", main(&format!("let w = array({});", "1.0,".repeat(300))), "513 tokens in a statement"),
        (
            "an array in a function",
            main("var w: array<f32, 1000>;"),
            "1000 elements of an array in its source, at most 256",
        ),
        ("a named size", "const n = 100000u; var<private> w: array<f32, n>;".into(), "100000 elements"),
        (
            "a computed size",
            "var<private> w: array<f32, 1 << 30>;".into(),
            "the size of an array in its source is not a number",
        ),
        (
            "arrays in arrays",
            format!("var<private> w: {nested_arrays};"),
            "33 declarations and arrays in a row",
        ),
        (
            "arrays again and again",
            main(&"_ = array<f32, 256>()[0] + array<f32, 256>()[0];".repeat(2500)),
            "tokens of source once calls",
        ),
    ];
    for (name, text, expected) in cases {
        let start = Instant::now();
        let found = measure(&text, &WGSL_LIMITS).unwrap_err().to_string();
        assert!(found.contains(expected), "{name}: {found}");
        assert!(start.elapsed() < Duration::from_secs(2), "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn what_is_usual_passes() {
    let tile = "const n = 64u;\nvar<workgroup> left: array<array<vec4<f32>, 4>, 64>;\nvar<workgroup> x: array<f32, n,>;";
    let cases = [
        String::new(),
        "// array<f32, 1 << 30> in a comment, {{{{".into(),
        "/* array<f32, 1 << 30> /* { */ { */".into(),
        format!(
            "{tile}\n{}",
            main("if id.x < n { return; } else if id.y > 2u { y[0] = 1.0; } else { y[1] = 2.0; }")
        ),
        // Chains that follow each other are not one chain.
        main(&"if y[0] > 0.0 { y[0] = 1.0; } else { y[0] = 2.0; }\n".repeat(190)),
        main(&format!("y[0] = y[0]{};", " + y[0]".repeat(90))),
        main("const a = 1.0; { const a = a + a; y[0] = a; }"),
    ];
    for text in cases {
        measure(&text, &WGSL_LIMITS).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
    }
}
