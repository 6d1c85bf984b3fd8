//! Loops: what they compute, their text, what does not fit together, and what they are when they are written out.

use std::collections::BTreeMap;

use kiln_graph::text::parse;
use kiln_graph::{Graph, MOST_UNROLLED, Op, Precision, Tensor, evaluate, unrolled};

/// A running sum of `[N, T]` from the end, with what it was before each step, and the largest part.
const SUMS: &str = r#"graph sums
input %x : f32[N, T]
input %first : f32[N]
const @two : f32[] = [2.0]
%last, %last.1, %last.2, %last.3 = loop(%first, %first, %x, @two) steps=T carried=2 scanned=[[1, reverse]] stacked=[[0, forward], [1, reverse]] : f32[N], f32[N], f32[T, N], f32[N, T] {
  graph body
  input %sum : f32[N]
  input %largest : f32[N]
  input %part : f32[N]
  input %factor : f32[]
  %scaled = mul(%part, %factor) : f32[N]
  %added = add(%sum, %scaled) : f32[N]
  %larger = max(%largest, %part) : f32[N]
  output sum = %added
  output largest = %larger
  output before = %sum
  output sums = %added
}
output last = %last
output most = %last.1
output before = %last.2
output sums = %last.3
"#;

fn t(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor::f32(shape, data.to_vec()).expect("as many elements as the shape has")
}

fn run(graph: &Graph, x: Tensor, first: Tensor) -> Vec<Tensor> {
    let inputs = BTreeMap::from([("x".to_owned(), x), ("first".to_owned(), first)]);
    let run = evaluate(graph, &inputs, Precision::F32).expect("the inputs fit");
    run.outputs().iter().map(|(_, tensor)| tensor.clone()).collect()
}

#[test]
fn what_a_loop_computes() {
    let graph = parse(SUMS).expect("the text is right");
    graph.verify().expect("the graph is in order");
    let found = run(&graph, t(&[2, 3], &[1., 2., 3., 4., 5., 6.]), t(&[2], &[10., 0.]));
    let expected = [
        t(&[2], &[22., 30.]),
        t(&[2], &[10., 6.]),
        t(&[3, 2], &[10., 0., 16., 12., 20., 22.]),
        t(&[2, 3], &[22., 20., 16., 30., 22., 12.]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_loop_of_no_steps_leaves_what_was_there() {
    let text = SUMS.replace("steps=T", "steps=0").replace(", T]", ", 0]").replace("[T, N]", "[0, N]");
    let graph = parse(&text).expect("the text is right");
    let found = run(&graph, t(&[2, 0], &[]), t(&[2], &[10., 0.]));
    assert_eq!(found, [t(&[2], &[10., 0.]), t(&[2], &[10., 0.]), t(&[0, 2], &[]), t(&[2, 0], &[])]);
}

#[test]
fn what_is_printed_is_parsed() {
    let graph = parse(SUMS).expect("the text is right");
    assert_eq!(graph.with_data().to_string(), SUMS);
    // A loop in a loop, whose names are its own.
    let inner = SUMS.replace("graph sums\n", "");
    let body: String = inner.lines().map(|line| format!("  {line}\n")).collect();
    let outer = format!(
        "graph outer\ninput %x : f32[N, T]\ninput %first : f32[N]\n%a, %a.1, %a.2, %a.3 = loop(%x, %first) steps=2 carried=0 \
         stacked=[[0, forward], [0, forward], [0, forward], [0, reverse]] : f32[2, N], f32[2, N], f32[2, T, N], \
         f32[2, N, T] {{\n  graph body\n{body}}}\noutput d = %a.3\n"
    );
    let graph = parse(&outer).expect("the text is right");
    assert_eq!(graph.with_data().to_string(), outer);
}

#[test]
fn written_out_it_is_the_same() {
    let text = SUMS.replace("steps=T", "steps=4").replace(", T]", ", 4]").replace("[T, N]", "[4, N]");
    let graph = parse(&text).expect("the text is right");
    let flat = unrolled(&graph, MOST_UNROLLED).expect("it can be written out");
    flat.verify().expect("the graph is in order");
    assert!(flat.nodes().iter().all(|node| !matches!(node.op, Op::Loop(_))));
    let inputs = || (t(&[1, 4], &[1., -2., 3., 0.5]), t(&[1], &[1.]));
    let ((x, first), (y, second)) = (inputs(), inputs());
    assert_eq!(run(&flat, x, first), run(&graph, y, second));
    // Longer ones and those of a symbolic length stay.
    assert_eq!(unrolled(&graph, 3).expect("nothing to do").nodes().len(), 1);
    let symbolic = parse(SUMS).expect("the text is right");
    assert_eq!(unrolled(&symbolic, MOST_UNROLLED).expect("nothing to do").nodes().len(), 1);
}

#[test]
fn what_does_not_fit_is_said() {
    let rows = [
        ("steps=T", "steps=T+1", "it has T+1 steps, but is to walk along T elements"),
        (
            "scanned=[[1, reverse]]",
            "scanned=[[2, reverse]]",
            "axis 2 is out of range for an input of 2 dimensions",
        ),
        ("carried=2", "carried=1", "its attributes do not fit the inputs and outputs of its body"),
        ("[[0, forward], [1, reverse]]", "[[0, forward], [2, reverse]]", "axis 2 is out of range"),
        (
            "output largest = %larger",
            "output largest = %factor",
            "is carried from step to step as f32[N], but becomes f32[]",
        ),
        (
            "loop(%first, %first, %x, @two)",
            "loop(%first, @two, %x, @two)",
            "`largest` of its body is f32[N], but is given f32[]",
        ),
        ("  input %part : f32[N]\n", "  input %part : f32[M]\n", "is f32[M], not f32[N]"),
        (
            "  %added = add(%sum",
            "  %added = add(%none",
            "line 12, column 16: `%none` is not defined on an earlier line",
        ),
        ("f32[N, T] {\n", "f32[N, T]\n", "`{` is expected at the end of the line"),
        ("steps=T", "", "`steps=` is missing"),
        (
            "}\noutput last = %last\noutput most = %last.1\noutput before = %last.2\noutput sums = %last.3\n",
            "",
            "the body of a loop has no end `}`",
        ),
    ];
    for (right, wrong, message) in rows {
        assert!(SUMS.contains(right), "{right}");
        match parse(&SUMS.replacen(right, wrong, 1)) {
            Ok(_) => panic!("{wrong} is accepted"),
            Err(error) => assert!(error.to_string().contains(message), "{wrong}: {error}"),
        }
    }
}

#[test]
fn what_fails_in_a_step_is_said() {
    let text = r#"graph picks
input %x : f32[4]
input %at : i64[T]
%parts = loop(%at, %x) steps=T carried=0 scanned=[[0, forward]] stacked=[[0, forward]] {
  graph body
  input %index : i64[]
  input %all : f32[4]
  %one = gather(%all, %index) axis=0
  output one = %one
}
output y = %parts
"#;
    let graph = parse(text).expect("the text is right");
    let at = |ints: [i64; 3]| {
        BTreeMap::from([("x".to_owned(), t(&[4], &[1., 2., 3., 4.])), ("at".to_owned(), Tensor::ints(ints))])
    };
    let right = evaluate(&graph, &at([3, 0, -1]), Precision::F64).expect("the indices exist");
    assert_eq!(right.outputs()[0].1.to_f64(), [4., 1., 4.]);
    let error =
        evaluate(&graph, &at([3, 9, 0]), Precision::F32).expect_err("there is no element 9").to_string();
    assert!(error.contains("in step 1, ") && error.contains("index 9"), "{error}");
}
