//! Names by pattern.

/// Whether `name` is what `pattern` says, in which each `*` stands for any characters, or none.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use crate::train::pattern::matches;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, wanted) in [
            ("features.*", "features.0.weight", true),
            ("features.*", "classifier.weight", false),
            ("*.bias", "conv1.bias", true),
            ("*.bias", "conv1.bias.x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*b", "a-b", false),
            ("conv1.weight", "conv1.weight", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
