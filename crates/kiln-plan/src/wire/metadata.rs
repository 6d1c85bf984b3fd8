//! The metadata of a plan as protobuf. Names of tasks and channels are those of the metadata's strings, so that there is
//! one list of them.

use prost::{Message, Oneof};

use super::invalid;
use crate::{METADATA_LIMITS, PlanError, Problem};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(string, optional, tag = "1")]
    task: Option<String>,
    #[prost(message, repeated, tag = "2")]
    classes: Vec<Name>,
    #[prost(message, optional, tag = "3")]
    preprocessing: Option<Preprocessing>,
    #[prost(message, optional, tag = "4")]
    targets: Option<Targets>,
    #[prost(message, optional, tag = "5")]
    provenance: Option<Provenance>,
}

/// A message, so that names can be counted before any is decoded.
#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, Message)]
struct Preprocessing {
    #[prost(float, repeated, tag = "1")]
    mean: Vec<f32>,
    #[prost(float, repeated, tag = "2")]
    std: Vec<f32>,
    #[prost(oneof = "Source", tags = "3, 4")]
    source: Option<Source>,
}

/// Absent for plain numbers.
#[derive(Clone, PartialEq, Oneof)]
enum Source {
    #[prost(message, tag = "3")]
    Pictures(Pictures),
    #[prost(message, tag = "4")]
    Table(Table),
}

#[derive(Clone, PartialEq, Message)]
struct Pictures {
    #[prost(string, tag = "1")]
    channels: String,
    /// One length for the shorter side, or height and width; or nothing.
    #[prost(uint32, repeated, tag = "2")]
    resize: Vec<u32>,
    /// Height and width, or nothing.
    #[prost(uint32, repeated, tag = "3")]
    crop: Vec<u32>,
    #[prost(float, tag = "4")]
    pixel_max: f32,
}

#[derive(Clone, PartialEq, Message)]
struct Table {
    #[prost(message, repeated, tag = "1")]
    columns: Vec<Name>,
}

#[derive(Clone, PartialEq, Message)]
struct Targets {
    #[prost(message, repeated, tag = "1")]
    names: Vec<Name>,
    #[prost(float, repeated, tag = "2")]
    mean: Vec<f32>,
    #[prost(float, repeated, tag = "3")]
    std: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct Provenance {
    #[prost(string, tag = "1")]
    producer: String,
    #[prost(string, tag = "2")]
    data: String,
    #[prost(string, tag = "3")]
    loss: String,
    #[prost(uint64, tag = "4")]
    epochs: u64,
    #[prost(uint64, tag = "5")]
    steps: u64,
    #[prost(message, repeated, tag = "6")]
    measures: Vec<Measure>,
}

#[derive(Clone, PartialEq, Message)]
struct Measure {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(double, tag = "2")]
    value: f64,
}

/// How many there are of what may be many, counted before any is decoded.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Counts {
    #[prost(message, repeated, tag = "2")]
    classes: Vec<super::Nothing>,
    #[prost(message, optional, tag = "3")]
    preprocessing: Option<PreprocessingCounts>,
    #[prost(message, optional, tag = "4")]
    targets: Option<ListCounts>,
    #[prost(message, optional, tag = "5")]
    provenance: Option<ProvenanceCounts>,
}

#[derive(Clone, PartialEq, Message)]
struct PreprocessingCounts {
    #[prost(message, optional, tag = "4")]
    table: Option<ListCounts>,
}

/// Columns of a table, or names of targets.
#[derive(Clone, PartialEq, Message)]
struct ListCounts {
    #[prost(message, repeated, tag = "1")]
    names: Vec<super::Nothing>,
}

#[derive(Clone, PartialEq, Message)]
struct ProvenanceCounts {
    #[prost(message, repeated, tag = "6")]
    measures: Vec<super::Nothing>,
}

impl Metadata {
    pub(super) fn of(metadata: &crate::Metadata) -> Self {
        Self {
            task: metadata.task.map(|task| task.name().into()),
            classes: names(&metadata.classes),
            preprocessing: metadata.preprocessing.as_ref().map(Preprocessing::of),
            targets: metadata.targets.as_ref().map(|t| Targets {
                names: names(&t.names),
                mean: t.mean.clone(),
                std: t.std.clone(),
            }),
            provenance: metadata.provenance.as_ref().map(Provenance::of),
        }
    }

    pub(super) fn read(self) -> Result<crate::Metadata, PlanError> {
        let task = |name: String| crate::Task::called(&name).ok_or_else(|| unknown("task", name));
        Ok(crate::Metadata {
            task: self.task.map(task).transpose()?,
            classes: texts(self.classes),
            preprocessing: self.preprocessing.map(Preprocessing::read).transpose()?,
            targets: self.targets.map(|t| crate::Targets { names: texts(t.names), mean: t.mean, std: t.std }),
            provenance: self.provenance.map(Provenance::read),
        })
    }
}

impl Preprocessing {
    fn of(preprocessing: &crate::Preprocessing) -> Self {
        let source = match &preprocessing.source {
            crate::InputSource::Pictures(pictures) => Some(Source::Pictures(Pictures::of(pictures))),
            crate::InputSource::Table { columns } => Some(Source::Table(Table { columns: names(columns) })),
            crate::InputSource::Numbers => None,
        };
        Self { mean: preprocessing.mean.clone(), std: preprocessing.std.clone(), source }
    }

    fn read(self) -> Result<crate::Preprocessing, PlanError> {
        let source = match self.source {
            Some(Source::Pictures(pictures)) => crate::InputSource::Pictures(pictures.read()?),
            Some(Source::Table(table)) => crate::InputSource::Table { columns: texts(table.columns) },
            None => crate::InputSource::Numbers,
        };
        Ok(crate::Preprocessing { source, mean: self.mean, std: self.std })
    }
}

impl Pictures {
    fn of(pictures: &crate::Pictures) -> Self {
        Self {
            channels: pictures.channels.name().into(),
            resize: match pictures.resize {
                Some(crate::Resize::Shorter(side)) => vec![side],
                Some(crate::Resize::Exact { height, width }) => vec![height, width],
                None => vec![],
            },
            crop: pictures.crop.iter().flatten().copied().collect(),
            pixel_max: pictures.pixel_max,
        }
    }

    fn read(self) -> Result<crate::Pictures, PlanError> {
        let channels = crate::Channels::called(&self.channels);
        Ok(crate::Pictures {
            channels: channels.ok_or_else(|| unknown("order of channels", self.channels))?,
            resize: match self.resize[..] {
                [] => None,
                [side] => Some(crate::Resize::Shorter(side)),
                [height, width] => Some(crate::Resize::Exact { height, width }),
                _ => return Err(unknown("size", format!("{} numbers", self.resize.len()))),
            },
            crop: match self.crop[..] {
                [] => None,
                [height, width] => Some([height, width]),
                _ => return Err(unknown("size to cut out", format!("{} numbers", self.crop.len()))),
            },
            pixel_max: self.pixel_max,
        })
    }
}

impl Provenance {
    fn of(p: &crate::Provenance) -> Self {
        let measure = |m: &crate::Measure| Measure { name: m.name.clone(), value: m.value };
        Self {
            producer: p.producer.clone(),
            data: p.data.clone(),
            loss: p.loss.clone(),
            epochs: p.epochs,
            steps: p.steps,
            measures: p.measures.iter().map(measure).collect(),
        }
    }

    fn read(self) -> crate::Provenance {
        let measure = |m: Measure| crate::Measure { name: m.name, value: m.value };
        crate::Provenance {
            producer: self.producer,
            data: self.data,
            loss: self.loss,
            epochs: self.epochs,
            steps: self.steps,
            measures: self.measures.into_iter().map(measure).collect(),
        }
    }
}

impl Counts {
    pub(super) fn list(&self) -> [(&'static str, usize, usize); 4] {
        let table = self.preprocessing.as_ref().and_then(|preprocessing| preprocessing.table.as_ref());
        let names = |list: Option<&ListCounts>| list.map_or(0, |list| list.names.len());
        let measures = self.provenance.as_ref().map_or(0, |provenance| provenance.measures.len());
        [
            ("classes", self.classes.len(), METADATA_LIMITS.names),
            ("columns", names(table), METADATA_LIMITS.names),
            ("targets", names(self.targets.as_ref()), METADATA_LIMITS.names),
            ("measures", measures, METADATA_LIMITS.measures),
        ]
    }
}

fn names(list: &[String]) -> Vec<Name> {
    list.iter().map(|text| Name { text: text.clone() }).collect()
}

fn texts(list: Vec<Name>) -> Vec<String> {
    list.into_iter().map(|name| name.text).collect()
}

fn unknown(what: &'static str, name: String) -> PlanError {
    let name = name.chars().take(80).collect();
    invalid("the metadata", Problem::UnknownName { what, name })
}
