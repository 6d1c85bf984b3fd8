//! Numeric options of a training and their ranges, for flags and recipes. Ranges are PyTorch's.

use std::fmt;

use miette::{Result, bail, miette};
use toml::Value;

use super::Recipe;
use super::recipe::OptimizerName;

/// The numbers that an option takes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Domain {
    whole: bool,
    low: Bound,
    high: Bound,
}

/// Where a range ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// Nowhere.
    None,
    /// With this number.
    At(f64),
    /// Before this number.
    Without(f64),
}

impl Domain {
    const fn numbers(low: Bound, high: Bound) -> Self {
        Self { whole: false, low, high }
    }

    const fn whole(low: u64, high: u64) -> Self {
        Self { whole: true, low: Bound::At(low as f64), high: Bound::At(high as f64) }
    }

    fn has(self, number: f64) -> bool {
        let above = match self.low {
            Bound::None => true,
            Bound::At(low) => number >= low,
            Bound::Without(low) => number > low,
        };
        let below = match self.high {
            Bound::None => true,
            Bound::At(high) => number <= high,
            Bound::Without(high) => number < high,
        };
        number.is_finite() && above && below && (!self.whole || number.fract() == 0.0)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.whole { "a whole number" } else { "a finite number" })?;
        match self.low {
            Bound::None => {}
            Bound::At(low) => write!(f, " of at least {low}")?,
            Bound::Without(low) => write!(f, " above {low}")?,
        }
        let and = if self.low == Bound::None { "" } else { " and" };
        match self.high {
            Bound::None => Ok(()),
            Bound::At(high) => write!(f, "{and} at most {high}"),
            Bound::Without(high) => write!(f, "{and} below {high}"),
        }
    }
}

/// The range of an option. The others are not numbers, or have no range.
fn domain(option: &str, optimizer: OptimizerName) -> Option<Domain> {
    use Bound::{At, None as Nowhere, Without};
    let adam = matches!(optimizer, OptimizerName::Adam | OptimizerName::AdamW);
    Some(match option {
        // Far more than any optimizer takes.
        "lr" => Domain::numbers(At(0.0), At(100.0)),
        "lr-decay" | "weight-decay" | "eps" | "l1" | "l2" | "class-weights" => {
            Domain::numbers(At(0.0), Nowhere)
        }
        // Adam's and AdamW's is beta1.
        "momentum" => Domain::numbers(At(0.0), if adam { Without(1.0) } else { Nowhere }),
        "beta2" | "ema" => Domain::numbers(At(0.0), Without(1.0)),
        "alpha" | "label-smoothing" => Domain::numbers(At(0.0), At(1.0)),
        "validation" => Domain::numbers(Without(0.0), Without(1.0)),
        "clip-norm" | "std" => Domain::numbers(Without(0.0), Nowhere),
        "dampening" | "mean" => Domain::numbers(Nowhere, Nowhere),
        "epochs" => Domain::whole(1, 1_000_000_000),
        "batch" | "accumulate" => Domain::whole(1, 1 << 24),
        "limit" | "checkpoint-every" => Domain::whole(1, 1 << 53),
        "patience" | "warmup" | "keep" => Domain::whole(0, 1 << 53),
        "resize" => Domain::whole(1, 1 << 16),
        "workers" => Domain::whole(0, 1024),
        // As far as a recipe can write it.
        "seed" => Domain::whole(0, i64::MAX as u64),
        _ => return None,
    })
}

/// The first characters of a text that may be long, for an error.
pub(super) fn start(text: &str) -> String {
    const MOST: usize = 100;
    let more = if text.chars().nth(MOST).is_some() { "..." } else { "" };
    text.chars().take(MOST).collect::<String>() + more
}

/// Reads a file as a table. An error has its line, of which not more than the beginning is shown.
pub(super) fn parse(text: &str) -> Result<toml::Table, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        let line = text.lines().nth(before).unwrap_or_default();
        format!("line {}, `{}`: {}", before + 1, start(line.trim()), start(error.message()))
    })
}

/// Checks all numbers of a recipe, or of a table that is to become one.
pub(super) fn check(table: &toml::Table) -> Result<()> {
    let optimizer = table.get("optimizer").cloned().and_then(|name| name.try_into().ok()).unwrap_or_default();
    for (option, value) in table {
        let Some(domain) = domain(option, optimizer) else { continue };
        let values = match value {
            Value::Array(values) => &values[..],
            one => std::slice::from_ref(one),
        };
        for value in values {
            let number = match value {
                Value::Integer(number) => *number as f64,
                Value::Float(number) => *number,
                // Another type is said where the recipe is read.
                _ => continue,
            };
            if !domain.has(number) {
                bail!("`{option}` (--{option}) is {value}; it should be {domain}");
            }
        }
    }
    let is = |option: &str| table.get(option).and_then(Value::as_bool).unwrap_or(false);
    let number = |option: &str| match table.get(option) {
        Some(Value::Float(number)) => *number,
        Some(Value::Integer(number)) => *number as f64,
        _ => 0.0,
    };
    if optimizer == OptimizerName::Sgd
        && is("nesterov")
        && !(number("momentum") > 0.0 && number("dampening") == 0.0)
    {
        bail!("`nesterov` (--nesterov) needs a `momentum` above 0 and no `dampening`");
    }
    Ok(())
}

/// A recipe as a table, with numbers that JSON does not have.
pub(super) fn table(recipe: &Recipe) -> Result<toml::Table> {
    toml::Table::try_from(recipe).map_err(|error| miette!("a number is too large for a recipe: {error}"))
}

/// Reads a table as a recipe. An error names the key.
pub(super) fn recipe(table: toml::Table) -> Result<Recipe> {
    check(&table)?;
    for (option, value) in &table {
        let one = toml::Table::from_iter([(option.clone(), value.clone())]);
        if let Err(error) = one.try_into::<Recipe>() {
            bail!("`{option}` (--{option}): {}", start(error.message()));
        }
    }
    table.try_into().map_err(|error: toml::de::Error| miette!("{}", start(error.message())))
}

/// Reads a whole number of an option from a flag.
pub(super) fn whole<T: TryFrom<i128>>(option: &'static str) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let domain = domain(option, OptimizerName::default());
        let wrong = || match domain {
            Some(domain) => format!("should be {domain}"),
            None => "should be a whole number".into(),
        };
        let number: i128 = text.parse().map_err(|_| wrong())?;
        if domain.is_some_and(|domain| !domain.has(number as f64)) {
            return Err(wrong());
        }
        T::try_from(number).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, recipe, whole};

    /// What is wrong with a recipe of these lines, if something is.
    fn wrong(lines: &str) -> Option<String> {
        recipe(toml::from_str(lines).expect("a table")).err().map(|error| error.to_string())
    }

    #[test]
    fn numbers_are_those_of_pytorch() {
        let good = [
            "lr = 0",
            "lr = 3.5",
            "momentum = 1.5",
            "momentum = 0.9\noptimizer = 'adam'",
            "beta2 = 0",
            "label-smoothing = 1",
            "dampening = -0.5",
            "eps = 0",
            "epochs = 1",
            "class-weights = [0, 1.5]",
            "mean = [-1.0, 3]",
            "seed = 9223372036854775807",
            "nesterov = true\nmomentum = 0.9",
        ];
        for lines in good {
            assert_eq!(wrong(lines), None, "{lines}");
        }
        let cases = [
            ("lr = nan", "`lr` (--lr) is nan; it should be a finite number of at least 0"),
            ("lr = inf", "`lr` (--lr) is inf"),
            ("lr = 1000", "of at least 0 and at most 100"),
            ("epochs = 0", "of at least 1"),
            ("lr = -0.1", "`lr` (--lr) is -0.1"),
            ("momentum = nan", "`momentum` (--momentum) is nan"),
            ("momentum = -1", "of at least 0"),
            ("momentum = 5\noptimizer = 'adam'", "of at least 0 and below 1"),
            ("momentum = 1.0\noptimizer = 'adamw'", "of at least 0 and below 1"),
            ("beta2 = 1", "of at least 0 and below 1"),
            ("alpha = 1.5", "of at least 0 and at most 1"),
            (
                "label-smoothing = 5",
                "`label-smoothing` (--label-smoothing) is 5; it should be a finite number of at least 0 and at most 1",
            ),
            ("weight-decay = -1e-4", "of at least 0"),
            ("eps = -1", "of at least 0"),
            ("lr-decay = nan", "of at least 0"),
            ("l1 = inf", "of at least 0"),
            ("l2 = -1", "of at least 0"),
            ("dampening = nan", "it should be a finite number"),
            ("clip-norm = 0", "above 0"),
            ("ema = 1", "of at least 0 and below 1"),
            ("validation = 1", "above 0 and below 1"),
            ("std = [0.5, 0]", "`std` (--std) is 0; it should be a finite number above 0"),
            ("mean = [nan]", "`mean` (--mean) is nan"),
            ("class-weights = [1, -1]", "`class-weights` (--class-weights) is -1"),
            (
                "epochs = -3",
                "`epochs` (--epochs) is -3; it should be a whole number of at least 1 and at most 1000000000",
            ),
            ("epochs = 1.5", "a whole number"),
            ("epochs = 'many'", "`epochs` (--epochs): invalid type"),
            ("batch = 0", "of at least 1"),
            ("accumulate = 0", "of at least 1"),
            ("resize = 100000", "at most 65536"),
            ("workers = 100000", "at most 1024"),
            ("keep = -1", "of at least 0"),
            ("seed = -1", "of at least 0"),
            ("nesterov = true", "needs a `momentum` above 0"),
            ("nesterov = true\nmomentum = 0.9\ndampening = 0.1", "no `dampening`"),
            ("monitor = 'luck'", "`monitor` (--monitor): unknown variant"),
        ];
        for (lines, words) in cases {
            let error = wrong(lines).unwrap_or_else(|| panic!("{lines} is taken"));
            assert!(error.contains(words), "{lines}: {error}");
        }
    }

    #[test]
    fn errors_are_short() {
        let deep = "[".repeat(1_000_000);
        for (text, words) in [
            (format!("lr = 1\nepochs = {deep}"), "line 2, `epochs = [[["),
            ("lr = 1\nlr = 2".into(), "line 2, `lr = 2`: duplicate key"),
            ("lr 1".into(), "line 1, `lr 1`"),
        ] {
            let error = parse(&text).expect_err(words);
            assert!(error.contains(words) && error.len() < 400, "{error}");
        }
    }

    #[test]
    fn flags_are_whole_numbers_of_their_range() {
        let epochs = whole::<u64>("epochs");
        assert_eq!(epochs("7"), Ok(7));
        for wrong in ["-1", "1.5", "many", "99999999999999999999", ""] {
            assert_eq!(
                epochs(wrong),
                Err("should be a whole number of at least 1 and at most 1000000000".into())
            );
        }
    }
}
