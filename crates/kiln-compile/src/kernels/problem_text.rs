//! The text form of a problem, which is the key of a record.

use std::fmt;

use super::problem::{ConvProblem, MatMulProblem, OperandKind, Operation, Problem, Source, Window};

fn list<T: fmt::Display>(items: &[T], separator: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x={} y={} kernel={}", list(&self.x, "x"), list(&self.y, "x"), list(&self.kernel, "x"))?;
        write!(f, " strides={} dilations={}", list(&self.strides, "x"), list(&self.dilations, "x"))?;
        let pads: Vec<String> = self.pads.iter().map(|[a, b]| format!("{a}:{b}")).collect();
        write!(f, " pads={}", pads.join(","))?;
        if self.is_dilated() {
            write!(f, " input_dilations={}", list(&self.input_dilations, "x"))?;
        }
        Ok(())
    }
}

impl fmt::Display for ConvProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, groups, group_in, group_out } = self;
        write!(f, "{window} groups={groups} in={group_in} out={group_out}")
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extremum = |max: &bool| if *max { "max" } else { "average" };
        match self {
            Self::Conv(conv) => write!(f, "conv {conv}"),
            Self::ConvGradWeight(conv) => write!(f, "conv_grad_weight {conv}"),
            Self::MatMul(MatMulProblem {
                batches,
                rows,
                columns,
                depth,
                transposed: [a, b],
                shared_right,
            }) => {
                write!(f, "matmul batches={batches} m={rows} n={columns} k={depth}")?;
                write!(f, " transposed={}{}", u8::from(*a), u8::from(*b))?;
                write!(f, " shared_right={}", u8::from(*shared_right))
            }
            Self::OuterProduct { rows, columns, depth } => {
                write!(f, "outer_product m={rows} n={columns} k={depth}")
            }
            Self::Pool { window, max } => write!(f, "{}_pool {window}", extremum(max)),
            Self::PoolGrad { window, max } => write!(f, "{}_pool_grad {window}", extremum(max)),
            Self::Reduce { kind, length, results } => {
                write!(f, "{} length={length} results={results}", kind.name())
            }
            Self::SumColumns { variance, rows, columns } => {
                let sum = if *variance { "variance" } else { "sum" };
                write!(f, "{sum}_columns rows={rows} columns={columns}")
            }
            Self::ArgReduce { length, lines } => write!(f, "arg_reduce length={length} lines={lines}"),
            Self::Softmax { length, lines } => write!(f, "softmax length={length} lines={lines}"),
            Self::ArgSort { length, lines, bits, .. } => {
                write!(f, "arg_sort length={length} lines={lines} bits={bits}")
            }
            Self::Nonzero { elements, .. } => write!(f, "nonzero elements={elements}"),
            Self::Suppress { boxes, lines, .. } => write!(f, "suppress boxes={boxes} lines={lines}"),
            Self::Scatter { elements, indices } => write!(f, "scatter elements={elements} indices={indices}"),
            Self::Simple { op, elements } => write!(f, "{op} elements={elements}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.operation)?;
        for (n, OperandKind { element, source, bytes }) in self.operands.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            let source = match source {
                Source::Constant => "constant ",
                Source::State => "state ",
                Source::Computed => "",
            };
            write!(f, "{comma}{source}{}", crate::element::memory_scalar(*element))?;
            match bytes {
                Some(0) => write!(f, " of 8 bits")?,
                Some(from) => write!(f, " of 8 bits from {}", from - 128)?,
                None => {}
            }
        }
        write!(f, ") -> {}", crate::element::memory_scalar(self.result))?;
        if !self.epilogue.operators.is_empty() {
            write!(f, " + {} reading {}", self.epilogue.operators.join("_"), self.epilogue.reads)?;
        }
        Ok(())
    }
}
