//! Which values of a graph are kept in 16 bits, and what becomes of the graph.

use std::collections::BTreeMap;

use kiln_compile::passes;
use kiln_graph::text::parse;
use kiln_graph::{DType, Precision, Tensor, compare, evaluate};

use crate::models::numbers;

/// The lines of nodes that the pass makes of a graph, whose outputs stay near what they were.
fn after(source: &str) -> Vec<String> {
    let before = parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let after = passes::run(passes::HALVES, &before).unwrap_or_else(|e| panic!("{e}\n{source}"));
    after.verify().unwrap_or_else(|e| panic!("{e}\n{after}"));
    let given = before.inputs().iter().map(|id| {
        let shape = before.ty(*id).static_shape().expect("numbers");
        let data = numbers(7, shape.iter().product(), -2.0, 2.0);
        (before.value(*id).name.clone(), Tensor::f32(shape, data).expect("as many as the shape says"))
    });
    let given: BTreeMap<String, Tensor> = given.collect();
    let values = [&before, &after].map(|graph| evaluate(graph, &given, Precision::F64).expect("values"));
    for ((name, wanted), (_, found)) in values[0].outputs().iter().zip(values[1].outputs()) {
        assert_eq!(wanted.dtype(), found.dtype(), "{name}");
        let apart = compare::apart(&wanted.to_f64(), &found.to_f64(), 1e-3);
        assert!(apart < 5e-3, "{source}\n{name} is off by {apart:.1e}");
    }
    let text = after.to_string();
    text.lines().filter(|line| line.starts_with('%')).map(str::to_owned).collect()
}

/// The values that are kept in 16 bits, by name.
fn kept(source: &str) -> Vec<String> {
    let graph = parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let after = passes::run(passes::HALVES, &graph).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let halves = after.value_ids().filter(|id| after.ty(*id).dtype == DType::F16);
    let mut names: Vec<String> = halves.map(|id| after.value(id).name.clone()).collect();
    names.dedup();
    names
}

#[test]
fn a_kernel_ends_in_16_bits() {
    let found = after(
        "input %x : f32[1, 1, 8]\nconst @w : f32[1, 1, 1] = [1.7]\nconst @b : f32[1, 1, 1] = [0.3]\n\
         %c = conv(%x, @w)\n%s = add(%c, @b)\n%r = relu(%s)\n%d = conv(%r, @w)\n%y = add(%d, %r)\noutput y = %y",
    );
    assert_eq!(
        found,
        [
            "%c = conv(%x, @w) : f32[1, 1, 8]",
            "%s = add(%c, @b) : f32[1, 1, 8]",
            "%r = relu(%s) : f32[1, 1, 8]",
            "%r~2 = cast(%r) to=f16 name=\"r\" : f16[1, 1, 8]",
            "%r~3 = cast(%r~2) to=f32 name=\"r\" : f32[1, 1, 8]",
            "%d = conv(%r~3, @w) : f32[1, 1, 8]",
            "%y = add(%d, %r~3) : f32[1, 1, 8]",
        ]
    );
}

/// Elements that are moved are not rounded again, and not widened in between.
#[test]
fn movements_are_of_16_bits() {
    let found = after(
        "input %x : f32[1, 4, 4]\nconst @w : f32[4, 4, 1] = fill(0.3)\n%c = conv(%x, @w)\n%d = conv(%x, @w) pads=[[0, 0]]\n\
         %t = concat(%c, %d) axis=1\n%s = slice(%t) axes=[[1, 2, 4, 1]]\n%y = conv(%s, @w)\noutput y = %y",
    );
    let casts = found.iter().filter(|line| line.contains("cast(")).count();
    // Both convolutions are rounded, and what is left of them in the end is read.
    assert!(
        found.iter().any(|line| line.starts_with("%t = concat(") && line.contains("f16[1, 8, 4]")),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|line| line.contains("slice(%t)") && line.contains("f16[1, 4, 4]")),
        "{found:#?}"
    );
    assert_eq!(casts, 3, "{found:#?}");
}

#[test]
fn what_keeps_its_digits() {
    let layers =
        "input %x : f32[2, 3]\nconst @w : f32[3, 3] = [1, 2, 3, 4, 5, 6, 7, 8, 1000]\n%m = matmul(%x, @w)\n";
    for (rest, names) in [
        // The last layer, and what is computed from it for the caller.
        ("%y = tanh(%m)\noutput y = %y", &[][..]),
        ("%y = matmul(%m, @w)\noutput y = %y", &["m"]),
        // Places, orders and classes.
        ("%i = arg_max(%m) axis=1\n%y = matmul(%m, @w)\noutput i = %i\noutput y = %y", &[]),
        ("%r = relu(%m)\n%c = cast(%r) to=i32\n%y = matmul(%r, @w)\noutput c = %c\noutput y = %y", &[]),
        // Sums and means, and what is computed from them alone.
        ("%s = reduce_mean(%m) axes=[0] keep_dims\n%e = exp(%s)\n%y = matmul(%e, @w)\noutput y = %y", &[]),
        // Squares that are added up.
        (
            "%q = mul(%m, %m)\n%s = reduce_sum(%q) axes=[1] keep_dims\n%n = div(%m, %s)\n%y = matmul(%n, @w)\noutput y = %y",
            &["n"],
        ),
        // The scores, and not the shares.
        ("%s = softmax(%m) axis=1\n%y = matmul(%s, @w)\noutput y = %y", &["m"]),
        ("%y = softmax(%m) axis=1\noutput y = %y", &[]),
    ] {
        assert_eq!(kept(&format!("{layers}{rest}")), *names, "{rest}");
    }
}

/// Weights are rounded, unless 16 bits cannot hold them.
#[test]
fn weights_are_numbers_of_16_bits() {
    for (numbers, rounded) in [
        ("[0.1, 1.0001]", "[0.099975586, 1.0]"),
        ("[0.1, 70000.0]", "[0.1, 70000.0]"),
        ("[0.0000001, 0.0000002]", "[0.0000001, 0.0000002]"),
    ] {
        let source = format!(
            "graph net\ninput %x : f32[3, 2]\nconst @w : f32[2, 1] = {numbers}\n%y = matmul(%x, @w)\noutput y = %y\n"
        );
        let rounded = source.replace(numbers, rounded);
        let [found, wanted] = [source, rounded].map(|text| parse(&text).expect("a graph"));
        let found = passes::halves::run(&found).expect("a graph").with_data().to_string();
        assert_eq!(found, wanted.with_data().to_string());
    }
}
