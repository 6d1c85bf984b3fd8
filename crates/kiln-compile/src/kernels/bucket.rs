//! The key of what was measured for a problem: its text, with the largest values of sizes that vary rounded up to a power of
//! two, so that a batch of up to 60 need not be measured again where one of up to 64 was. Sizes that do not vary are exact.

use super::problem::{ConvProblem, MatMulProblem, Operation, Problem, Size, Window};

impl Size {
    fn bucket(self) -> Self {
        let power = u64::try_from(self.max).ok().and_then(u64::checked_next_power_of_two);
        let power = power.and_then(|power| i64::try_from(power).ok());
        if self.fixed { self } else { Self { max: power.unwrap_or(self.max), ..self } }
    }
}

impl Window {
    fn bucket(&self) -> Self {
        let sizes = |sizes: &[Size]| sizes.iter().map(|size| size.bucket()).collect();
        Self { x: sizes(&self.x), y: sizes(&self.y), ..self.clone() }
    }
}

impl ConvProblem {
    fn bucket(&self) -> Self {
        Self { window: self.window.bucket(), ..self.clone() }
    }
}

fn bucket(operation: &Operation) -> Operation {
    match operation {
        Operation::Conv(conv) => Operation::Conv(conv.bucket()),
        Operation::ConvGradWeight(conv) => Operation::ConvGradWeight(conv.bucket()),
        Operation::MatMul(product) => Operation::MatMul(MatMulProblem {
            batches: product.batches.bucket(),
            rows: product.rows.bucket(),
            columns: product.columns.bucket(),
            depth: product.depth.bucket(),
            ..product.clone()
        }),
        Operation::OuterProduct { rows, columns, depth } => {
            Operation::OuterProduct { rows: *rows, columns: *columns, depth: depth.bucket() }
        }
        Operation::Pool { window, max } => Operation::Pool { window: window.bucket(), max: *max },
        Operation::PoolGrad { window, max } => Operation::PoolGrad { window: window.bucket(), max: *max },
        Operation::SumColumns { variance, rows, columns } => {
            Operation::SumColumns { variance: *variance, rows: rows.bucket(), columns: columns.bucket() }
        }
        // How many lines or elements there are is a number here, whether it varies or not.
        Operation::Reduce { .. }
        | Operation::ArgReduce { .. }
        | Operation::Softmax { .. }
        | Operation::ArgSort { .. }
        | Operation::Nonzero { .. }
        | Operation::Suppress { .. }
        | Operation::Scatter { .. }
        | Operation::Simple { .. } => operation.clone(),
    }
}

impl Problem {
    /// See the module's text.
    pub fn key(&self) -> String {
        Self { operation: bucket(&self.operation), ..self.clone() }.to_string()
    }
}
