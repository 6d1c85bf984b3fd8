//! What can be wrong with a pickle.

/// Why a pickle is not read. The messages continue after the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Tensors as `pickle.dump` stores them: as bytes that are a file of their own.
    #[error("holds tensors that were not written by `torch.save`")]
    PlainPickle,
    /// The file contradicts itself or ends too early.
    #[error("is truncated or damaged: {0}")]
    Damaged(String),
    /// An object, a function or a class that is not in the vocabulary.
    #[error("holds `{name}`, and Kiln runs no code from files")]
    Refused {
        /// Its name in Python.
        name: String,
    },
    /// Something known for which Kiln has nothing.
    #[error("holds {what} (`{name}`), which Kiln does not have")]
    Unsupported {
        /// Its description.
        what: &'static str,
        /// Its name in Python.
        name: String,
    },
    /// More instructions than any file of its kind needs.
    #[error("is more complicated than any file of its kind: {what}")]
    TooComplicated {
        /// What there is too much of.
        what: &'static str,
    },
}

/// A name from a file for use in an error: short and without control characters, whatever the file says.
pub fn shown(name: &str) -> String {
    const LONGEST: usize = 100;
    let mut text: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    text
}
