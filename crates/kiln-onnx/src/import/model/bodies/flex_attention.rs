//! Attention with graphs that may change the scores before the softmax and the weights behind it (`score_mod` and
//! `prob_mod`, as in PyTorch's `flex_attention`).

use kiln_graph::functions::attention;
use kiln_graph::ops::Softmax;
use kiln_graph::{DType, Formula, Op, ValueId};

use super::super::super::cx::invalid;
use super::super::super::ops::softmax_precision;
use super::{At, Importer, Result, Scope, Stop};

impl Importer<'_> {
    pub(super) fn flex_attention(&mut self, scope: &mut Scope, at: &At<'_>) -> Result<Vec<ValueId>> {
        let [Some(query), Some(key), Some(value)] = at.inputs[..] else {
            return invalid("queries, keys and values are needed").map_err(Stop::Op);
        };
        let scale = at.attributes.float("scale")?.map(f64::from);
        let own = self.graph.ty(query).dtype;
        let precision = softmax_precision(&at.attributes)?;
        let precision = precision.unwrap_or(if own == DType::F64 { own } else { DType::F32 });
        let f = &mut Formula::folding(&mut self.graph, at.name);
        let scores = attention::scores(f, query, key, scale)?;
        let scores = f.cast(scores, precision)?;
        let scores = self.modified(scope, at, "score_mod", scores)?;
        let axis = self.graph.ty(scores).rank() - 1;
        let f = &mut Formula::folding(&mut self.graph, at.name);
        let weights = f.apply(Op::Softmax(Softmax { axis, log: false }), &[scores])?;
        let weights = self.modified(scope, at, "prob_mod", weights)?;
        let f = &mut Formula::folding(&mut self.graph, at.name);
        let weights = f.cast(weights, own)?;
        Ok(vec![attention::weighted(f, weights, value)?])
    }

    /// What the graph `which` makes of `x`, something of the same type; `x` if there is no such graph.
    fn modified(&mut self, scope: &mut Scope, at: &At<'_>, which: &str, x: ValueId) -> Result<ValueId> {
        let Some(body) = at.attributes.graph(which)? else { return Ok(x) };
        let mut body = self.begin(scope, body, 1)?;
        match self.body(scope, at, &mut body, &[x])?[..] {
            [y] if self.graph.ty(y) == self.graph.ty(x) => Ok(y),
            [y] => {
                let (from, to) = (self.graph.ty(x), self.graph.ty(y));
                invalid(format!("`{which}` makes {to} of {from}")).map_err(Stop::Op)
            }
            _ => invalid(format!("`{which}` should have one output")).map_err(Stop::Op),
        }
    }
}
