//! N-grams of sequences of numbers.

use kiln_graph::functions::masks::counted;
use kiln_graph::ops::{BinaryOp, Gather, Pad, PadMode, SliceAxis};
use kiln_graph::{DType, Dim, Formula, GraphError, Op, Tensor, ValueId};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};

/// As many ways to lay an n-gram over a text are written out.
const MOST_WAYS: usize = 256;

/// How often each n-gram of a list occurs, also with numbers left out between its own: one more, two more, ... between
/// any two of them. Each place of the result is one n-gram's.
pub(crate) fn tf_idf_vectorizer(cx: &mut Cx<'_>) -> Outputs {
    let attributes = &cx.attributes;
    if attributes.strings("pool_strings")?.is_some() {
        return unsupported("strings are not supported, only numbers");
    }
    let needed = |name: &str| OpError::Invalid(format!("attribute `{name}` is missing"));
    let ints = |name: &str| attributes.ints(name)?.ok_or_else(|| needed(name));
    let (pool, starts, places) = (ints("pool_int64s")?, ints("ngram_counts")?, ints("ngram_indexes")?);
    let length = |name: &str| {
        let value = attributes.int(name)?.ok_or_else(|| needed(name))?;
        usize::try_from(value).map_err(|_| OpError::Invalid(format!("`{name}` is {value}")))
    };
    let (shortest, longest) = (length("min_gram_length")?, length("max_gram_length")?);
    let skips = length("max_skip_count")?;
    let weights = attributes.floats("weights")?;
    let (counts, weighted) = match attributes.string_or("mode", "")? {
        "TF" => (true, false),
        "IDF" => (false, true),
        "TFIDF" => (true, true),
        other => return invalid(format!("`mode` is \"{other}\", but should be TF, IDF or TFIDF")),
    };
    let x = cx.input(0)?;
    let (rows, size) = match &cx.shape(x)[..] {
        [size] => (Dim::from(1), size.clone()),
        [rows, size] => (rows.clone(), size.clone()),
        _ => return invalid(format!("its input is {}, but should have 1 or 2 dimensions", cx.ty(x))),
    };
    let Some(size) = size.as_usize() else {
        return unsupported(format!("the length of the texts ({size}) has to be known"));
    };
    let grams = grams(pool, starts, places.len())?;
    let flat = cx.rank(x) == 1;
    let x = cx.reshape(x, [rows.clone(), size.into()])?;
    let mut ways = 0;
    let mut found = Vec::new();
    // Which of the n-grams, in the order of the list, each column of what is found counts.
    let mut columns = Vec::new();
    let mut first = 0;
    for (n, gram) in (1..).zip(&grams) {
        let count = gram.len() / n;
        let wanted = (shortest..=longest).contains(&n) && count > 0;
        if wanted {
            // A single number has nothing between.
            let steps = (1..=if n == 1 { 1 } else { skips.saturating_add(1) })
                .take_while(|step| (n - 1).saturating_mul(*step) < size);
            let mut sums = None;
            for step in steps {
                ways += n;
                if ways > MOST_WAYS {
                    return unsupported(format!("`max_skip_count` = {skips} is too large"));
                }
                let here = occurrences(&mut cx.formula(), x, gram, n, step, size)?;
                sums = Some(match sums {
                    None => here,
                    Some(before) => cx.add(before, here)?,
                });
            }
            if let Some(sums) = sums {
                found.push(sums);
                columns.extend(first..first + count);
            }
        }
        first += count;
    }
    let width = places.iter().copied().max().unwrap_or(-1).saturating_add(1);
    let width = usize::try_from(width).ok().filter(|width| *width <= 1 << 24);
    let Some(width) = width else { return invalid("`ngram_indexes` has places out of range") };
    // Which column goes to each place; the one behind the last is zero.
    let mut sources = vec![columns.len(); width];
    let mut scales = vec![0.0f32; width];
    for (column, gram) in columns.iter().enumerate() {
        let place = places.get(*gram).and_then(|place| usize::try_from(*place).ok());
        let Some(place) = place else { return invalid("`ngram_indexes` has a negative place") };
        if std::mem::replace(&mut sources[place], column) != columns.len() {
            return unsupported(format!("`ngram_indexes` has place {place} twice"));
        }
        scales[place] = weights.and_then(|weights| weights.get(*gram)).copied().unwrap_or(1.0);
    }
    let result: Vec<Dim> = if flat { vec![width.into()] } else { vec![rows, width.into()] };
    if found.is_empty() {
        let zero = cx.constant_value(Tensor::scalar(0.0));
        return Ok(vec![cx.expand(zero, result)?]);
    }
    let found = cx.concat(&found, 1)?;
    let pads = vec![[0, 0], [0, 1]];
    let found = cx.op(Op::Pad(Pad { pads, mode: PadMode::Constant(0.0) }), &[found])?;
    let sources = sources.into_iter().map(|source| i64::try_from(source).unwrap_or(i64::MAX));
    let sources = cx.constant_value(Tensor::ints(sources));
    let mut y = cx.op(Op::Gather(Gather { axis: 1 }), &[found, sources])?;
    if !counts {
        let some = cx.with(BinaryOp::Greater, y, 0.0)?;
        y = cx.cast(some, DType::F32)?;
    }
    if weighted {
        let scales = Tensor::f32([width], scales).map_err(|error| OpError::Invalid(error.to_string()))?;
        let scales = cx.constant_value(scales);
        y = cx.mul(y, scales)?;
    }
    Ok(vec![cx.reshape(y, result)?])
}

/// The n-grams of one number, of two, ...: each list is as long as all its n-grams together.
fn grams<'a>(pool: &'a [i64], starts: &[i64], count: usize) -> Result<Vec<&'a [i64]>> {
    let wrong = || OpError::Invalid("`ngram_counts` and `ngram_indexes` do not fit `pool_int64s`".into());
    let starts: Vec<usize> =
        starts.iter().map(|start| usize::try_from(*start)).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let ends = starts.iter().copied().skip(1).chain([pool.len()]);
    let lists: Option<Vec<&[i64]>> =
        starts.iter().zip(ends).map(|(start, end)| pool.get(*start..end)).collect();
    let lists = lists.ok_or_else(wrong)?;
    let whole = lists.iter().zip(1..).all(|(list, n)| list.len() % n == 0);
    let found: usize = lists.iter().zip(1..).map(|(list, n)| list.len() / n).sum();
    if whole && found == count { Ok(lists) } else { Err(wrong()) }
}

/// How often each of the n-grams occurs in each row of `x [N, size]` with its numbers `step` apart: `[N, n-grams]`.
fn occurrences(
    f: &mut Formula<'_>,
    x: ValueId,
    grams: &[i64],
    n: usize,
    step: usize,
    size: usize,
) -> Result<ValueId, GraphError> {
    // A number of the list that the text cannot have is not to become one that it can.
    let x = if grams.iter().any(|gram| i32::try_from(*gram).is_err()) { f.cast(x, DType::I64)? } else { x };
    let dtype = f.ty(x).dtype;
    let rows = f.shape(x)[0].clone();
    let length = size - (n - 1) * step;
    let mut all = None;
    for part in 0..n {
        let cut = SliceAxis { axis: 1, start: (part * step).into(), length: length.into(), step: 1 };
        let here = f.slice(x, vec![cut])?;
        let here = f.reshape(here, vec![rows.clone(), 1.into(), length.into()])?;
        let wanted: Vec<i64> = grams.iter().skip(part).step_by(n).copied().collect();
        let count = wanted.len();
        let wanted = f.constant(Tensor::ints(wanted));
        let wanted = f.cast(wanted, dtype)?;
        let wanted = f.reshape(wanted, vec![count.into(), 1.into()])?;
        let same = f.binary(BinaryOp::Equal, here, wanted)?;
        all = Some(match all {
            None => same,
            Some(before) => f.binary(BinaryOp::And, before, same)?,
        });
    }
    let Some(all) = all else { return counted(f, DType::F32, 0.into(), 0, 1) };
    let ones = f.cast(all, DType::F32)?;
    f.sum(ones, vec![2])
}
