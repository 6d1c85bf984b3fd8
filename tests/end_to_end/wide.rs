//! Numbers of 64 bits, and small integers: computed as the evaluator does, on a device that can, and refused by name for
//! one that cannot.

use std::collections::BTreeMap;

use kiln::graph::{Precision, Tensor, evaluate, text};
use kiln::{Options, Target};

use crate::machine::{Machine, answers};
use crate::skip::skipped;

/// Graphs, and values for all their inputs: enough of both signs, and some that 32 bits do not hold in between.
const GRAPHS: &[(&str, &[f64])] = &[
    (
        "input %a : i64[6]\ninput %b : i64[6]\n%s = add(%a, %b)\n%m = mul(%s, %a)\n%d = div(%m, %b)\n%e = mod(%m, %b)\n\
         %f = rem(%m, %b)\n%n = less(%m, %s)\n%p = select(%n, %m, %a)\n%q = neg(%m)\n%x = max(%m, %a)\n%k = pow(%b, %b)\n\
         %h = less(%a, %m)\n%l = greater(%b, %m)\nconst @z : i64[] = [0]\n%o = mul(%m, @z)\n%j = less(%b, %o)\noutput h = %h\noutput l = %l\noutput j = %j\n\
         output s = %s\noutput m = %m\noutput d = %d\noutput e = %e\noutput f = %f\noutput n = %n\noutput p = %p\n\
         output q = %q\noutput x = %x\noutput k = %k",
        &[-4.0, 7.0, 2e9, -2e9, 5.0, -9.0],
    ),
    (
        "input %a : i64[2, 3]\n%m = mul(%a, %a)\n%c = concat(%m, %a) axis=0\n%t = transpose(%c) perm=[1, 0]\n\
         %s = reduce_sum(%c) axes=[0]\n%z = reduce_max(%c) axes=[1] keep_dims\n%i = arg_max(%c) axis=1\n\
         %o = arg_sort(%c) axis=1 descending\n%g = gather_elements(%c, %o) axis=1\n%f = cast(%m) to=f32\n\
         %w = cast(%m) to=i32\noutput t = %t\noutput s = %s\noutput z = %z\noutput i = %i\noutput g = %g\noutput f = %f\n\
         output w = %w",
        &[-4.0, 7.0, 2e9, -2e9, 5.0, -9.0],
    ),
    (
        "input %a : f64[6]\ninput %b : f64[6]\n%s = add(%a, %b)\n%m = mul(%s, %a)\n%d = div(%m, %b)\n%n = less(%m, %s)\n\
         %p = select(%n, %m, %a)\n%q = abs(%m)\n%r = sqrt(%q)\n%x = max(%m, %a)\n%y = floor(%d)\n%t = reduce_sum(%d) axes=[0]\n\
         %u = reduce_mean(%d) axes=[0]\n%i = cast(%a) to=i64\n%j = cast(%a) to=f32\n%k = cast(%j) to=f64\n\
         output d = %d\noutput p = %p\noutput r = %r\noutput x = %x\noutput y = %y\noutput t = %t\noutput u = %u\n\
         output i = %i\noutput k = %k",
        &[-4.1, 7.3, 1e15, -2e-9, 5.0, -9.7],
    ),
    (
        "input %a : i8[6]\ninput %b : i8[6]\n%s = add(%a, %b)\n%m = mul(%s, %a)\n%d = div(%m, %b)\n%e = mod(%m, %b)\n\
         %q = neg(%m)\n%u = cast(%m) to=u16\n%v = mul(%u, %u)\n%w = cast(%v) to=u8\n%k = pow(%b, %b)\n\
         output s = %s\noutput m = %m\noutput d = %d\noutput e = %e\noutput q = %q\noutput v = %v\noutput w = %w\n\
         output k = %k",
        &[-4.0, 7.0, 127.0, -128.0, 5.0, -9.0],
    ),
    (
        "input %a : u32[6]\ninput %b : u32[6]\n%s = add(%a, %b)\n%m = mul(%s, %a)\n%d = div(%m, %b)\n%e = mod(%m, %b)\n\
         %n = less(%m, %s)\n%x = max(%m, %a)\n%f = cast(%m) to=f32\n%g = sign(%m)\n\
         output s = %s\noutput m = %m\noutput d = %d\noutput e = %e\noutput n = %n\noutput x = %x\noutput f = %f\n\
         output g = %g",
        &[4.0, 7.0, 4e9, 2e9, 5.0, 9.0],
    ),
    // 64 bits that are never stored.
    (
        "input %a : i64[6]\n%m = mul(%a, %a)\nconst @t : i64[] = [10]\n%y = greater(%m, @t)\noutput y = %y",
        &[-4.0, 3.0, 2e9, -2e9, 5.0, -9.0],
    ),
    (
        "input %a : f32[6]\n%d = cast(%a) to=f64\n%q = abs(%d)\n%r = sqrt(%q)\n%y = cast(%r) to=f32\noutput y = %y",
        &[-4.0, 3.0, 2e9, -2e9, 5.0, -9.0],
    ),
    // Both ends of a range overflow.
    (
        "input %a : i64[6]\ninput %b : i64[6]\nconst @c : i64[] = [4611686018427387904]\nconst @t : i64[] = [2]\n\
         %x = relu(%a)\n%z = relu(%b)\n%p = add(%x, @c)\n%q = add(%z, @c)\n%r = mul(%p, @t)\n%s = mul(%q, @t)\n\
         %y = sub(%r, %s)\noutput y = %y",
        &[-4.0, 3.0, 2e9, -2e9, 5.0, -9.0],
    ),
    // Sums of small integers wrap around before anything reads them.
    (
        "input %d : u8[6]\ninput %u : u8[6]\nconst @i : i64[6] = [0, 0, 1, 1, 2, 2]\n\
         %s = scatter(%d, @i, %u) axis=0 reduction=add\n%y = cast(%s) to=i32\n%r = reduce_sum(%u) axes=[0]\n\
         %z = cast(%r) to=f32\noutput y = %y\noutput z = %z",
        &[200.0, 100.0, 255.0, 1.0, 77.0, 180.0],
    ),
    (
        "input %d : f64[6]\ninput %u : f64[6]\nconst @i : i64[6] = [0, 0, 1, 1, 2, 2]\n\
         %s = scatter(%d, @i, %u) axis=0 reduction=max\noutput y = %s",
        &[-4.1, 7.3, 1e300, -2e-9, 5.0, -9.7],
    ),
    (
        "input %d : f64[6]\nconst @i : f64[] = [inf]\nconst @j : f64[] = [-inf]\n%a = max(%d, @j)\n%b = min(%a, @i)\n\
         %n = less(%b, @i)\noutput n = %n\n%y = arg_sort(%d) axis=0 descending\n%z = arg_sort(%d) axis=0\noutput y = %y\noutput z = %z",
        &[1.0, f64::NAN, 3.0, f64::NAN, 2.0, 1.0],
    ),
];

fn values(graph: &kiln::Graph, numbers: &[f64]) -> BTreeMap<String, Tensor> {
    let inputs = graph.inputs().iter().enumerate();
    let value = |(n, id): (usize, &kiln::graph::ValueId)| {
        let ty = graph.ty(*id);
        let turned: Vec<f64> = numbers.iter().cycle().skip(n).take(numbers.len()).copied().collect();
        let shape = ty.static_shape().expect("numbers");
        let tensor = Tensor::of_numbers(shape, &turned, ty.dtype).expect("as many as the shape says");
        (graph.value(*id).name.clone(), tensor)
    };
    inputs.map(value).collect()
}

#[test]
fn the_device_computes_what_the_evaluator_does() {
    let machine = Machine::open();
    let target = &machine.target;
    if !target.int64 || !target.float64 {
        skipped(&format!("{} has no 64-bit arithmetic", machine.device.capabilities().name));
        return;
    }
    for (source, numbers) in GRAPHS {
        let graph = text::parse(source).expect("a graph");
        let given = values(&graph, numbers);
        let wanted = evaluate(&graph, &given, Precision::F32).expect("values");
        let options = Options { target: target.clone(), max: BTreeMap::new(), ..Options::default() };
        let compiled = kiln::compile(&graph, &options).unwrap_or_else(|e| panic!("{e}\n{source}"));
        let mut session = machine.load(&compiled).expect("a session");
        let found = answers(&mut session, &given).expect("a run");
        for (name, wanted) in wanted.outputs() {
            assert_eq!(found[name].data(), wanted.data(), "{name} of\n{source}");
        }
    }
}

#[test]
fn a_device_without_64_bits_is_told_which_value_needs_them() {
    for (source, word) in [
        (GRAPHS[0].0, "`s` is i64"),
        (GRAPHS[2].0, "is f64"),
        (GRAPHS[5].0, "`m` is i64"),
        (GRAPHS[6].0, "is f64"),
    ] {
        let graph = text::parse(source).expect("a graph");
        let options = Options { target: Target::default(), max: BTreeMap::new(), ..Options::default() };
        let error = kiln::compile(&graph, &options).expect_err("64 bits are needed").to_string();
        assert!(error.contains(word), "{error}");
    }
}

/// Not laid out first, and refused when it is placed.
#[test]
fn counting_beyond_what_can_be_bound() {
    let source =
        "input %x : i32[1]\n%i = iota() shape=[2000000000] axis=0 dtype=i32\n%y = add(%x, %i)\noutput y = %y";
    let graph = text::parse(source).expect("a graph");
    let options = Options { target: Target::default(), max: BTreeMap::new(), ..Options::default() };
    let error = kiln::compile(&graph, &options).expect_err("too much").to_string();
    assert_eq!(error, "`i` takes 8000000000 bytes, but the target binds at most 134217728 at once");
}
