//! Steps that compute activations again because they may take less memory.

use kiln::train::{Loss, Optimizer, Training};
use kiln::{CompileError, Compiled, Options, Target};
use kiln_graph::Graph;

use super::training::{compare_batches, model, with_dropout};
use crate::machine::Machine;

fn compile(
    model: &Graph,
    training: &Training,
    target: &Target,
    batch: u32,
) -> Result<Compiled, CompileError> {
    let options =
        Options { target: target.clone(), max: [("N".to_owned(), batch)].into(), ..Options::default() };
    kiln::compile_training(model, training, &options)
}

/// What a training takes without a limit, and the least that it can take.
fn range(model: &Graph, training: &Training, target: &Target, batch: u32) -> (u64, u64) {
    let whole = compile(model, training, target, batch).expect("a plan").memory.total();
    let nothing = Training { memory: Some(1), ..training.clone() };
    let error = compile(model, &nothing, target, batch).expect_err("it takes more than a byte");
    let CompileError::Memory { budget: 1, least, states } = error else { panic!("{error}") };
    assert!(states < least && least < whole, "{states} {least} {whole}");
    (whole, least)
}

#[test]
fn a_step_in_less_memory_is_the_same() {
    let device = Machine::open().device;
    let target = kiln::target_for(device.capabilities());
    let plain = || Training::new(Loss::cross_entropy(), Optimizer::sgd());
    let momentum = Optimizer::Sgd { momentum: true, dampening: 0.0, nesterov: false, weight_decay: 0.01 };
    let normalized = model("fastai_simple_cnn_bn-preserve");
    let networks = [
        ("normalized", normalized, Training { optimizer: momentum, ..plain() }, 8),
        ("shared blocks", model("net_res_deep-preserve"), Training { accumulate: 2, ..plain() }, 4),
        ("dropout", with_dropout(&model("net")), Training { seed: 5, ..plain() }, 16),
    ];
    for (name, model, training, batch) in networks {
        let (whole, least) = range(&model, &training, &target, batch);
        for memory in [whole - 1, least] {
            let training = Training { memory: Some(memory), ..training.clone() };
            let compiled = compile(&model, &training, &target, batch).expect("a plan that fits");
            assert!(compiled.memory.total() <= memory, "{name}");
            let recomputed = compiled.recomputed.expect("something is computed again");
            assert!(recomputed.nodes > 0 && recomputed.without.total() == whole, "{name}");
            assert!(recomputed.share_of_forward <= 1.0, "{name}: {}", recomputed.share_of_forward);
            let what = format!("{name} in {memory} of {whole} bytes");
            compare_batches(&what, &model, &training, &device, batch as usize);
        }
    }
}

/// A chain of equal layers: without a limit, what is kept grows with their number, with segments with its root.
#[test]
fn a_deep_chain_keeps_little() {
    let chain = |layers: usize| {
        let mut text = String::from("graph chain\ninput %v0 : f32[N, 4, 64, 64]\n");
        for n in 0..layers {
            let weight = (0..16)
                .map(|i| format!("{}", (i * 7 % 5) as f32 * 0.125 - 0.25))
                .collect::<Vec<_>>()
                .join(", ");
            text += &format!("state @w{n} : f32[4, 4, 1, 1] = [{weight}]\n");
        }
        for n in 0..layers {
            text += &format!("%c{n} = conv(%v{n}, @w{n})\n");
            text += &format!("%v{} = tanh(%c{n})\n", n + 1);
        }
        text += &format!("output y = %v{layers}\n");
        kiln_graph::text::parse(&text).expect("a graph")
    };
    let training = Training::new(Loss::Mse, Optimizer::sgd());
    let target = Target::portable();
    let (whole, least) = range(&chain(32), &training, &target, 8);
    assert!(least * 5 < whole * 2, "{least} of {whole}");
    let (twice, least_of_twice) = range(&chain(64), &training, &target, 8);
    assert!(twice > whole * 19 / 10, "{twice} and {whole}");
    assert!(least_of_twice < least * 17 / 10, "{least_of_twice} and {least}");
}
