//! Answers.

use kiln_runtime::{HostTensor, Session};

use crate::plans::vector_add;

fn ramp(n: usize, start: f32) -> HostTensor {
    let elements: Vec<f32> = (0..n * 3).map(|i| start + i as f32).collect();
    HostTensor::new([n, 3], elements).unwrap()
}

#[test]
fn one_plan_serves_every_batch_size() {
    let mut session = Session::open(&vector_add()).unwrap();
    for n in [1, 7, 1000, 22, 22] {
        let outputs = session.run(&[("x", &ramp(n, 0.0)), ("y", &ramp(n, 100.0))]).unwrap();
        for (name, factor) in [("sum", 1.0), ("scaled", 2.5)] {
            let output = outputs.get(name).unwrap();
            assert_eq!(output.shape(), [n, 3]);
            let expected: Vec<f32> = (0..n * 3).map(|i| factor * (100.0 + 2.0 * i as f32)).collect();
            assert_eq!(output.as_f32().unwrap(), expected, "{name} for N = {n}");
        }
    }
}
