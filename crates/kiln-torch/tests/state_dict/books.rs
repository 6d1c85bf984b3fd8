//! Files that come with a book, "Deep Learning with PyTorch": `data/dlwpt` beside the repository, or where `KILN_DATA`
//! says.

use std::path::PathBuf;

use kiln_torch::state_dict::StateDict;

use crate::root;
use crate::skip::skipped;

/// Names, shapes and sums of absolute values as PyTorch has them.
fn check(name: &str, expected: &[(&str, &[usize], f64)]) {
    let data = std::env::var_os("KILN_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let path = data.join("dlwpt").join(name);
    if !path.exists() {
        skipped(&format!("there is no `{}`; KILN_DATA says where data sets are", path.display()));
        return;
    }
    let state_dict = StateDict::read(&path).unwrap();
    let names: Vec<&str> = state_dict.iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    for ((name, tensor), (_, shape, sum)) in state_dict.iter().zip(expected) {
        assert_eq!(tensor.shape(), *shape, "{name}");
        let found: f64 = tensor.to_f64().iter().map(|value| value.abs()).sum();
        assert!((found - sum).abs() < 1e-5, "{name}: the sum is {found}, PyTorch's {sum}");
    }
}

#[test]
fn birds_and_airplanes() {
    check(
        "birds_vs_airplanes.pt",
        &[
            ("conv1.weight", &[16, 3, 3, 3], 57.392185),
            ("conv1.bias", &[16], 3.031484),
            ("conv2.weight", &[8, 16, 3, 3], 82.798237),
            ("conv2.bias", &[8], 1.068345),
            ("fc1.weight", &[32, 512], 445.787148),
            ("fc1.bias", &[32], 1.065150),
            ("fc2.weight", &[2, 32], 17.846401),
            ("fc2.bias", &[2], 0.268745),
        ],
    );
}

#[test]
fn mnist() {
    check(
        "mnist.pth",
        &[
            ("conv1.weight", &[10, 1, 5, 5], 45.901187),
            ("conv1.bias", &[10], 0.944642),
            ("conv2.weight", &[20, 10, 5, 5], 252.411400),
            ("conv2.bias", &[20], 0.641634),
            ("fc1.weight", &[50, 320], 634.624278),
            ("fc1.bias", &[50], 1.845330),
            ("fc2.weight", &[10, 50], 76.089625),
            ("fc2.bias", &[10], 1.122039),
        ],
    );
}
