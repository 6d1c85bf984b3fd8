//! Each pass by itself: what it makes of a small graph, and that the meaning stays.

use std::collections::BTreeMap;

use kiln_compile::passes::{self, Pass};
use kiln_graph::text::parse;
use kiln_graph::{Dim, Precision, Tensor, compare, evaluate};

use crate::models::numbers;

struct Case {
    name: &'static str,
    pass: Pass,
    before: &'static str,
    /// All lines of nodes, in order.
    after: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "common",
        pass: passes::common::run,
        before: "input %x : f32[4]\n%a = relu(%x)\n%b = relu(%x)\n%c = add(%a, %b)\noutput y = %c",
        after: &["%a = relu(%x) : f32[4]", "%c = add(%a, %a) : f32[4]"],
    },
    Case {
        name: "common constants",
        pass: passes::common::run,
        before: "input %x : f32[4]\nconst @a : f32[] = [2.0]\nconst @b : f32[] = [2.0]\nconst @c : f32[] = [-0.0]\nconst @d : f32[] = [0.0]\n\
                 %a = mul(%x, @a)\n%b = mul(%x, @b)\n%c = add(%a, @c)\n%d = add(%b, @d)\n%e = add(%c, %d)\noutput y = %e",
        // Zeros differ in their sign.
        after: &[
            "%a = mul(%x, @a) : f32[4]",
            "%c = add(%a, @c) : f32[4]",
            "%d = add(%a, @d) : f32[4]",
            "%e = add(%c, %d) : f32[4]",
        ],
    },
    Case {
        name: "common leaves where gradients stop",
        pass: passes::common::run,
        before: "input %x : f32[4]\n%a = stop_gradient(%x)\n%b = stop_gradient(%x)\n%c = mul(%a, %x)\n%d = mul(%b, %a)\n\
                 output y = %c\noutput z = %d",
        after: &["%a = stop_gradient(%x) : f32[4]", "%c = mul(%a, %x) : f32[4]", "%d = mul(%a, %a) : f32[4]"],
    },
    Case {
        name: "identity of what a gradient does not pass",
        pass: passes::identity::run,
        before: "input %x : f32[4]\n%m = less(%x, %x)\n%s = stop_gradient(%x)\n%c = select(%m, %s, %x)\n%r = relu(%c)\n\
                 %n = neg(%x)\n%t = stop_gradient(%r, %n)\n%w = select(%m, %n, %t)\noutput y = %w",
        after: &[
            "%m = less(%x, %x) : bool[4]",
            "%r = relu(%x) : f32[4]",
            "%n = neg(%x) : f32[4]",
            "%w = select(%m, %n, %r) : f32[4]",
        ],
    },
    Case {
        name: "recompute",
        pass: passes::recompute::run,
        before: "input %x : f32[2, 3]\ninput %m : f32[1, 3]\n%c = sub(%x, %m)\n%v = mul(%c, %c)\n%y = mul(%c, %m)\n\
                 %z = relu(%x)\noutput v = %v\noutput y = %y\noutput z = %z",
        after: &[
            "%c = sub(%x, %m) : f32[2, 3]",
            "%v = mul(%c, %c) : f32[2, 3]",
            "%c~2 = sub(%x, %m) name=\"c\" : f32[2, 3]",
            "%y = mul(%c~2, %m) : f32[2, 3]",
            "%z = relu(%x) : f32[2, 3]",
        ],
    },
    Case {
        name: "recompute stores what a convolution reads",
        pass: passes::recompute::run,
        before: "input %x : f32[1, 1, 4]\nconst @w : f32[1, 1, 1] = [2.0]\nconst @s : f32[1, 1, 1] = [3.0]\n\
                 %c = mul(%x, @s)\n%a = conv(%c, @w)\n%b = mul(%c, %c)\n%z = relu(%x)\noutput a = %a\noutput b = %b\noutput z = %z",
        after: &[
            "%c = mul(%x, @s) : f32[1, 1, 4]",
            "%a = conv(%c, @w) : f32[1, 1, 4]",
            "%b = mul(%c, %c) : f32[1, 1, 4]",
            "%z = relu(%x) : f32[1, 1, 4]",
        ],
    },
    Case {
        name: "decompose in training",
        pass: passes::decompose::run,
        before: "input %x : f32[2, 3]\ninput %s : f32[3]\ninput %b : f32[3]\ninput %m : f32[3]\ninput %v : f32[3]\n\
                 %y, %n, %k = batch_norm(%x, %s, %b, %m, %v) epsilon=0.5 momentum=0.75 training\n\
                 output y = %y\noutput n = %n\noutput k = %k",
        after: &[],
    },
    Case {
        name: "elementary",
        pass: passes::elementary::run,
        before: "input %x : f32[2, 3]\nconst @a : i64[2, 3] = [1, 2, 3, 4, 5, 6]\nconst @b : i64[4, 3, 2] = fill(7)\n\
                 %y = matmul(@a, @b)\n%z = matmul(%x, %x) transpose_b\noutput y = %y\noutput z = %z",
        after: &[
            "%y = transpose(@b) perm=[0, 2, 1] : i64[4, 2, 3]",
            "%y~2 = reshape(@a) shape=[2, 1, 3] name=\"y\" : i64[2, 1, 3]",
            "%y~3 = reshape(%y) shape=[4, 1, 2, 3] name=\"y\" : i64[4, 1, 2, 3]",
            "%y~4 = mul(%y~2, %y~3) name=\"y\" : i64[4, 2, 2, 3]",
            "%y~5 = reduce_sum(%y~4) axes=[3] name=\"y\" : i64[4, 2, 2]",
            "%z = matmul(%x, %x) transpose_b : f32[2, 2]",
        ],
    },
    Case {
        name: "whole numbers: scales move behind products",
        pass: passes::whole_numbers::run,
        before: "input %x : f32[2, 2, 4]\nconst @w : i8[2, 2, 1] = [3, -4, 5, 127]\nconst @s : f32[] = [0.5]\n\
                 const @t : f32[2, 1, 1] = [0.25, 2.0]\n%q = cast(%x) to=u8\n%a = cast(%q) to=i32\n%b = cast(%a) to=f32\n\
                 %c = mul(%b, @s)\n%d = cast(@w) to=i32\n%e = cast(%d) to=f32\n%f = mul(%e, @t)\n%y = conv(%c, %f)\n\
                 output y = %y",
        after: &[
            "%q = cast(%x) to=u8 : u8[2, 2, 4]",
            "%a = cast(%q) to=i32 : i32[2, 2, 4]",
            "%b = cast(%a) to=f32 : f32[2, 2, 4]",
            "%c = mul(%b, @s) : f32[2, 2, 4]",
            "%d = cast(@w) to=i32 : i32[2, 2, 1]",
            "%e = cast(%d) to=f32 : f32[2, 2, 1]",
            "%f = mul(%e, @t) : f32[2, 2, 1]",
            "%y = cast(%a) to=f32 : f32[2, 2, 4]",
            "%y~2 = conv(%y, @y.weight) name=\"y\" : f32[2, 2, 4]",
            "%y~3 = mul(%y~2, @y.scale) name=\"y\" : f32[2, 2, 4]",
        ],
    },
    Case {
        name: "whole numbers: weights whose elements and scales were moved",
        pass: passes::whole_numbers::run,
        before: "input %x : f32[3, 2]\nconst @w : u8[2, 3, 2] = [3, 4, 5, 127, 0, 1, 9, 8, 7, 6, 5, 4]\n\
                 const @z : u8[2, 1, 1] = [3, 4]\nconst @s : f32[] = [0.5]\nconst @t : f32[1, 3, 1] = [0.25, 2.0, 1.5]\n\
                 %q = cast(%x) to=u8\n%a = cast(%q) to=i32\n%b = cast(%a) to=f32\n%c = mul(@s, %b)\n\
                 %d = cast(@w) to=i32\n%e = cast(@z) to=i32\n%f = sub(%d, %e)\n%g = cast(%f) to=f32\n\
                 %h = mul(%g, @t)\n%i = transpose(%h) perm=[0, 2, 1]\n%j = slice(%i) axes=[[2, 2, 3, -1]]\n\
                 %y = matmul(%c, %j)\noutput y = %y",
        after: &[
            "%q = cast(%x) to=u8 : u8[3, 2]",
            "%a = cast(%q) to=i32 : i32[3, 2]",
            "%b = cast(%a) to=f32 : f32[3, 2]",
            "%c = mul(@s, %b) : f32[3, 2]",
            "%d = cast(@w) to=i32 : i32[2, 3, 2]",
            "%e = cast(@z) to=i32 : i32[2, 1, 1]",
            "%f = sub(%d, %e) : i32[2, 3, 2]",
            "%g = cast(%f) to=f32 : f32[2, 3, 2]",
            "%h = mul(%g, @t) : f32[2, 3, 2]",
            "%i = transpose(%h) perm=[0, 2, 1] : f32[2, 2, 3]",
            "%j = slice(%i) axes=[[2, 2, 3, -1]] : f32[2, 2, 3]",
            "%y = cast(%a) to=f32 : f32[3, 2]",
            "%y~2 = matmul(%y, @y.weight) name=\"y\" : f32[2, 3, 3]",
            "%y~3 = mul(%y~2, @y.scale) name=\"y\" : f32[2, 3, 3]",
        ],
    },
    Case {
        name: "whole numbers: scales that differ within a sum",
        pass: passes::whole_numbers::run,
        before: "input %x : f32[3, 2]\nconst @w : i8[2, 1] = [3, 4]\nconst @s : f32[] = [0.5]\n\
                 const @t : f32[2, 1] = [0.25, 2.0]\n%q = cast(%x) to=u8\n%a = cast(%q) to=i32\n%b = cast(%a) to=f32\n\
                 %c = mul(%b, @s)\n%d = cast(@w) to=i32\n%e = cast(%d) to=f32\n%f = mul(%e, @t)\n%y = matmul(%c, %f)\n\
                 output y = %y",
        after: &[
            "%q = cast(%x) to=u8 : u8[3, 2]",
            "%a = cast(%q) to=i32 : i32[3, 2]",
            "%b = cast(%a) to=f32 : f32[3, 2]",
            "%c = mul(%b, @s) : f32[3, 2]",
            "%d = cast(@w) to=i32 : i32[2, 1]",
            "%e = cast(%d) to=f32 : f32[2, 1]",
            "%f = mul(%e, @t) : f32[2, 1]",
            "%y = matmul(%c, %f) : f32[3, 1]",
        ],
    },
    Case {
        name: "whole numbers: scales whose product is not finite",
        pass: passes::whole_numbers::run,
        before: "input %x : f32[3, 2]\nconst @w : i8[2, 1] = [0, 0]\nconst @s : f32[] = [1e30]\nconst @t : f32[] = [1e30]\n\
                 %q = cast(%x) to=u8\n%a = cast(%q) to=i32\n%b = cast(%a) to=f32\n%c = mul(%b, @s)\n%d = cast(@w) to=i32\n\
                 %e = cast(%d) to=f32\n%f = mul(%e, @t)\n%y = matmul(%c, %f)\noutput y = %y",
        after: &[
            "%q = cast(%x) to=u8 : u8[3, 2]",
            "%a = cast(%q) to=i32 : i32[3, 2]",
            "%b = cast(%a) to=f32 : f32[3, 2]",
            "%c = mul(%b, @s) : f32[3, 2]",
            "%d = cast(@w) to=i32 : i32[2, 1]",
            "%e = cast(%d) to=f32 : f32[2, 1]",
            "%f = mul(%e, @t) : f32[2, 1]",
            "%y = matmul(%c, %f) : f32[3, 1]",
        ],
    },
    Case {
        name: "whole numbers: sums that 32-bit floats hold",
        pass: passes::whole_numbers::run,
        before: "input %x : f32[3, 4]\nconst @w : i32[4, 2] = [3, -4, 5, 127, 0, 1, 2, -128]\n\
                 %q = cast(%x) to=u8\n%a = cast(%q) to=i32\n%m = matmul(%a, @w)\n%y = cast(%m) to=f32\noutput y = %y",
        after: &[
            "%q = cast(%x) to=u8 : u8[3, 4]",
            "%a = cast(%q) to=i32 : i32[3, 4]",
            "%m = cast(%a) to=f32 : f32[3, 4]",
            "%m~2 = matmul(%m, @m.weight) name=\"m\" : f32[3, 2]",
            "%m~3 = cast(%m~2) to=i32 name=\"m\" : i32[3, 2]",
        ],
    },
    Case {
        name: "whole numbers: sums that they do not hold",
        pass: passes::whole_numbers::run,
        before: "input %x : f32[3, 2]\nconst @w : i32[2, 1] = [60000, 60000]\n\
                 %q = cast(%x) to=u8\n%a = cast(%q) to=i32\n%m = matmul(%a, @w)\n%y = cast(%m) to=f32\noutput y = %y",
        after: &[
            "%q = cast(%x) to=u8 : u8[3, 2]",
            "%a = cast(%q) to=i32 : i32[3, 2]",
            "%m = matmul(%a, @w) : i32[3, 1]",
            "%y = cast(%m) to=f32 : f32[3, 1]",
        ],
    },
    Case {
        name: "identity",
        pass: passes::identity::run,
        before: "input %x : f32[2, 3, 4]\nconst @one : f32[] = [1.0]\nconst @zero : f32[] = [0.0]\n\
                 %a = transpose(%x) perm=[0, 2, 1]\n%b = transpose(%a) perm=[0, 2, 1]\n%c = mul(%b, @one)\n\
                 %d = sub(%c, @zero)\n%e = reshape(%d) shape=[6, 4]\n%f = reshape(%e) shape=[24]\n\
                 %g = cast(%f) to=f32\n%h = pad(%g) pads=[[0, 0]]\n%i = relu(%h)\noutput y = %i",
        after: &["%f = reshape(%x) shape=[24] : f32[24]", "%i = relu(%f) : f32[24]"],
    },
    Case {
        name: "identity keeps what is not exact",
        pass: passes::identity::run,
        before: "input %x : f32[4]\nconst @zero : f32[] = [0.0]\nconst @ones : f32[3, 4] = fill(1)\n\
                 %a = add(%x, @zero)\n%b = mul(%a, @ones)\noutput y = %b",
        after: &["%a = add(%x, @zero) : f32[4]", "%b = mul(%a, @ones) : f32[3, 4]"],
    },
    Case {
        name: "pad",
        pass: passes::pad::run,
        before: "input %x : f32[1, 2, 5, 5]\nconst @w : f32[2, 2, 3, 3] = fill(0.5)\n\
                 %p = pad(%x) pads=[[0, 0], [0, 0], [1, 2], [0, 1]]\n%y = conv(%p, @w) pads=[[0, 0], [1, 0]]\noutput y = %y",
        after: &["%y = conv(%x, @w) pads=[[1, 2], [1, 1]] : f32[1, 2, 6, 5]"],
    },
    Case {
        name: "pad with something else than zero stays",
        pass: passes::pad::run,
        before: "input %x : f32[1, 1, 4]\nconst @w : f32[1, 1, 3] = fill(0.5)\n\
                 %p = pad(%x) pads=[[0, 0], [0, 0], [1, 1]] value=2\n%y = conv(%p, @w)\noutput y = %y",
        after: &[
            "%p = pad(%x) pads=[[0, 0], [0, 0], [1, 1]] value=2 : f32[1, 1, 6]",
            "%y = conv(%p, @w) : f32[1, 1, 4]",
        ],
    },
    Case {
        name: "pad of an average",
        pass: passes::pad::run,
        before: "input %x : f32[1, 1, 4]\n%p = pad(%x) pads=[[0, 0], [0, 0], [1, 0]]\n\
                 %y = avg_pool(%p) kernel=[2]\noutput y = %y",
        after: &["%y = avg_pool(%x) kernel=[2] pads=[[1, 0]] count_include_pad : f32[1, 1, 4]"],
    },
    Case {
        name: "pad of a maximum",
        pass: passes::pad::run,
        before: "input %x : f32[1, 1, 4]\n%p = pad(%x) pads=[[0, 0], [0, 0], [1, 1]] value=-inf\n\
                 %y = max_pool(%p) kernel=[3] strides=[2]\noutput y = %y",
        after: &["%y = max_pool(%x) kernel=[3] strides=[2] pads=[[1, 1]] : f32[1, 1, 2]"],
    },
    Case {
        name: "zeros may be the maximum",
        pass: passes::pad::run,
        before: "input %x : f32[1, 1, 4]\n%p = pad(%x) pads=[[0, 0], [0, 0], [1, 1]]\n\
                 %y = max_pool(%p) kernel=[3] strides=[2]\noutput y = %y",
        after: &[
            "%p = pad(%x) pads=[[0, 0], [0, 0], [1, 1]] : f32[1, 1, 6]",
            "%y = max_pool(%p) kernel=[3] strides=[2] : f32[1, 1, 2]",
        ],
    },
    Case {
        name: "fold",
        pass: passes::fold::run,
        before: "input %x : f32[2]\nconst @a : f32[2] = [1.0, 2.0]\nconst @b : f32[2] = [3.0, 4.0]\n\
                 %c = add(@a, @b)\n%y = mul(%x, %c)\noutput y = %y",
        after: &["%y = mul(%x, @c) : f32[2]"],
    },
    Case {
        name: "dead code",
        pass: passes::dead_code::run,
        before: "input %x : f32[2]\n%a = relu(%x)\n%b = exp(%x)\noutput y = %a",
        after: &["%a = relu(%x) : f32[2]"],
    },
    Case {
        name: "affine",
        pass: passes::affine::run,
        before: "input %x : f32[1, 1, 4]\nconst @w : f32[1, 1, 1] = [2.5]\nconst @s : f32[1, 1, 1] = [3.0]\n\
                 %c = conv(%x, @w)\n%y = mul(%c, @s)\noutput y = %y",
        // The first is dead now, and left to the pass for that.
        after: &["%c = conv(%x, @w) : f32[1, 1, 4]", "%c~2 = conv(%x, @w~2) name=\"c\" : f32[1, 1, 4]"],
    },
    Case {
        name: "affine leaves whole numbers of 8 bits",
        pass: passes::affine::run,
        before: "input %x : f32[1, 1, 4]\nconst @w : f32[1, 1, 1] = [2.0]\nconst @s : f32[1, 1, 1] = [3.0]\n\
                 %c = conv(%x, @w)\n%y = mul(%c, @s)\noutput y = %y",
        after: &["%c = conv(%x, @w) : f32[1, 1, 4]", "%y = mul(%c, @s) : f32[1, 1, 4]"],
    },
];

#[test]
fn passes_do_their_job_and_keep_the_meaning() {
    for case in CASES {
        let before = parse(case.before).expect(case.name);
        let after = (case.pass)(&before).expect(case.name);
        after.verify().expect(case.name);
        let text = after.to_string();
        let nodes: Vec<&str> = text.lines().filter(|line| line.starts_with('%')).collect();
        // Long forms are looked at in the gradient tests.
        assert!(case.after.is_empty() || nodes == case.after, "{}: {nodes:#?}", case.name);
        let inputs: BTreeMap<String, Tensor> = before
            .inputs()
            .iter()
            .map(|id| {
                let shape = before.ty(*id).static_shape().expect("numbers");
                let data = numbers(7, shape.iter().product(), -2.0, 2.0);
                (before.value(*id).name.clone(), Tensor::f32(shape, data).expect("as many as the shape says"))
            })
            .collect();
        let evaluate = |graph| evaluate(graph, &inputs, Precision::F32).expect(case.name);
        let (before, after) = (evaluate(&before), evaluate(&after));
        assert_eq!(before.outputs().len(), after.outputs().len(), "{}", case.name);
        for ((name, wanted), (same, found)) in before.outputs().iter().zip(after.outputs()) {
            // An operator sums in 64 bits; the elementary ones that it becomes round in between.
            let apart = compare::apart(&wanted.to_f64(), &found.to_f64(), 1e-3);
            assert!(
                name == same && wanted.shape() == found.shape() && apart <= 1e-6,
                "{}: {apart}",
                case.name
            );
        }
    }
}

/// What a front end assumed of sizes by itself, which no operator would assume again.
#[test]
fn passes_keep_what_is_assumed_of_sizes() {
    let text = "input %x : f32[N, H, W]\nstate @w : f32[1, 1, 1] = [2.0]\n%y = mul(%x, @w)\n\
                %z = loop(%y, %x) steps=N carried=1 scanned=[] stacked=[] : f32[N, H, W] {\n  graph body\n  \
                input %sum : f32[N, H, W]\n  input %x : f32[N, H, W]\n  %s = add(%sum, %x) : f32[N, H, W]\n  \
                output sum = %s\n}\noutput z = %z";
    let mut graph = parse(&format!("graph net\n{text}\n")).unwrap_or_else(|error| panic!("{error}"));
    let (h, w) = (Dim::from("H"), Dim::from("W"));
    let halves = &h.floor_div(2) * &2.into();
    let assumed = graph.assume("if", |_, guards| {
        guards.equal(&h, &halves)?;
        (guards.differ(&h, &w) && guards.at_least(&w, &5.into())).then_some(())
    });
    assumed.expect("nothing is known of them");
    let expected = graph.guards().list().to_vec();
    assert_eq!(expected.len(), 3);
    for (pass, run) in passes::INFERENCE.iter().chain(passes::TRAINING) {
        let after = run(&graph).unwrap_or_else(|error| panic!("{pass}: {error}"));
        assert_eq!(after.guards().list(), expected, "{pass}");
    }
}

/// A file may share nodes so that there are more paths behind a weight than anything could follow.
#[test]
fn many_paths_behind_a_weight() {
    let mut text =
        "input %x : f32[3, 2]\nconst @w : i8[2, 1] = [3, 4]\nconst @s : f32[] = [0.5]\n%q = cast(%x) to=u8\n\
                    %a = cast(%q) to=i32\n%w0 = cast(@w) to=i32\n"
            .to_owned();
    for step in 0..60 {
        text += &format!("%w{} = sub(%w{step}, %w{step})\n", step + 1);
    }
    text += "%y = matmul(%a, %w60)\noutput y = %y\n";
    let graph = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let after = passes::whole_numbers::run(&graph).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(after.nodes().len(), graph.nodes().len());
}
