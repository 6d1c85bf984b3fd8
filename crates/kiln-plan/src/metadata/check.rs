//! Checks of metadata: finite numbers, and limits on the number of everything.

use super::{InputSource, Metadata, Pictures, Preprocessing, Provenance, Resize, Targets};
use crate::Problem;

/// Limits of metadata.
#[derive(Clone, Copy, Debug)]
pub struct MetadataLimits {
    /// Names of classes, columns or targets.
    pub names: usize,
    /// Bytes of a name.
    pub name_bytes: usize,
    /// Bytes of a word about a training.
    pub text_bytes: usize,
    /// Measured numbers.
    pub measures: usize,
    /// Pixels of a side.
    pub side: u32,
}

/// The limits of this version of the format.
pub const METADATA_LIMITS: MetadataLimits =
    MetadataLimits { names: 1 << 16, name_bytes: 1 << 10, text_bytes: 1 << 12, measures: 64, side: 1 << 16 };

/// Finds what is wrong with metadata: the part, and the problem.
pub(crate) fn check(metadata: &Metadata) -> Result<(), (&'static str, Problem)> {
    let Metadata { task: _, classes, preprocessing, targets, provenance } = metadata;
    names("name of a class", classes).map_err(at("classes"))?;
    if let Some(preprocessing) = preprocessing {
        check_preprocessing(preprocessing).map_err(at("preprocessing"))?;
    }
    if let Some(targets) = targets {
        check_targets(targets).map_err(at("targets"))?;
    }
    if let Some(provenance) = provenance {
        check_provenance(provenance).map_err(at("provenance"))?;
    }
    Ok(())
}

fn at(at: &'static str) -> impl FnOnce(Problem) -> (&'static str, Problem) {
    move |problem| (at, problem)
}

fn count(what: &'static str, count: usize, limit: usize) -> Result<(), Problem> {
    if count > limit { Err(Problem::TooMany { what, count, limit }) } else { Ok(()) }
}

fn names(what: &'static str, list: &[String]) -> Result<(), Problem> {
    count("names", list.len(), METADATA_LIMITS.names)?;
    match list.iter().find(|name| name.len() > METADATA_LIMITS.name_bytes) {
        Some(name) => Err(Problem::TooLong { what, bytes: name.len(), limit: METADATA_LIMITS.name_bytes }),
        None => Ok(()),
    }
}

/// Numbers for `channels` channels, or one for all, or none.
fn numbers(what: &'static str, list: &[f32], channels: Option<usize>) -> Result<(), Problem> {
    count(what, list.len(), METADATA_LIMITS.names)?;
    if let Some(value) = list.iter().find(|value| !value.is_finite()) {
        return Err(Problem::NotUsable { what, value: value.to_string() });
    }
    match channels {
        Some(expected) if list.len() > 1 && list.len() != expected => {
            Err(Problem::PerChannel { what, found: list.len(), expected })
        }
        Some(_) | None => Ok(()),
    }
}

fn positive(what: &'static str, list: &[f32]) -> Result<(), Problem> {
    match list.iter().find(|value| **value <= 0.0) {
        Some(value) => Err(Problem::NotUsable { what, value: value.to_string() }),
        None => Ok(()),
    }
}

fn side(what: &'static str, side: u32) -> Result<(), Problem> {
    if (1..=METADATA_LIMITS.side).contains(&side) {
        Ok(())
    } else {
        Err(Problem::NotUsable { what, value: side.to_string() })
    }
}

fn check_preprocessing(preprocessing: &Preprocessing) -> Result<(), Problem> {
    let Preprocessing { source, mean, std } = preprocessing;
    let channels = match source {
        InputSource::Pictures(pictures) => {
            let Pictures { channels, resize, crop, pixel_max } = pictures;
            match resize {
                Some(Resize::Shorter(length)) => side("length of the shorter side", *length)?,
                Some(Resize::Exact { height, width }) => {
                    side("height", *height)?;
                    side("width", *width)?;
                }
                None => {}
            }
            for length in crop.iter().flatten() {
                side("side of what is cut out", *length)?;
            }
            numbers("value of a white pixel", &[*pixel_max], None)?;
            positive("value of a white pixel", &[*pixel_max])?;
            Some(channels.count())
        }
        InputSource::Table { columns } => {
            names("name of a column", columns)?;
            (!columns.is_empty()).then_some(columns.len())
        }
        InputSource::Numbers => None,
    };
    numbers("mean", mean, channels)?;
    numbers("deviation", std, channels)?;
    positive("deviation", std)
}

fn check_targets(targets: &Targets) -> Result<(), Problem> {
    let Targets { names: list, mean, std } = targets;
    names("name of a target", list)?;
    let count = (!list.is_empty()).then_some(list.len());
    numbers("mean", mean, count)?;
    numbers("deviation", std, count)?;
    positive("deviation", std)
}

fn check_provenance(provenance: &Provenance) -> Result<(), Problem> {
    let Provenance { producer, data, loss, epochs: _, steps: _, measures } = provenance;
    for (what, text) in [("producer", producer), ("name of the data", data), ("name of the loss", loss)] {
        if text.len() > METADATA_LIMITS.text_bytes {
            return Err(Problem::TooLong { what, bytes: text.len(), limit: METADATA_LIMITS.text_bytes });
        }
    }
    count("measures", measures.len(), METADATA_LIMITS.measures)?;
    for measure in measures {
        names("name of a measure", std::slice::from_ref(&measure.name))?;
        if !measure.value.is_finite() {
            return Err(Problem::NotUsable { what: "measure", value: measure.value.to_string() });
        }
    }
    Ok(())
}
