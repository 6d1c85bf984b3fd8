//! Operators left out on purpose, and why. `kiln check` reports the reason instead of an unknown operator.

/// Why operators of one kind are left out.
struct Reason {
    why: &'static str,
    domain: &'static str,
    operators: &'static [&'static str],
}

const CLASSICAL: &str = "ai.onnx.ml";
const TRAINING: &str = "ai.onnx.preview.training";

const REASONS: &[Reason] = &[
    Reason {
        why: "strings are not supported: devices compute with numbers",
        domain: "",
        operators: &["RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit"],
    },
    Reason {
        why: "sequences are not supported: the number of tensors in a plan is fixed",
        domain: "",
        operators: &[
            "ConcatFromSequence",
            "SequenceAt",
            "SequenceConstruct",
            "SequenceEmpty",
            "SequenceErase",
            "SequenceInsert",
            "SequenceLength",
            "SequenceMap",
            "SplitToSequence",
        ],
    },
    Reason {
        why: "optional values are not supported: a plan is fixed ahead of time",
        domain: "",
        operators: &["Optional", "OptionalGetElement", "OptionalHasElement"],
    },
    Reason {
        why: "loops whose condition is computed from data are not supported: how often a plan repeats its dispatches follows \
              from sizes",
        domain: "",
        operators: &["Loop"],
    },
    Reason {
        why: "image files are not supported: the host program decodes them",
        domain: "",
        operators: &["ImageDecoder"],
    },
    Reason {
        why: "classical machine-learning operators are not supported: Kiln is for neural networks",
        domain: CLASSICAL,
        operators: &[
            "CastMap",
            "CategoryMapper",
            "DictVectorizer",
            "FeatureVectorizer",
            "Imputer",
            "LabelEncoder",
            "LinearClassifier",
            "LinearRegressor",
            "Normalizer",
            "OneHotEncoder",
            "SVMClassifier",
            "SVMRegressor",
            "Scaler",
            "TreeEnsemble",
            "TreeEnsembleClassifier",
            "TreeEnsembleRegressor",
            "ZipMap",
        ],
    },
    Reason {
        why: "Kiln derives gradients itself, for any model: `kiln compile --train`",
        domain: TRAINING,
        operators: &["Gradient"],
    },
];

/// Why an operator is left out, if it is.
pub(crate) fn reason(domain: &str, name: &str) -> Option<&'static str> {
    let found = REASONS.iter().find(|r| r.domain == domain && r.operators.contains(&name));
    found.map(|reason| reason.why)
}

/// All that is left out: domain, operator, reason.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    REASONS.iter().flat_map(|r| r.operators.iter().map(|operator| (r.domain, *operator, r.why)))
}
