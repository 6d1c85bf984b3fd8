//! The text form: what is printed is parsed, and what cannot be parsed is said.

use kiln_graph::text::parse;

/// Every operator, with attributes that differ from the usual ones somewhere.
const EVERYTHING: &str = r#"graph "a graph of everything"
input %x : f32[N, 4, 8, 8]
input %mask : bool[N, 1, 8, 8]
input %alive : bool[N, 4, 8]
input %"odd name" : i64[N, 2]
state @w : f32[6, 2, 3, 3] = fill(0.5)
state @scale : f32[6] = [1.0, 2.0, 3.0, 4.0, 5.0, NaN]
const @w~2 name="w" : f32[6, 6, 1, 1] = fill(-0.25)
const @table : f16[3, 2] = [0.5, 1.0, inf, -inf, -0.0, 2.0]
const @double : f64[] = [0.1]
const @small : u8[2] = [1, 255]
const @none : i32[0] = []
%conv1 = conv(%x, @w) strides=[2, 1] pads=[[1, 0], [-1, 2]] dilations=[1, 2] groups=2 : f32[N, 6, 4, 5]
%conv1~2 = batch_norm(%conv1, @scale, @scale, @scale, @scale) epsilon=0.001 name="conv1" : f32[N, 6, 4, 5]
%train, %train.1, %train.2 = batch_norm(%conv1, @scale, @scale, @scale, @scale) training unbiased : f32[N, 6, 4, 5], f32[6], f32[6]
%kept = batch_norm(%conv1, @scale, @scale, @scale, @scale) frozen : f32[N, 6, 4, 5]
%up = conv(%conv1~2, @w~2) input_dilations=[2, 2] : f32[N, 6, 7, 9]
%pool = max_pool(%up) kernel=[2, 3] strides=[2, 2] ceil_mode : f32[N, 6, 4, 4]
%mean = avg_pool(%pool) kernel=[2, 2] pads=[[1, 1], [0, 0]] count_include_pad : f32[N, 6, 5, 3]
%sum = reduce_sum(%mean) axes=[2, 3] keep_dims : f32[N, 6, 1, 1]
%flat = reshape(%sum) shape=[N, 6] : f32[N, 6]
%square = matmul(%flat, %flat) transpose_a : f32[6, 6]
%soft = softmax(%square) axis=1 : f32[6, 6]
%logs = log_softmax(%square) axis=0 : f32[6, 6]
%arg = arg_max(%soft) axis=1 select_last_index : i64[6]
%turned = transpose(%soft) perm=[1, 0] : f32[6, 6]
%cut = slice(%x) axes=[[0, 0, N, 1], [3, 7, 4, -2]] : f32[N, 4, 8, 4]
%both = concat(%cut, %cut) axis=1 : f32[N, 8, 8, 4]
%edge = pad(%both) pads=[[0, 0], [0, 0], [1, 1], [2, 0]] mode=edge : f32[N, 8, 10, 6]
%five = pad(%both) pads=[[0, 0], [0, 0], [1, 1], [2, 0]] value=5 : f32[N, 8, 10, 6]
%large = resize(%both) shape=[N, 8, 16, 8] mode=linear coordinates=align_corners : f32[N, 8, 16, 8]
%near = resize(%both) shape=[N, 8, 16, 8] mode=floor coordinates=asymmetric scales=[1, 1, 2, 2] : f32[N, 8, 16, 8]
%wide = expand(@scale) shape=[N, 6] : f32[N, 6]
%picked = gather(@table, %"odd name") axis=0 : f16[N, 2, 2]
%each = gather_elements(%flat, %"odd name") axis=1 : f32[N, 2]
%at = nonzero(%mask) size=count(at) : i64[count(at)]
%few = slice(%at) axes=[[0, 0, min(300,count(at)), 1]] : i64[min(300,count(at))]
%boxes = slice(%x) axes=[[3, 0, 4, 1]] : f32[N, 4, 8, 4]
%best = suppress(%boxes, %alive) iou_threshold=0.5 center most=7 : bool[N, 4, 8]
%n = reduce_sum(%at) axes=[0] : i64[]
%count = iota() dtype=i32 shape=[N, 3] axis=1 : i32[N, 3]
%sizes = shape_of(%x) start=0 end=2 : i64[2]
%whole = cast(%count) to=f32 : f32[N, 3]
%root = sqrt(%whole) : f32[N, 3]
%power = pow(%whole, %root) : f32[N, 3]
%stopped = stop_gradient(%power) : f32[N, 3]
%through = stop_gradient(%stopped, %root) : f32[N, 3]
%drawn = random() stream=0 shape=[N, 3] : f32[N, 3]
%chosen = select(%mask, %x, %x) : f32[N, 4, 8, 8]
output y = %chosen
output "the other" = %power
output n = %n
size y 0 = n
size "the other" 0 = n
"#;

#[test]
fn what_is_printed_is_parsed() {
    let graph = parse(EVERYTHING).expect("the text is right");
    let text = graph.with_data().to_string();
    let again = parse(&text).expect("what was printed is right");
    // NaN differs from itself, so texts are compared.
    assert_eq!(again.with_data().to_string(), text);
    assert_eq!(text, EVERYTHING);
    assert_eq!(again.nodes(), graph.nodes());
}

#[test]
fn damaged_text_is_an_error_and_nothing_worse() {
    for end in (0..EVERYTHING.len()).filter(|end| EVERYTHING.is_char_boundary(*end)) {
        let _ = parse(&EVERYTHING[..end]);
    }
    for (at, _) in EVERYTHING.char_indices().step_by(3) {
        for other in ["", "[", "%", "\"", "9999999999999999999", "-", "é"] {
            let mut text = EVERYTHING.to_owned();
            text.replace_range(at..at + EVERYTHING[at..].chars().next().map_or(0, char::len_utf8), other);
            let _ = parse(&text);
        }
    }
}

#[test]
fn messages() {
    let cases = [
        ("inpt %x : f32[1]", "line 1, column 1: `inpt` cannot start a line"),
        ("input %x : f31[1]", "line 1, column 12: `f31` is not an element type"),
        ("\n%y = relu(%x)", "line 2, column 11: `%x` is not defined on an earlier line"),
        ("input %x : f32[2]\n%y = rleu(%x)", "line 2, column 6: there is no operator `rleu`"),
        ("input %x : f32[2]\n%y = relu(%x) axis=1", "line 2, column 6: `relu` has no attribute `axis`"),
        ("input %x : f32[2]\n%y = softmax(%x)", "line 2, column 6: `axis=` is missing"),
        ("input %x : f32[2]\n%y = relu(%x) : f32[3]", "line 2, column 17: `%y` is f32[2], not f32[3]"),
        (
            "input %x : f32[2]\n%y = reshape(%x) shape=[3]",
            "line 2, column 6: `y` (reshape): cannot reshape [2] (2 elements)",
        ),
        ("const @c : f32[3] = [1, 2]", "has 3 elements, but 2 were given"),
        ("const @c : f32[3] = [1, 2, x]", "line 1, column 21: `x` is not an element"),
        ("state @c : f32[N] = fill(1)", "line 1, column 19: a stored tensor has to have fixed sizes"),
    ];
    for (text, message) in cases {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(message), "{text:?} gives {error:?}");
    }
}
